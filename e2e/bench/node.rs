//! The provider as a process, as the chart starts it on a node.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use emulator::fetch;
use http_body_util::Full;
use hyper::Request;
use tempfile::TempDir;
use tokio::net::UnixStream;

use crate::{
    Fault,
    cgroup::Cgroup,
    cloud::Cloud,
    content::{OIDC_PROVIDER, REGION},
    driver::Driver,
    processes::Process,
    usage::Usage,
};

/// So that one connection's lock is not what is measured.
const CONNECTIONS: usize = 4;
const POLL: Duration = Duration::from_micros(100);
const PATIENCE: Duration = Duration::from_secs(10);
const TASKS: &str = "csi_provider_alibabacloud_tasks ";

/// Where it runs, if not as any process.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place<'a> {
    pub(crate) cgroup: Option<&'a Cgroup>,
    /// Entries of `--resolve` before that of the whole cloud.
    pub(crate) resolve: Option<&'a str>,
}

pub(crate) struct Node {
    pub(crate) drivers: Vec<Driver>,
    /// From the start of the program to its first answer.
    pub(crate) started_in: Duration,
    process: Process,
    ca_file: String,
    _directory: TempDir,
}

impl Node {
    pub(crate) async fn start(
        program: &Path,
        cloud: &Cloud,
        flags: &[&str],
    ) -> Result<Self, Fault> {
        Self::start_in(Place::default(), program, cloud, flags).await
    }

    pub(crate) async fn start_in(
        place: Place<'_>,
        program: &Path,
        cloud: &Cloud,
        flags: &[&str],
    ) -> Result<Self, Fault> {
        let directory = TempDir::with_prefix("alibabacloud-bench-node-")?;
        let providers = directory.path().join("providers");
        fs::create_dir(&providers)?;
        let socket = providers.join("alibabacloud.sock");
        let mut arguments = arguments(&providers, &cloud.addresses.kubernetes.to_string());
        arguments.push(format!("--ca-file={}", cloud.ca_file()));
        let resolve = place.resolve.map(|first| format!("{first},")).unwrap_or_default();
        let resolve = format!("--resolve={resolve}*.aliyuncs.com={}", cloud.addresses.https);
        arguments.push(resolve);
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let started = Instant::now();
        let process = match place.cgroup {
            None => Process::start(program, &arguments, directory.path())?,
            Some(cgroup) => {
                // It comes in before it becomes the program, which never is anywhere else then.
                let enter = |door: PathBuf| format!("echo $$ >{} && ", door.display());
                let script = cgroup.doors().map(enter).collect::<String>() + "exec \"$@\"";
                let shell = ["-c".to_owned(), script, "sh".to_owned()];
                let program = program.display().to_string();
                let all: Vec<_> = shell.into_iter().chain([program]).chain(arguments).collect();
                Process::start(Path::new("/bin/sh"), &all, directory.path())?
            }
        };
        while UnixStream::connect(&socket).await.is_err() {
            if started.elapsed() > PATIENCE {
                return Err(format!("no socket: {}", process.log()?).into());
            }
            tokio::time::sleep(POLL).await;
        }
        let first = Driver::connect(&socket).await?;
        first.version().await?;
        let started_in = started.elapsed();
        let mut drivers = vec![first];
        while drivers.len() < CONNECTIONS {
            drivers.push(Driver::connect(&socket).await?);
        }
        let ca_file = cloud.ca_file().to_owned();
        Ok(Self { drivers, started_in, process, ca_file, _directory: directory })
    }

    /// The connection that the driver would use.
    pub(crate) fn driver(&self) -> Result<&Driver, Fault> {
        Ok(self.drivers.first().ok_or("there is no connection")?)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn usage(&self) -> Result<Usage, Fault> {
        Usage::of(self.process.id())
    }

    /// Where its metrics are; to be asked once, before the log is long.
    pub(crate) fn metrics(&self) -> Result<String, Fault> {
        let log = self.process.log()?;
        let line = log.lines().find(|line| line.contains("serving probes and metrics"));
        let admin = line.and_then(|line| line.split("address=").nth(1)?.split(' ').next());
        Ok(format!("http://{}/metrics", admin.ok_or("the admin port's address is unknown")?))
    }

    /// All metrics, from where they are.
    pub(crate) async fn told(&self, metrics: &str) -> Result<String, Fault> {
        let request = Request::builder().uri(metrics).body(Full::new(Bytes::new()))?;
        let (_, text) = fetch::send(request, Some(&self.ca_file)).await?;
        Ok(String::from_utf8(text.to_vec())?)
    }

    pub(crate) async fn tasks(&self, metrics: &str) -> Result<u64, Fault> {
        let text = self.told(metrics).await?;
        let tasks = text.lines().find_map(|line| line.strip_prefix(TASKS)?.trim().parse().ok());
        Ok(tasks.ok_or("the metrics tell of no tasks")?)
    }
}

/// The flags that name no place of the cloud but its Kubernetes API.
pub(crate) fn arguments(providers: &Path, kubernetes: &str) -> Vec<String> {
    vec![
        format!("--provider-volume={}", providers.display()),
        format!("--region={REGION}"),
        format!("--oidc-provider-arn={OIDC_PROVIDER}"),
        format!("--kubernetes-api=http://{kubernetes}"),
        "--healthz-address=127.0.0.1".to_owned(),
        "--healthz-port=0".to_owned(),
    ]
}
