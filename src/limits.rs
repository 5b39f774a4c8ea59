//! Limits that are not ours: the cloud's, the driver's, Kubernetes', Linux's. Each says whose it is and where
//! that is written.

use std::{ops::RangeInclusive, time::Duration};

/// Characters of a KMS secret's name (KMS API, `CreateSecret`: `SecretName`).
pub const KMS_NAME: usize = 192;
/// Characters of a version id or a stage label of a KMS secret (KMS API, `GetSecretValue`: `VersionId`,
/// `VersionStage`).
pub const KMS_VERSION: usize = 64;
/// Secrets in one call (KMS API, `BatchGetSecretValue`: `SecretsList`).
pub const KMS_BATCH: usize = 20;
/// Characters of an OOS parameter's name (OOS API, `CreateSecretParameter`: `Name`).
pub const OOS_NAME: usize = 200;
/// Parameters in one call (OOS API, `GetSecretParameters`: `Names`).
pub const OOS_BATCH: usize = 10;
/// Bytes of the largest value: 30 KB of KMS (KMS API, `PutSecretValue`: `SecretData`), rounded up; OOS keeps
/// less.
pub const SECRET_VALUE: usize = 32 << 10;
/// Characters of an OIDC token (STS API, `AssumeRoleWithOIDC`: `OIDCToken`).
pub const OIDC_TOKEN: RangeInclusive<usize> = 4..=20_000;
/// Characters of a session's name (STS API, `AssumeRole`: `RoleSessionName`).
pub const SESSION_NAME: usize = 64;
/// Seconds of a session; a role can allow less (STS API, `AssumeRole`: `DurationSeconds`, and a role's
/// `MaxSessionDuration`).
pub const SESSION_SECONDS: RangeInclusive<u64> = 900..=43_200;

/// Bytes of an answer: the driver's default `--max-call-recv-msg-size`. A larger answer would fail there with
/// a code that starts the pod on an empty directory.
pub const DRIVER_ANSWER: usize = 4_194_304;
/// Bytes of a file's path in a volume and of one element of it (the driver's `atomic_writer.go`, from Linux's
/// `limits.h`: `PATH_MAX`, `NAME_MAX`).
pub const FILE_PATH: usize = 4096;
pub const FILE_NAME: usize = 255;

/// Bytes of all values of a Secret (Kubernetes' API: `MaxSecretSize`).
pub const KUBERNETES_SECRET: usize = 1 << 20;
/// Characters of a name of a namespace, pod, ServiceAccount or class (Kubernetes, "Object Names and IDs": DNS
/// subdomain names; RFC 1123 has the same for host names).
pub const DNS_NAME: usize = 253;
/// Bytes of an Event's message (Kubernetes' API validation of `Event.message`: 1 KiB), less some 140 that
/// kubelet and the driver add in front.
pub const EVENT_MESSAGE: usize = 880;
/// How long the API server keeps an Event (kube-apiserver: `--event-ttl`).
pub const EVENT_LIFETIME: Duration = Duration::from_secs(3600);
/// Seconds of a mount: below the two minutes that kubelet gives a volume (kubelet's CSI client:
/// `csiTimeout`).
pub const MOUNT_SECONDS: u64 = 110;

/// Bytes of a Unix socket's path: `sun_path` has 108, the last of which ends it (unix(7)).
pub const SOCKET_PATH: usize = 107;

/// Characters of a custom policy, and how many of them a role can have (RAM, "Limitations").
pub const RAM_POLICY: usize = 6144;
pub const RAM_POLICIES: usize = 10;
