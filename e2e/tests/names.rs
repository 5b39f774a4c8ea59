//! Names and addresses as clusters have them: DNS that answers with errors or not at all, a family
//! that leads nowhere, IPv6 alone. The program runs in a network of its own, where the name server
//! and the cloud are the test's.

use std::{
    env,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use emulator::{
    Config as CloudConfig, Emulator, Options,
    dns::{NameServer, Reply},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    driver::Driver,
    http_proxy::HttpProxy,
    process::pod,
    program::{Process, StandardError, program},
    world::OIDC_PROVIDER,
};

const INSIDE: &str = "NAMES_TEST_INSIDE";
/// An address whose packets the loopback device drops.
const SILENT: &str = "192.0.2.1";

/// Runs the test again in a network and a mount namespace of its own, with this `/etc/resolv.conf`;
/// returns whether that is where it runs now. `network` is a script, run once the loopback is up.
fn inside(test: &str, resolv_conf: &str, network: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let folder = TempDir::new().unwrap();
    let files = ["resolv.conf", "hosts"].map(|name| folder.path().join(name));
    std::fs::write(&files[0], resolv_conf).unwrap();
    std::fs::write(&files[1], "127.0.0.1 localhost\n::1 localhost\n").unwrap();
    let script = format!(
        "set -e; mount --bind {} /etc/resolv.conf; mount --bind {} /etc/hosts; \
         ip link set lo up; {network}\nexec \"$@\"",
        files[0].display(),
        files[1].display()
    );
    let output = Command::new("unshare")
        .args(["--net", "--mount", "sh", "-c", &script, "sh"])
        .arg(env::current_exe().unwrap())
        // With one thread the test would not have its name, by which `run-static` knows it.
        .args(["--exact", &format!("names::{test}"), "--nocapture", "--test-threads=2"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare, of util-linux, is needed");
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    eprintln!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "is this not root?");
    false
}

/// The program, with defaults wherever the network does not matter.
struct Running {
    directory: TempDir,
    process: Process,
    stderr: StandardError,
}

impl Running {
    fn start(emulator: &Emulator, more: &[String]) -> Self {
        let directory = TempDir::new().unwrap();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, emulator.ca_pem()).unwrap();
        let mut command = program();
        command
            .arg(format!("--provider-volume={}", directory.path().display()))
            .arg(format!("--oidc-provider-arn={OIDC_PROVIDER}"))
            .arg(format!("--ca-file={}", ca.display()))
            .arg("--log-level=debug")
            .args(more);
        if !more.iter().any(|flag| flag.starts_with("--sandbox=")) {
            command.arg("--sandbox=require");
        }
        let stderr = StandardError::of(&mut command);
        let process = Process::start(&mut command);
        Self { directory, process, stderr }
    }

    /// With the region, and without look-ups of ServiceAccounts.
    fn simple(emulator: &Emulator, more: &[&str]) -> Self {
        let common = ["--region=cn-hangzhou", "--service-account-lookup=false"];
        let all: Vec<_> = common.iter().chain(more).map(|flag| (*flag).to_owned()).collect();
        Self::start(emulator, &all)
    }

    async fn driver(&mut self) -> Driver {
        let socket: PathBuf = self.directory.path().join("alibabacloud.sock");
        for _ in 0..1000 {
            if let Ok(driver) = Driver::connect(&socket).await
                && driver.version().await.is_ok()
            {
                return driver;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it does not serve");
    }

    /// Mounts a volume for the first time, and how long that took.
    async fn mount(&mut self, emulator: &Emulator) -> Duration {
        let driver = self.driver().await;
        let volume = pod(emulator);
        let started = Instant::now();
        let mounted = driver.mount(&volume).await;
        let took = started.elapsed();
        assert_eq!(mounted.expect("no mount").text("password"), "planted-password-web");
        took
    }

    /// The reason of a mount that fails.
    async fn refusal(&mut self, emulator: &Emulator) -> String {
        let volume = pod(emulator);
        self.driver().await.mount(&volume).await.unwrap_err().message().to_owned()
    }

    /// Ends it and returns what it logged.
    async fn ended(mut self) -> String {
        self.process.terminate();
        let status = self.process.ended().await;
        let log = String::from_utf8(self.stderr.all()).unwrap();
        assert!(status.success(), "{status}: {log}");
        log
    }
}

/// The cloud at the standard ports of these addresses.
async fn cloud_at(https: &str) -> Emulator {
    let any = SocketAddr::new(https.parse().unwrap(), 0);
    let options = Options {
        https: SocketAddr::new(any.ip(), 443),
        http: any,
        metadata: any,
        kubernetes: any,
        control: any,
        ..Options::default()
    };
    let config = CloudConfig::from_yaml(include_str!("cloud.yaml")).unwrap();
    Emulator::start_with(config, options).await.unwrap()
}

async fn name_server() -> NameServer {
    NameServer::start(([127, 0, 0, 1], 53).into(), |_| Reply::Refused).await.unwrap()
}

fn addresses(texts: &[&str]) -> Reply {
    Reply::Addresses(texts.iter().map(|text| text.parse().unwrap()).collect())
}

const CLUSTER: &str = "nameserver 127.0.0.1\n\
    search kube-system.svc.cluster.local svc.cluster.local cluster.local corp.example\n\
    options ndots:5\n";

#[tokio::test]
async fn program_mounts_when_aaaa_fails() {
    if !inside("program_mounts_when_aaaa_fails", CLUSTER, "") {
        return;
    }
    let emulator = cloud_at("127.0.0.1").await;
    let server = name_server().await;
    for failure in [Reply::NxDomain, Reply::ServFail, Reply::Refused, Reply::Drop] {
        let failed = failure.clone();
        server.change(move |asked| match asked.v6 {
            true => failed.clone(),
            false => addresses(&["127.0.0.1"]),
        });
        let mut running = Running::simple(&emulator, &[]);
        let took = running.mount(&emulator).await;
        assert!(took < Duration::from_secs(1), "{failure:?} {took:?}");
        let names: Vec<_> = server.asked().into_iter().map(|asked| asked.name).collect();
        let complete = |name: &String| name.ends_with(".cn-hangzhou.aliyuncs.com");
        assert!(names.iter().all(complete), "{names:?}");
        running.ended().await;
    }
}

#[tokio::test]
async fn program_mounts_when_a_search_domain_fails() {
    if !inside("program_mounts_when_a_search_domain_fails", CLUSTER, "") {
        return;
    }
    let emulator = cloud_at("127.0.0.1").await;
    let server = name_server().await;
    for failure in [Reply::ServFail, Reply::Refused, Reply::Drop] {
        let failed = failure.clone();
        server.change(move |asked| match &*asked.name {
            "kms.kube-system.svc.cluster.local" => failed.clone(),
            "kms" => addresses(&["127.0.0.1"]),
            name if name.ends_with(".aliyuncs.com") => addresses(&["127.0.0.1"]),
            _ => Reply::NxDomain,
        });
        let mut running = Running::simple(&emulator, &["--kms-endpoint=kms"]);
        running.mount(&emulator).await;
        running.ended().await;
    }
}

#[tokio::test]
async fn program_says_what_is_wrong_with_a_name() {
    if !inside("program_says_what_is_wrong_with_a_name", CLUSTER, "") {
        return;
    }
    let emulator = cloud_at("127.0.0.1").await;
    let server = name_server().await;
    for (reply, seconds, reason) in [
        (Reply::NxDomain, 1, "the host name does not exist"),
        (addresses(&[]), 1, "the host name has no address"),
        (Reply::Refused, 1, "the name servers answer with an error"),
        // A look-up has 5 s.
        (Reply::Drop, 6, "the name servers do not answer"),
    ] {
        server.change(move |_| reply.clone());
        let timeout = format!("--mount-timeout={seconds}");
        let mut running = Running::simple(&emulator, &[&timeout]);
        let said = running.refusal(&emulator).await;
        assert!(said.contains(reason), "no {reason:?} in {said:?}");
        running.ended().await;
    }
}

/// Landlock knows files, and not their names.
#[tokio::test]
async fn resolv_conf_that_the_sandbox_cannot_read_again_is_warned_of_once() {
    // In /etc itself, since nothing can take the place of what is mounted.
    let own_etc = "etc=$(mktemp -d); mount -t tmpfs none $etc; cp -a /etc/. $etc; \
                   mount --move $etc /etc; rmdir $etc";
    let name = "resolv_conf_that_the_sandbox_cannot_read_again_is_warned_of_once";
    if !inside(name, "nameserver 127.0.0.99\n", own_etc) {
        return;
    }
    let emulator = cloud_at("127.0.0.1").await;
    let server = name_server().await;
    server.change(|_| addresses(&["127.0.0.1"]));
    for sandbox in ["require", "off"] {
        let replace = |text: &str| {
            std::fs::write("/etc/new", text).unwrap();
            std::fs::rename("/etc/new", "/etc/resolv.conf").unwrap();
        };
        replace("nameserver 127.0.0.99\n");
        let mut running = Running::simple(&emulator, &[&format!("--sandbox={sandbox}")]);
        let silent = "the name servers do not answer";
        assert!(running.refusal(&emulator).await.contains(silent));
        replace(CLUSTER);
        if sandbox == "off" {
            running.mount(&emulator).await;
        } else {
            assert!(running.refusal(&emulator).await.contains(silent));
            assert!(running.refusal(&emulator).await.contains(silent));
        }
        let log = running.ended().await;
        let warnings = log.matches("cannot be read, so what was read before is used").count();
        assert_eq!(warnings, usize::from(sandbox == "require"), "{log}");
    }
}

#[tokio::test]
async fn program_connects_by_the_family_that_leads_somewhere() {
    let silent = format!("ip route add {SILENT}/32 dev lo");
    if !inside("program_connects_by_the_family_that_leads_somewhere", CLUSTER, &silent) {
        return;
    }
    let (v4, v6) = (cloud_at("127.0.0.1").await, cloud_at("::1").await);
    let server = name_server().await;
    for (emulator, given) in [
        // No packet comes back, and there is no route.
        (&v6, [SILENT, "::1"]),
        (&v6, ["198.51.100.1", "::1"]),
        (&v4, ["127.0.0.1", "2001:db8::1"]),
    ] {
        server.change(move |_| addresses(&given));
        let mut running = Running::simple(emulator, &[]);
        let took = running.mount(emulator).await;
        assert!(took < Duration::from_secs(2), "{given:?} {took:?}");
        running.ended().await;
    }
}

#[tokio::test]
async fn program_serves_where_there_is_ipv6_alone() {
    let network = "ip -4 address flush dev lo; ip address add fd00::1/128 dev lo nodad";
    if !inside("program_serves_where_there_is_ipv6_alone", "nameserver ::1\n", network) {
        return;
    }
    let emulator = cloud_at("::1").await;
    let server = NameServer::start("[::1]:53".parse().unwrap(), |asked| match &*asked.name {
        // By --resolve instead.
        "sts-vpc.cn-hangzhou.aliyuncs.com" => Reply::NxDomain,
        _ => addresses(&["::1"]),
    });
    let _server = server.await.unwrap();
    // Region, role and every address from IPv6.
    let flags = [
        format!("--metadata-endpoint=[::1]:{}", emulator.metadata_addr().port()),
        format!("--kubernetes-api=http://[::1]:{}", emulator.kubernetes_addr().port()),
        "--resolve=sts-vpc.cn-hangzhou.aliyuncs.com=[::1]".to_owned(),
    ];
    let mut running = Running::start(&emulator, &flags);
    running.mount(&emulator).await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        for address in ["::1", "fd00::1"] {
            assert_eq!(status(address, path).await, 200, "{address} {path}");
        }
    }
    let log = running.ended().await;
    assert!(log.contains("address=[::]:8989"), "{log}");

    // The literal is the host that is signed, and that the certificate is checked for.
    let mut flags = flags.to_vec();
    flags.push("--kms-endpoint=[::1]:443".to_owned());
    flags[2] = "--resolve=*.aliyuncs.com=::1".to_owned();
    let mut running = Running::start(&emulator, &flags);
    emulator.clear_requests();
    running.mount(&emulator).await;
    let hosts: Vec<_> = emulator.requests().into_iter().map(|request| request.host).collect();
    assert!(hosts.contains(&"[::1]:443".to_owned()), "{hosts:?}");
    running.ended().await;
}

/// As in a cluster without IPv4: a link-local name server, and no instance metadata. The cloud's names have A
/// records all the same, as its own name servers give them, or have not.
#[tokio::test]
async fn program_mounts_by_ipv6_alone_whatever_ipv4_addresses_the_names_have() {
    let network = "ip -4 address flush dev lo; ip address add fd00::1/128 dev lo nodad; \
                   ip address add fe80::53/64 dev lo nodad";
    let name = "program_mounts_by_ipv6_alone_whatever_ipv4_addresses_the_names_have";
    if !inside(name, "nameserver fe80::53%lo\n", network) {
        return;
    }
    assert!(TcpStream::connect("127.0.0.1:53").await.is_err(), "there is IPv4");
    let emulator = cloud_at("fd00::1").await;
    let at = "[fe80::53%1]:53".parse().unwrap();
    let server = NameServer::start(at, |_| Reply::Refused).await.unwrap();
    let kubernetes = format!("--kubernetes-api=http://{}", emulator.kubernetes_addr());
    let flags = ["--region=cn-hangzhou".to_owned(), kubernetes];
    for given in [vec!["fd00::1"], vec!["198.51.100.1", "127.0.0.1", "fd00::1"]] {
        let told = given.clone();
        server.change(move |_| addresses(&told));
        let mut running = Running::start(&emulator, &flags);
        let took = running.mount(&emulator).await;
        assert!(took < Duration::from_secs(2), "{given:?} {took:?}");
        assert_eq!(status("fd00::1", "/readyz").await, 200);
        running.ended().await;
    }
    assert!(emulator.requests().iter().all(|request| request.service != "metadata"));

    // The proxy looks the names up by itself.
    server.change(|_| Reply::NxDomain);
    let proxy = HttpProxy::at("fd00::1", emulator.https_addr()).await;
    let through = format!("--https-proxy=http://{}", proxy.address);
    let public = "--public-endpoints".to_owned();
    let mut running = Running::start(&emulator, &[&flags[..], &[through, public]].concat());
    running.mount(&emulator).await;
    let lines: Vec<_> = proxy.requests().into_iter().map(|(line, _)| line).collect();
    assert!(
        !lines.is_empty() && lines.iter().all(|line| line.starts_with("CONNECT ")),
        "{lines:?}"
    );
    running.ended().await;
}

async fn status(address: &str, path: &str) -> u16 {
    let address: IpAddr = address.parse().unwrap();
    let mut stream = TcpStream::connect((address, 8989)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// A healthy name whose AAAA nobody answers, and one that is not there.
#[tokio::test]
async fn doctor_says_what_each_name_server_says_of_a_and_aaaa() {
    if !inside("doctor_says_what_each_name_server_says_of_a_and_aaaa", CLUSTER, "") {
        return;
    }
    let emulator = cloud_at("127.0.0.1").await;
    let server = name_server().await;
    server.change(|asked| match (&*asked.name, asked.v6) {
        ("sts-vpc.cn-hangzhou.aliyuncs.com", true) => Reply::Drop,
        ("kms-vpc.cn-hangzhou.aliyuncs.com", _) => Reply::NxDomain,
        (_, true) => addresses(&[]),
        (_, false) => addresses(&["127.0.0.1"]),
    });
    let directory = TempDir::new().unwrap();
    let ca = directory.path().join("ca.pem");
    std::fs::write(&ca, emulator.ca_pem()).unwrap();
    let flags = ["--region=cn-hangzhou", "--service-account-lookup=false", "--timeout=5"];
    let ca = format!("--ca-file={}", ca.display());
    // Here, for run-static to know which test it is.
    let mut doctor = program();
    doctor.arg("doctor").args(flags).args(["--metadata-endpoint=127.0.0.1:1", &ca]);
    let output = tokio::task::spawn_blocking(move || doctor.output().unwrap()).await.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let of = |host: &str| {
        let line = said.lines().position(|line| line.contains(&format!("{host}: ")));
        said.lines().skip(line.unwrap()).take(3).collect::<Vec<_>>().join("\n")
    };
    let sts = of("names            STS sts-vpc.cn-hangzhou.aliyuncs.com");
    assert!(
        sts.starts_with("warn") && sts.contains("127.0.0.1:53 gives no answer for AAAA"),
        "{sts}"
    );
    assert!(sts.contains("A: 127.0.0.1 in ") && sts.contains("AAAA: no answer in "), "{sts}");
    let kms = of("names            KMS kms-vpc.cn-hangzhou.aliyuncs.com");
    assert!(kms.starts_with("broken") && kms.contains("does not exist"), "{kms}");
    assert!(kms.contains("fix: check the region") && kms.contains("--public-endpoints"), "{kms}");
    let oos = of("names            OOS oos-vpc.cn-hangzhou.aliyuncs.com");
    assert!(oos.starts_with("ok") && oos.contains("AAAA: none in "), "{oos}");
    assert_eq!(output.status.code(), Some(1));
}
