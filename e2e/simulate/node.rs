//! A node: the engine as the program builds it, with the account in place of the network.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use provider::{
    cloud::{Cloud, trust::Clients},
    credentials::{Sessions, metadata::Metadata},
    endpoint::{Endpoints, Service},
    fetch::Fetcher,
    identity::{Identity, kubernetes::ServiceAccounts, resolve},
    names::{OidcProviderArn, Region},
    pb,
    policy::{DefaultMode, Policy, Share},
    request::{self, Mount, PodToken, TokenInput},
    secret::Secret,
    spc::{mode::Mode, object_cache::ObjectCache},
    telemetry::Metrics,
    value_cache::ValueCache,
};
use serde_json::json;

use crate::{Fault, line::Line, options::Options};

/// How the names of secrets begin whose reads are always throttled.
pub(crate) const THROTTLED: &str = "throttled";

const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// The defaults of the program's flags.
const KMS_CALLS: usize = 64;
const OOS_CALLS: usize = 16;
const VALUE_BYTES: usize = 16 << 20;
const STALE_WHILE_THROTTLED: Duration = Duration::from_secs(3600);

/// What all nodes have in common.
pub(crate) struct Cluster {
    endpoints: Endpoints,
    policy: Policy,
    service_accounts: ServiceAccounts,
    metrics: Arc<Metrics>,
    kms_batch: bool,
}

impl Cluster {
    pub(crate) fn new(options: &Options) -> Result<Self, Fault> {
        let region = Region::parse("cn-hangzhou").ok_or("no region")?;
        let (sts, kms, oos) = (None, None, None);
        let endpoints = Endpoints { region, public: false, sts, kms, oos, allowed: Vec::new() };
        let provider = OidcProviderArn::of_cluster("123456789012", "c1").ok_or("no provider")?;
        let policy = Policy {
            share: if options.share.by_service_account() {
                Share::ServiceAccount
            } else {
                Share::Pod
            },
            default: DefaultMode::Mode(Mode::Pod),
            allowed: BTreeSet::from([Mode::Pod]),
            cross_account_roles: Vec::new(),
            namespaces: None,
            oidc_provider: Some(provider),
            role: None,
            token_file: None,
            keys: None,
            ecs_metadata: false,
            session_name: None,
            session_lifetime: Duration::from_secs(3600),
        };
        Ok(Self {
            endpoints,
            policy,
            service_accounts: ServiceAccounts::new(None),
            metrics: Arc::new(Metrics::new()),
            kms_batch: options.kms_batch.on(),
        })
    }

    /// Starts one node's engine.
    pub(crate) fn engine(&self, line: Arc<Line>) -> Result<Arc<Fetcher>, Fault> {
        let clients = Clients::by(line);
        let cloud = Arc::new(Cloud::new(clients, self.metrics.clone(), KMS_CALLS, OOS_CALLS));
        let sts = self.endpoints.of(Service::Sts, &self.endpoints.region);
        let metadata = Metadata::new("metadata.invalid", None, false)?;
        let sessions = Sessions::new(cloud.clone(), sts, metadata, self.metrics.clone());
        let values = ValueCache::new(VALUE_BYTES, self.metrics.clone())?;
        let values = Arc::new(values.with_stale(Duration::ZERO, STALE_WHILE_THROTTLED));
        let fetcher = Arc::new(Fetcher::new(cloud, sessions, values, self.kms_batch));
        let swept = fetcher.clone();
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(SWEEP_EVERY);
            loop {
                ticks.tick().await;
                swept.sweep();
            }
        });
        Ok(fetcher)
    }

    /// The mount that all pods of a ServiceAccount ask for.
    pub(crate) fn mount(&self, service_account: &str, objects: usize) -> Result<Mount, Fault> {
        let list: String =
            (0..objects).map(|n| format!("- objectName: {service_account}-{n}\n")).collect();
        let attributes = json!({
            "objects": list,
            "roleArn": format!("acs:ram::123456789012:role/{service_account}"),
            "csi.storage.k8s.io/pod.name": "app",
            "csi.storage.k8s.io/pod.namespace": "shop",
            "csi.storage.k8s.io/pod.uid": "",
            "csi.storage.k8s.io/serviceAccount.name": service_account,
        });
        let request = pb::MountRequest {
            attributes: attributes.to_string(),
            permission: "420".to_owned(),
            ..Default::default()
        };
        let parsed = request::parse(
            request,
            &self.endpoints,
            &ObjectCache::default(),
            &mut Default::default(),
        );
        Ok(parsed.map_err(|errors| errors.message())?)
    }

    /// Who a pod is, as its token tells.
    pub(crate) async fn identity(&self, mount: &mut Mount, pod: &str) -> Result<Identity, Fault> {
        pod.clone_into(&mut mount.pod.name);
        mount.token = TokenInput::Token(PodToken { jwt: token(mount), expires: None });
        let identity = resolve(mount, &self.policy, &self.service_accounts).await;
        Ok(identity.map_err(|errors| errors.message())?)
    }
}

/// As long as a real one.
fn token(mount: &Mount) -> Arc<Secret<String>> {
    let pod = &mount.pod;
    let claims = json!({
        "aud": ["sts.aliyuncs.com"],
        "iss": "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c1",
        "kubernetes.io": { "namespace": pod.namespace, "pod": { "name": pod.name } },
        "sub": format!("system:serviceaccount:{}:{}", pod.namespace, pod.service_account),
    });
    let claims = URL_SAFE_NO_PAD.encode(claims.to_string());
    let signature = "c2lnbmF0dXJl".repeat(28);
    Arc::new(Secret::new(format!("eyJhbGciOiJSUzI1NiIsImtpZCI6ImsifQ.{claims}.{signature}")))
}
