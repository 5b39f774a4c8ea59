//! The program as a process: configuration, signals, exit status, its socket's life, its logs.

use std::{
    net::TcpListener,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use emulator::{Emulator, Fault, FaultEffect};
use tempfile::TempDir;

use crate::{
    driver::{Driver, PodVolume},
    program::{Process, StandardError, program},
    world::{AUDIENCE, OIDC_PROVIDER, Setup, canaries, cloud, configure},
};

fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let Output { status, stdout, stderr } =
        program().args(arguments).envs(environment.iter().copied()).output().unwrap();
    let said = [stdout, stderr].concat();
    (status.code().unwrap(), String::from_utf8(said).unwrap())
}

#[test]
fn all_mistakes_of_the_configuration_are_told_together_with_exit_64() {
    let (status, said) = run(
        &[
            "--region=Hangzhou",
            "--healthz-port=http",
            "--allowed-identities=pod,root",
            "--default-identity=provider",
            "--kms-endpoint=https://kms.example",
            "--ca-file=/no/such/file",
            "--oidc-provider-arn=acs:ram::1:oidc-provider/a",
            "--mount-timeout=600",
            "--resolve=kms.example",
            "--audit=audit.log",
            "--audit-failure=maybe",
            "--outage-grace=24h",
            "--min-refresh-interval=25h",
            "--value-cache-mib=0",
            "--sandbox=please",
            "--audit-key-file=/no/such/key",
        ],
        &[
            ("ALICLOUD_ROLE_ARN", "acs:ram::1:role/a"),
            ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/b"),
            ("ALICLOUD_ROLE_SESSION_EXPIRATION", "60"),
            ("ALICLOUD_ACCOUNT_ID", "1"),
            ("ALICLOUD_CLUSTER_ID", "b"),
            ("SECRET_ACCESS_KEY", "planted-secret-access-key"),
            ("ALIBABACLOUD_PROVIDER_LOG_FORMAT", "xml"),
        ],
    );
    assert_eq!(status, 64, "{said}");
    for part in [
        "--region must be a region id",
        "--healthz-port must be a port",
        "--allowed-identities must be any of",
        "--default-identity is provider, which --allowed-identities does not allow",
        "--kms-endpoint must be a host name",
        "--ca-file: /no/such/file cannot be read",
        "--oidc-provider-arn is another provider",
        "--mount-timeout must be a number of seconds",
        "--resolve must be HOST=IP",
        "--audit must be off, stdout or a path",
        "--audit-failure must be refuse or continue",
        "--outage-grace needs values in memory, and --value-cache-mib is 0",
        "--min-refresh-interval must be 0, or one number with s, m or h, such as 30s, 5m, 1h, up to 24h",
        "--sandbox must be auto, require or off",
        "--audit-key-file: /no/such/key cannot be read",
        "ALICLOUD_ROLE_ARN and ALIBABA_CLOUD_ROLE_ARN are set and differ",
        "ALICLOUD_ROLE_SESSION_EXPIRATION (--role-session-expiration) must be",
        "SECRET_ACCESS_KEY is set, ACCESS_KEY_ID is not",
        "ALIBABACLOUD_PROVIDER_LOG_FORMAT (--log-format) must be text or json",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert!(!said.contains("planted"), "{said}");
}

#[test]
fn max_refresh_interval_below_another_interval_shows_both_and_who_set_them() {
    let own = "ALIBABACLOUD_PROVIDER_MAX_REFRESH_INTERVAL";
    for (arguments, environment, told) in [
        (
            &["--max-refresh-interval=1m"][..],
            &[][..],
            "--max-refresh-interval (1m) is less than --refresh-interval (5m, the default): lower \
             that too, or raise this",
        ),
        (
            &["--refresh-interval=0", "--min-refresh-interval=2m"],
            &[(own, "1m")],
            "ALIBABACLOUD_PROVIDER_MAX_REFRESH_INTERVAL (--max-refresh-interval, 1m) is less than \
             --min-refresh-interval (2m): lower",
        ),
    ] {
        let (status, said) = run(arguments, environment);
        assert_eq!(status, 64, "{said}");
        assert!(said.contains(told), "{said}");
        assert_eq!(said.matches("is less than").count(), 1, "{said}");
    }
    let (_, said) = run(&["--max-refresh-interval=1m", "--refresh-interval=soon"], &[]);
    assert!(said.contains("--refresh-interval must be") && !said.contains("less than"), "{said}");
}

#[test]
fn help_teaches_and_shows_no_value_of_the_environment() {
    let secret =
        [("SECRET_ACCESS_KEY", "planted-key"), ("ALIBABACLOUD_PROVIDER_REGION", "planted")];
    let (status, help) = run(&["--help"], &secret);
    assert_eq!(status, 0);
    for part in [
        "--provider-volume",
        "--healthz-port",
        "--healthz-path",
        "--region",
        "--max-concurrent-kms-secret-pulls",
        "--max-concurrent-oos-secret-pulls",
        "--allowed-identities",
        "ALIBABACLOUD_PROVIDER_",
        "ALICLOUD_OIDC_PROVIDER_ARN",
        "ACCESS_KEY_ID",
    ] {
        assert!(help.contains(part), "no {part} in {help}");
    }
    assert!(!help.contains("planted"), "{help}");
    assert_eq!(run(&["--version"], &[]).0, 0);
    let (status, said) = run(&["--regoin=cn-hangzhou"], &[]);
    assert_eq!(status, 64);
    assert!(said.contains("--region"), "{said}");
}

#[test]
fn what_cannot_be_started_is_said_with_exit_1() {
    let directory = TempDir::new().unwrap();
    let volume = format!("--provider-volume={}", directory.path().display());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let oidc = format!("--oidc-provider-arn={OIDC_PROVIDER}");
    let api = "--kubernetes-api=http://127.0.0.1:1";
    let arguments = [&volume, &oidc, api, "--region=cn-hangzhou", "--healthz-address=127.0.0.1"];
    let (status, said) = run(&[&arguments[..], &["--healthz-port", &port]].concat(), &[]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains(&format!("port {port}")), "{said}");

    std::fs::write(directory.path().join("alibabacloud.sock"), "not a socket").unwrap();
    let (status, said) = run(&[&arguments[..], &["--healthz-port=0"]].concat(), &[]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("alibabacloud.sock"), "{said}");

    let nobody = format!("--metadata-endpoint=127.0.0.1:{port}");
    drop(taken);
    let (status, said) = run(&[&volume, &oidc, api, &nobody, "--healthz-port=0"], &[]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("no --region is given"), "{said}");
}

#[test]
fn start_without_root_certificates_fails_and_says_what_to_give() {
    let directory = TempDir::new().unwrap();
    let volume = format!("--provider-volume={}", directory.path().display());
    let empty = directory.path().join("certs");
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(empty.join("README"), "no certificate").unwrap();
    let folders = format!("{}:/no/such/folder", empty.display());
    for variable in [("SSL_CERT_DIR", folders.as_str()), ("SSL_CERT_FILE", "/no/such/file")] {
        let oidc = format!("--oidc-provider-arn={OIDC_PROVIDER}");
        let lookup = "--service-account-lookup=false";
        let arguments = [&volume, &oidc, lookup, "--region=cn-hangzhou", "--healthz-port=0"];
        let (status, said) = run(&arguments, &[variable]);
        assert_eq!(status, 1, "{said}");
        assert!(said.contains("no root certificates are found"), "{said}");
    }
    assert!(!directory.path().join("alibabacloud.sock").exists());
}

/// The program, started the way an operator does.
pub struct Running {
    process: Process,
    socket: PathBuf,
    stderr: StandardError,
}

impl Running {
    pub async fn start(emulator: &Emulator, directory: &Path, more: &[&str]) -> Self {
        Self::start_with(emulator, directory, more, |_| ()).await
    }

    pub async fn start_with(
        emulator: &Emulator,
        directory: &Path,
        more: &[&str],
        how: impl FnOnce(&mut Command),
    ) -> Self {
        let ca = directory.join("ca.pem");
        std::fs::write(&ca, emulator.ca_pem()).unwrap();
        let volume = directory.join("providers");
        let mut command = program();
        command
            .arg(format!("--provider-volume={}", volume.display()))
            .args(["--healthz-port=0", "--healthz-address=127.0.0.1", "--region=cn-hangzhou"])
            .arg("--service-account-lookup=false")
            .env("ALIBABACLOUD_PROVIDER_LOG_LEVEL", "trace")
            .arg(format!("--oidc-provider-arn={OIDC_PROVIDER}"))
            .arg(format!("--resolve=*.aliyuncs.com={}", emulator.https_addr()))
            .args(more)
            // Where OpenSSL's users put theirs.
            .env("SSL_CERT_FILE", &ca)
            .stdout(std::fs::File::create(directory.join("stdout")).unwrap());
        how(&mut command);
        let stderr = StandardError::of(&mut command);
        let process = Process::start(&mut command);
        Self { process, socket: volume.join("alibabacloud.sock"), stderr }
    }

    pub async fn driver(&mut self) -> Driver {
        let ready = async {
            loop {
                if let Ok(driver) = Driver::connect(&self.socket).await
                    && driver.version().await.is_ok()
                {
                    return driver;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), ready).await.expect("it does not serve")
    }

    /// The address of its admin port, as its log in text has it.
    pub async fn admin(&mut self) -> String {
        self.stderr.between("probes and metrics address=", ' ', &mut self.process).await
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub fn terminate(&self) {
        self.process.terminate();
    }

    /// Exit status and all that it logged.
    pub async fn ended(mut self) -> (i32, String) {
        let status = self.process.ended().await.code().unwrap_or(-1);
        (status, String::from_utf8(self.stderr.all()).unwrap())
    }
}

/// What tells the socket at a path from another that takes its place.
pub fn inode(path: &Path) -> Option<u64> {
    std::fs::symlink_metadata(path).ok().map(|socket| socket.ino())
}

pub fn pod(emulator: &Emulator) -> PodVolume {
    let volume = PodVolume::new("shop", "web", "web-1")
        .objects("- objectName: web/plain\n- objectName: web/db\n  jmesPath: [{path: password, objectAlias: password}]\n")
        .parameter("roleArn", "acs:ram::1234567890123456:role/web");
    let hour = Duration::from_secs(3600);
    let token = emulator.pod_token("shop", "web", "web-1", "uid", AUDIENCE, hour);
    volume.token(AUDIENCE, &token, "2126-01-01T00:00:00Z")
}

#[tokio::test]
async fn sigterm_finishes_what_is_in_flight_and_leaves_nothing_behind() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let mut running = Running::start(&emulator, directory.path(), &["--log-format=json"]).await;
    let driver = running.driver().await;
    let kind = std::fs::symlink_metadata(&running.socket).unwrap();
    assert!(kind.file_type().is_socket());
    assert_eq!(kind.permissions().mode() & 0o777, 0o600);
    let volume = pod(&emulator);
    driver.mount(&volume).await.unwrap();
    emulator.add_fault(Fault {
        service: Some("kms".to_owned()),
        effect: FaultEffect::Latency { ms: 1500 },
        ..Fault::default()
    });
    emulator.clear_requests();
    let slow = tokio::spawn({
        let (driver, volume) = (driver.clone(), volume.clone());
        async move { driver.mount(&volume).await }
    });
    // In flight for sure: the provider counts it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.terminate();
    assert_eq!(slow.await.unwrap().unwrap().text("password"), "planted-password-web");
    let socket = running.socket.clone();
    let (status, log) = running.ended().await;
    assert_eq!(status, 0, "{log}");
    assert!(!socket.exists());
    // A real process, at trace level, in JSON.
    assert!(
        log.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()).count()
            > 50
    );
    assert!(log.contains("\"level\":\"TRACE\""));
    let leaked = canaries(&emulator).into_iter().find(|canary| log.contains(canary.as_str()));
    assert_eq!(leaked, None);
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect(what);
}

#[tokio::test]
async fn second_sigterm_ends_a_drain_at_once() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let more = ["--drain-timeout=600", "--log-level=info"];
    let mut running = Running::start(&emulator, directory.path(), &more).await;
    let driver = running.driver().await;
    let volume = pod(&emulator);
    driver.mount(&volume).await.unwrap();
    emulator.add_fault(Fault {
        service: Some("kms".to_owned()),
        effect: FaultEffect::Hang,
        ..Fault::default()
    });
    // Not from memory.
    let volume = volume.parameter("refreshInterval", "0");
    let seen = emulator.requests().len();
    let slow = tokio::spawn(async move { driver.mount(&volume).await });
    until("the read is under way", || emulator.requests().len() > seen).await;
    running.terminate();
    until("the socket is gone", || !running.socket.exists()).await;
    running.terminate();
    let (status, log) = running.ended().await;
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("draining: mounts in flight have up to 600 s; a second signal"), "{log}");
    assert!(log.contains("a second signal came before the drain was over"), "{log}");
    assert!(slow.await.unwrap().is_err());
}

/// A core file would hold every secret of the node's pods, on a disk; and what belongs to the user
/// that the program runs as, other programs of that user can read.
#[tokio::test]
async fn the_process_leaves_no_core_file() {
    const SOMEBODY: u32 = 65534;
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    chown(directory.path(), Some(SOMEBODY), None).expect("run this test as root");
    let somebody = |command: &mut Command| {
        command.uid(SOMEBODY);
    };
    let mut running = Running::start_with(&emulator, directory.path(), &[], somebody).await;
    running.driver().await;
    let owners = |pid: u32| {
        let owner = |file| std::fs::metadata(format!("/proc/{pid}/{file}")).unwrap().uid();
        [owner("environ"), owner("mem"), owner("maps")]
    };
    // The control: a program that says nothing about it.
    let mut other = Command::new("sleep").arg("60").uid(SOMEBODY).spawn().unwrap();
    let of_other = owners(other.id());
    other.kill().unwrap();
    other.wait().unwrap();
    assert_eq!(of_other, [SOMEBODY; 3]);
    assert_eq!(owners(running.pid()), [0; 3]);
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    assert!(status.contains(&format!("Uid:\t{SOMEBODY}\t{SOMEBODY}\t")), "{status}");
    let limits = format!("/proc/{}/limits", running.pid());
    let limits = std::fs::read_to_string(limits).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    running.terminate();
    assert_eq!(running.ended().await.0, 0);
}

#[tokio::test]
async fn the_sandbox_leaves_the_files_that_are_used_after_the_start() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let audit = directory.path().join("records/audit.log");
    std::fs::create_dir(directory.path().join("records")).unwrap();
    let setup = Setup::default()
        .own_token()
        .flag("audit", &audit.display().to_string())
        .env("SSL_CERT_FILE", "/etc/own/ca.pem");
    let reach = configure(&emulator, directory.path(), &setup).unwrap().process.reach;
    let own = |name: &str| directory.path().join(name);
    assert_eq!(reach.write, [own("providers"), own("records")]);
    let account = PathBuf::from("/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(reach.read, [account.clone(), own(""), "/etc/own/ca.pem".into()]);
    let setup = Setup::default().env("SSL_CERT_DIR", "/etc/own/certs:/opt/certs:");
    let reach = configure(&emulator, directory.path(), &setup).unwrap().process.reach;
    assert_eq!(reach.read, [account, "/etc/own/certs".into(), "/opt/certs".into()]);
}

/// Landlock, seccomp and locked memory as this kernel has them, around everything else that is tested here.
#[tokio::test]
async fn the_program_serves_within_its_sandbox() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let audit = format!("--audit={}", directory.path().join("audit.log").display());
    let arguments = ["--sandbox=require", "--lock-memory", &audit];
    let mut running = Running::start(&emulator, directory.path(), &arguments).await;
    running.driver().await.mount(&pod(&emulator)).await.unwrap();
    for thread in std::fs::read_dir(format!("/proc/{}/task", running.pid())).unwrap() {
        let status = std::fs::read_to_string(thread.unwrap().path().join("status")).unwrap();
        for held in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.contains(held), "no {held:?} in {status}");
        }
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
    let kib = |name: &str| -> u64 {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    assert!(kib("VmLck:") > kib("VmRSS:"), "{status}");
    running.terminate();
    let (status, log) = running.ended().await;
    assert_eq!(status, 0, "{log}");
    assert!(log.contains("no_new_privileges=held files=held system_calls=held"), "{log}");
    assert!(
        std::fs::read_to_string(directory.path().join("audit.log")).unwrap().contains("web/db")
    );
}

/// A rollout: the new process takes the socket over while the old one still drains, and the old
/// one's end does not take it away.
#[tokio::test]
async fn a_successor_keeps_its_socket() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let mut old = Running::start(&emulator, directory.path(), &[]).await;
    let on_old = old.driver().await;
    let before = inode(&old.socket).unwrap();
    let mut new = Running::start(&emulator, directory.path(), &[]).await;
    let replaced = async {
        while inode(&new.socket).unwrap() == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), replaced).await.unwrap();
    on_old.mount(&pod(&emulator)).await.unwrap();
    old.terminate();
    assert_eq!(old.ended().await.0, 0);
    let driver = new.driver().await;
    driver.mount(&pod(&emulator)).await.unwrap();
    new.terminate();
    assert_eq!(new.ended().await.0, 0);
}

/// A rollout whose new process cannot start: the old one serves on.
#[tokio::test]
async fn a_start_that_fails_takes_nothing_over() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let mut old = Running::start(&emulator, directory.path(), &[]).await;
    let driver = old.driver().await;
    let before = inode(&old.socket).unwrap();
    let new = Running::start(&emulator, directory.path(), &["--audit=/proc/audit.log"]).await;
    let (status, log) = new.ended().await;
    assert_eq!(status, 1, "{log}");
    assert_eq!(inode(&old.socket), Some(before));
    driver.mount(&pod(&emulator)).await.unwrap();
    old.terminate();
    assert_eq!(old.ended().await.0, 0);
}

/// Killed without a word: the dead socket is in nobody's way.
#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let mut first = Running::start(&emulator, directory.path(), &[]).await;
    first.driver().await;
    let socket = first.socket.clone();
    drop(first);
    assert!(socket.exists());
    let mut second = Running::start(&emulator, directory.path(), &[]).await;
    second.driver().await.mount(&pod(&emulator)).await.unwrap();
    second.terminate();
    assert_eq!(second.ended().await.0, 0);
}
