//! Who takes part: the emulator and the provider as programs, kubelet and the driver played here.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
};

use emulator::{PrincipalRecord, RequestRecord};
use tonic::Status;

use crate::{
    Fault,
    cloud::{AUDIENCE, Addresses, Cloud},
    driver::{Driver, Volume},
    page::Page,
    pod::Pod,
    processes::Process,
};

const EMULATOR: &str = "alibabacloud-emulator";
const PROVIDER: &str = "csi-secrets-store-provider-alibabacloud";
const CONTENT: &str = include_str!("cloud.yaml");
const OIDC_PROVIDER: &str = "acs:ram::1234567890123456:oidc-provider/ack-rrsa-cshop";

pub(crate) struct Programs {
    provider: PathBuf,
    emulator: PathBuf,
}

impl Programs {
    /// Cargo puts examples into a directory of their own, one below that of the programs.
    pub(crate) fn find(
        provider: Option<PathBuf>,
        emulator: Option<PathBuf>,
    ) -> Result<Self, Fault> {
        let own = env::current_exe()?;
        let beside = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
        let provider = provider.unwrap_or_else(|| beside.join(PROVIDER));
        let emulator = emulator.unwrap_or_else(|| beside.join(EMULATOR));
        for program in [&provider, &emulator] {
            if !program.is_file() {
                let path = program.display();
                return Err(format!("{path} is not there; build it, or run `make demo`").into());
            }
        }
        Ok(Self { provider, emulator })
    }
}

pub(crate) struct Stage {
    pub(crate) cloud: Cloud,
    pub(crate) driver: Driver,
    // Dropped in this order: the provider never sees the cloud go away.
    pub(crate) provider: Process,
    _emulator: Process,
    pub(crate) socket: PathBuf,
    volumes: PathBuf,
}

/// What came of a mount.
pub(crate) struct Mounted {
    pub(crate) outcome: Result<Volume, Status>,
    /// Whether the driver had anything to write.
    pub(crate) written: bool,
    pub(crate) calls: Vec<RequestRecord>,
}

impl Mounted {
    pub(crate) fn volume(&self) -> Result<&Volume, Fault> {
        self.outcome.as_ref().map_err(|status| {
            format!("a mount failed with {:?}: {}", status.code(), status.message()).into()
        })
    }

    pub(crate) fn count(&self, action: &str) -> usize {
        self.calls.iter().filter(|call| call.action == action).count()
    }

    /// The calls that were signed: reads of secrets and parameters.
    fn reads(&self) -> impl Iterator<Item = (&RequestRecord, &PrincipalRecord)> {
        self.calls.iter().filter_map(|call| Some((call, call.principal.as_ref()?)))
    }

    /// Role and session of the first read.
    pub(crate) fn reader(&self) -> Option<(&str, &str)> {
        let (_, principal) = self.reads().next()?;
        Some((&principal.arn, principal.session_name.as_deref()?))
    }

    pub(crate) fn all_read_by(&self, role: &str, session: &str, number: usize) -> bool {
        let arn = format!("acs:ram::1234567890123456:role/{role}");
        let by_them = |(call, principal): (&RequestRecord, &PrincipalRecord)| {
            call.status == 200
                && principal.arn == arn
                && principal.session_name.as_deref() == Some(session)
        };
        self.reads().count() == number && self.reads().all(by_them)
    }

    /// The key ids that signed: each session has its own.
    pub(crate) fn sessions(&self) -> BTreeSet<&str> {
        self.reads().map(|(_, principal)| principal.access_key_id.as_str()).collect()
    }
}

impl Stage {
    pub(crate) async fn set(
        programs: &Programs,
        directory: &Path,
        page: &Page,
    ) -> Result<Self, Fault> {
        let (emulator, cloud) =
            Cloud::start(&programs.emulator, directory, CONTENT, &["--log"]).await?;
        let providers = directory.join("providers");
        let arguments = provider_arguments(&cloud.addresses, directory);
        page.heading("1. The provider starts, as on a node")?;
        for argument in &arguments {
            let short = argument.replace(&directory.display().to_string(), "DIR");
            page.block(5, &short)?;
        }
        fs::create_dir(&providers)?;
        let socket = providers.join("alibabacloud.sock");
        let mut provider = Process::start(&programs.provider, &arguments, directory)?;
        let answering = async || {
            let driver = Driver::connect(&socket).await.ok()?;
            let version = driver.version().await.ok()?;
            Some((driver, version))
        };
        let (driver, version) = provider.until("its socket answered", answering).await?;
        page.gap()?;
        page.field(
            "on its socket",
            &format!(
                "{} {}, API {}",
                version.runtime_name, version.runtime_version, version.version
            ),
        )?;
        let volumes = directory.join("pods");
        Ok(Self { cloud, driver, provider, _emulator: emulator, socket, volumes })
    }

    /// As kubelet does: the pod gets a token for STS, and a directory for its volume.
    pub(crate) async fn admit(&self, mut pod: Pod) -> Result<Pod, Fault> {
        let (token, expires) = self.cloud.pod_token(&pod.volume).await?;
        pod.volume = pod.volume.token(AUDIENCE, &token, &expires);
        pod.directory = self.volumes.join(&pod.volume.pod);
        fs::create_dir_all(&pod.directory)?;
        Ok(pod)
    }

    pub(crate) async fn mount(&mut self, pod: &Pod) -> Result<Mounted, Fault> {
        let outcome = self.driver.mount(&pod.volume).await;
        let written = match &outcome {
            Ok(volume) => volume.publish(&pod.directory)?,
            Err(_) => false,
        };
        Ok(Mounted { outcome, written, calls: self.cloud.new_calls().await? })
    }
}

fn provider_arguments(cloud: &Addresses, directory: &Path) -> Vec<String> {
    vec![
        format!("--provider-volume={}", directory.join("providers").display()),
        "--region=cn-hangzhou".to_owned(),
        format!("--oidc-provider-arn={OIDC_PROVIDER}"),
        format!("--kubernetes-api=http://{}", cloud.kubernetes),
        format!("--ca-file={}", directory.join("ca/ca.pem").display()),
        format!("--resolve=*.aliyuncs.com={}", cloud.https),
        "--refresh-interval=0".to_owned(),
        "--healthz-address=127.0.0.1".to_owned(),
        "--healthz-port=0".to_owned(),
    ]
}
