//! A provider, a cloud and a driver, each its own; and everything that any of them said, searched for
//! what must never be said. The provider is the library, in the test's own process, or the program
//! that `PROVIDER_PROGRAM` names.

mod serving;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use aho_corasick::AhoCorasick;
use base64::{Engine, engine::general_purpose::STANDARD};
use emulator::{Config as CloudConfig, Emulator, Fault, RequestRecord, Taint};
use provider::{
    cloud::sign::hex,
    config::{Config, flags::Flags},
};
use tempfile::TempDir;
use tonic::Status;

use crate::{
    driver::{Driver, PodVolume, Volume},
    http_proxy::HttpProxy,
    log,
    proxy::Proxy,
};

use serving::Serving;

pub const OIDC_PROVIDER: &str =
    "acs:ram::1234567890123456:oidc-provider/ack-rrsa-c0123456789abcdef";
pub const AUDIENCE: &str = "sts.aliyuncs.com";

/// How a world differs from the usual one.
#[derive(Clone, Default)]
pub struct Setup {
    flags: Vec<String>,
    environment: Vec<(String, String)>,
    no_oidc_provider: bool,
    own_token: bool,
    public_ca_for_instances: bool,
    cloud: Vec<(&'static str, &'static str)>,
    proxied: Option<&'static str>,
    http_proxy: bool,
    node: Option<(String, Vec<Taint>)>,
    faults: Vec<Fault>,
}

impl Setup {
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.push(format!("--{name}={value}"));
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without_oidc_provider(mut self) -> Self {
        self.no_oidc_provider = true;
        self
    }

    /// A token file of the provider's own ServiceAccount.
    pub fn own_token(mut self) -> Self {
        self.own_token = true;
        self
    }

    /// Another text in the cloud's configuration.
    pub fn cloud(mut self, old: &'static str, new: &'static str) -> Self {
        self.cloud.push((old, new));
        self
    }

    /// All calls go by way of `World::proxy`.
    pub fn proxied(self) -> Self {
        self.proxied_to("*")
    }

    /// Calls to `sts`, `kms`, `oos` or `metadata` do.
    pub fn proxied_to(mut self, service: &'static str) -> Self {
        self.proxied = Some(service);
        self
    }

    /// The cloud's hosts are reached through `World::http_proxy` alone.
    pub fn http_proxy(mut self) -> Self {
        self.http_proxy = true;
        self
    }

    /// The node that the provider runs on, with its taints from before the start.
    pub fn node(self, name: &str, taints: &[(&str, &str)]) -> Self {
        let own = |(key, effect): &(&str, &str)| ((*key).to_owned(), (*effect).to_owned());
        let node = Some((name.to_owned(), taints.iter().map(own).collect()));
        Self { node, ..self }.env("NODE_NAME", name)
    }

    /// Something that goes wrong from before the start.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Trust for KMS instances as it is built in.
    pub fn built_in_instance_ca(mut self) -> Self {
        self.public_ca_for_instances = true;
        self
    }

    pub async fn start(self) -> World {
        World::start_with(self).await
    }
}

pub struct World {
    pub emulator: Emulator,
    pub driver: Driver,
    pub admin: SocketAddr,
    pub proxy: Option<Proxy>,
    pub http_proxy: Option<HttpProxy>,
    arguments: Vec<String>,
    directory: TempDir,
    serving: Serving,
    heard: Mutex<Vec<String>>,
}

impl World {
    pub async fn start() -> Self {
        Setup::default().start().await
    }

    async fn start_with(setup: Setup) -> Self {
        let directory = TempDir::new().unwrap();
        let emulator = cloud(&setup.cloud).await;
        if let Some((name, taints)) = &setup.node {
            emulator.set_taints(name, taints.clone());
        }
        for fault in &setup.faults {
            emulator.add_fault(fault.clone());
        }
        let proxy = match setup.proxied {
            Some("metadata") => Some(Proxy::to(emulator.metadata_addr()).await),
            Some(_) => Some(Proxy::to(emulator.https_addr()).await),
            None => None,
        };
        let http_proxy = match setup.http_proxy {
            true => Some(HttpProxy::to(emulator.https_addr()).await),
            false => None,
        };
        let road = proxy.as_ref().map(|proxy| proxy.address);
        let mut arguments = arguments(road, &emulator, directory.path(), &setup);
        if let Some(proxy) = &http_proxy {
            arguments.retain(|argument| !argument.starts_with("--resolve="));
            let url = format!("http://user:planted-password@{}", proxy.address);
            if !arguments.iter().any(|argument| argument.starts_with("--https-proxy=")) {
                arguments.push(format!("--https-proxy={url}"));
            }
        }
        let (serving, admin) = Serving::start(arguments.clone(), &setup).await;
        let driver = Driver::connect(&socket(directory.path())).await.unwrap();
        let heard = Mutex::default();
        Self { emulator, driver, admin, proxy, http_proxy, arguments, directory, serving, heard }
    }

    pub fn socket(&self) -> PathBuf {
        socket(self.directory.path())
    }

    /// The flags of its provider, but for where its admin port turned out to be.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = self.arguments[1..].to_vec();
        flags.retain(|flag| !flag.starts_with("--healthz-port="));
        flags.push(format!("--healthz-port={}", self.admin.port()));
        flags
    }

    /// A place of this world's own on the disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A volume of a pod in namespace `shop`, with a fresh token.
    pub fn pod(&self, service_account: &str, pod: &str) -> PodVolume {
        let volume = PodVolume::new("shop", service_account, pod);
        let token = self.token(&volume, AUDIENCE);
        volume.token(AUDIENCE, &token, "2126-01-01T00:00:00Z")
    }

    pub fn token(&self, volume: &PodVolume, audience: &str) -> String {
        let PodVolume { namespace, service_account, pod, uid, .. } = volume;
        let hour = Duration::from_secs(3600);
        self.emulator.pod_token(namespace, service_account, pod, uid, audience, hour)
    }

    /// What ServiceAccount shop/web gets for these objects.
    pub async fn web(&self, objects: &str) -> Result<Volume, Status> {
        self.mount(&self.pod("web", "web-1").objects(objects)).await
    }

    pub async fn mount(&self, volume: &PodVolume) -> Result<Volume, Status> {
        let outcome = self.driver.mount(volume).await;
        if let Err(status) = &outcome {
            self.heard.lock().unwrap().push(format!("{status:?}"));
            assert!(status.message().len() <= 900, "{}", status.message().len());
            assert_not_forbidden(status);
        }
        outcome
    }

    /// The calls that were made to the cloud for one operation.
    pub fn calls(&self, action: &str) -> Vec<RequestRecord> {
        self.emulator.requests().into_iter().filter(|r| r.action == action).collect()
    }

    /// Those at the end say all that these do, which some tests ask for hundreds of times.
    pub async fn metrics(&self) -> String {
        self.ask("/metrics").await.1
    }

    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.ask(path).await;
        self.heard.lock().unwrap().push(answer.1.clone());
        answer
    }

    async fn ask(&self, path: &str) -> (u16, String) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    /// How many pieces of work are under way: in the test's own process those of the cloud and the
    /// driver too.
    pub async fn tasks(&self) -> usize {
        if matches!(self.serving, Serving::Library { .. }) {
            return tokio::runtime::Handle::current().metrics().num_alive_tasks();
        }
        let metrics = self.metrics().await;
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("csi_provider_alibabacloud_tasks "));
        line.unwrap().parse().unwrap()
    }

    /// Ends the provider as SIGTERM does, and holds all that was said against all that is secret.
    /// Returns the audit record.
    pub async fn finish(self) -> String {
        let metrics = self.metrics().await;
        self.heard.lock().unwrap().push(metrics);
        let logs = self.serving.end().await;
        let canaries = canaries(&self.emulator);
        let searcher = AhoCorasick::new(&canaries).unwrap();
        let said = self.heard.lock().unwrap().join("\n");
        let audit =
            std::fs::read_to_string(self.directory.path().join("audit.log")).unwrap_or_default();
        for (place, text) in [
            ("log", &*logs),
            ("errors and metrics", said.as_bytes()),
            ("audit record", audit.as_bytes()),
        ] {
            if let Some(found) = searcher.find(text) {
                let around = found.start().saturating_sub(300)..(found.end() + 80).min(text.len());
                panic!(
                    "{place} holds {:?}: {}",
                    canaries[found.pattern().as_usize()],
                    String::from_utf8_lossy(&text[around])
                );
            }
        }
        assert!(!logs.is_empty(), "no logs were captured");
        audit
    }
}

pub async fn cloud(changes: &[(&str, &str)]) -> Emulator {
    let mut yaml = include_str!("cloud.yaml").to_owned();
    for (old, new) in changes {
        assert!(yaml.contains(old), "{old}");
        yaml = yaml.replace(old, new);
    }
    Emulator::start(CloudConfig::from_yaml(&yaml).unwrap()).await.unwrap()
}

/// After one of these, kubelet keeps the directory and the driver starts the pod on it, empty.
pub fn assert_not_forbidden(status: &Status) {
    use tonic::Code::*;
    let forbidden = [Unavailable, DeadlineExceeded, ResourceExhausted, Aborted, Cancelled];
    assert!(!forbidden.contains(&status.code()), "{status:?}");
}

pub fn configure(
    emulator: &Emulator,
    directory: &Path,
    setup: &Setup,
) -> Result<Config, Vec<String>> {
    parse(arguments(None, emulator, directory, setup), setup)
}

fn parse(arguments: Vec<String>, setup: &Setup) -> Result<Config, Vec<String>> {
    let flags = Flags::parse(arguments.into_iter().map(Into::into)).unwrap();
    Config::parse(&flags, &setup.environment)
}

/// The command line of a world's provider. `road` leads to what is proxied.
fn arguments(
    road: Option<SocketAddr>,
    emulator: &Emulator,
    directory: &Path,
    setup: &Setup,
) -> Vec<String> {
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (cloud, metadata) = (emulator.https_addr(), emulator.metadata_addr());
    let (resolve, metadata) = match (setup.proxied, road) {
        (Some("metadata"), Some(road)) => (format!("*.aliyuncs.com={cloud}"), road),
        (Some("*"), Some(road)) => (format!("*.aliyuncs.com={road}"), metadata),
        (Some(service), Some(road)) => {
            (format!("{service}*.aliyuncs.com={road},*.aliyuncs.com={cloud}"), metadata)
        }
        _ => (format!("*.aliyuncs.com={cloud}"), metadata),
    };
    let mut arguments = vec![
        "provider".to_owned(),
        format!("--provider-volume={}", directory.join("providers").display()),
        "--healthz-address=127.0.0.1".to_owned(),
        "--healthz-port=0".to_owned(),
        format!("--ca-file={}", write("ca.pem", &emulator.ca_pem())),
        format!("--kubernetes-api=http://{}", emulator.kubernetes_addr()),
        format!("--resolve={resolve}"),
        format!("--metadata-endpoint={metadata}"),
    ];
    if !setup.flags.iter().any(|flag| flag.starts_with("--region")) {
        arguments.push("--region=cn-hangzhou".to_owned());
    }
    // What most tests are about is what the cloud answers.
    if !setup.flags.iter().any(|flag| flag.starts_with("--refresh-interval")) {
        arguments.push("--refresh-interval=0".to_owned());
    }
    if !setup.flags.iter().any(|flag| flag.starts_with("--audit=")) {
        arguments.push(format!("--audit={}", directory.join("audit.log").display()));
    }
    if !setup.public_ca_for_instances {
        let pem = write("kms-ca.pem", &emulator.instance_ca_pem());
        arguments.push(format!("--kms-ca-file={pem}"));
    }
    if !setup.no_oidc_provider {
        arguments.push(format!("--oidc-provider-arn={OIDC_PROVIDER}"));
    }
    if setup.own_token {
        let hour = Duration::from_secs(3600);
        let token =
            emulator.pod_token("kube-system", "provider", "provider-x", "uid", AUDIENCE, hour);
        arguments.push(format!("--oidc-token-file={}", write("token", &format!("{token}\n"))));
    }
    arguments.extend(setup.flags.clone());
    arguments
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("providers/alibabacloud.sock")
}

/// What all planted secrets begin with.
const PLANTED: &str = "planted-";

/// All secret texts that the cloud ever held or gave out, in every coat they could wear.
pub fn canaries(emulator: &Emulator) -> Vec<String> {
    // Shorter ones turn up by chance.
    let long = emulator.issued_secrets().into_iter().filter(|secret| secret.len() >= 10);
    let mut canaries = Vec::new();
    for secret in long {
        let percent: String = secret
            .bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        canaries.extend(SHIFTS.map(|shift| end_of(base64(&secret, shift))));
        canaries.extend([hex(secret.as_bytes()), percent, secret].map(end_of));
    }
    canaries.extend(SHIFTS.map(|shift| base64(PLANTED, shift)));
    canaries.extend([
        hex(PLANTED.as_bytes()),
        hex(PLANTED.as_bytes()).to_uppercase(),
        PLANTED.to_owned(),
    ]);
    canaries
}

/// How many bytes may stand before a text in the three that it shares with them.
const SHIFTS: [usize; 3] = [0, 1, 2];

/// As far as it does not depend on what stands before and after.
fn base64(text: &str, shift: usize) -> String {
    let all = STANDARD.encode([&b"..."[..shift], text.as_bytes()].concat());
    all[(shift * 8).div_ceil(6)..(shift + text.len()) * 8 / 6].to_owned()
}

/// Nobody says a whole token without its end, and there may be thousands.
fn end_of(mut secret: String) -> String {
    const ENOUGH: usize = 64;
    let from = secret.len().saturating_sub(ENOUGH);
    secret.split_off((from..secret.len()).find(|at| secret.is_char_boundary(*at)).unwrap_or(0))
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Log,
    Answer,
    Record,
}

/// A world that is right but for what it says there in the end.
async fn saying(place: Place, text: String) {
    let world =
        Setup::default().cloud("token_algorithm: RS256", "token_algorithm: ES256").start().await;
    world.web("- objectName: web/plain\n").await.unwrap();
    let text = match text.as_str() {
        "a session" => {
            let issued = world.emulator.issued_secrets();
            let token = issued.iter().find(|secret| secret.starts_with("CAIS")).unwrap();
            STANDARD.encode(format!("x{token}"))
        }
        _ => text,
    };
    match place {
        Place::Log => world.serving.log(&text),
        Place::Answer => world.heard.lock().unwrap().push(text),
        Place::Record => {
            let mut record =
                std::fs::File::options().append(true).open(world.path("audit.log")).unwrap();
            // Without its end it would be cut off.
            std::io::Write::write_all(&mut record, format!("{text}\n").as_bytes()).unwrap();
        }
    }
    world.finish().await;
}

/// What all other tests rely on.
#[test]
fn a_leak_is_found_wherever_and_in_whatever_coat() {
    let value = "planted-value-0001";
    let in_base64 = |before: &str| STANDARD.encode(format!("{before}{value}"));
    let coats = [
        value.to_owned(),
        in_base64(""),
        in_base64("x"),
        in_base64("xy"),
        hex(value.as_bytes()),
        hex(value.as_bytes()).to_uppercase(),
        "a session".to_owned(),
    ];
    let places = [Place::Answer, Place::Record].map(|place| (place, value.to_owned()));
    for (place, text) in coats.map(|text| (Place::Log, text)).into_iter().chain(places) {
        let about = format!("{text} in {place:?}");
        let world = log::apart("trace", move || saying(place, text));
        assert!(world.join().is_err(), "not found: {about}");
    }
    for place in [Place::Log, Place::Answer, Place::Record] {
        let world = log::apart("trace", move || saying(place, "nothing".to_owned()));
        world.join().expect("there is no leak");
    }
}
