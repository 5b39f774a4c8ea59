//! Memory of the process, read from outside: which secrets are found in it.

#![expect(clippy::print_stdout, clippy::use_debug, reason = "what the scan found is worth a look")]

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    os::unix::fs::FileExt,
    time::Duration,
};

use aho_corasick::AhoCorasick;
use base64::{Engine, engine::general_purpose::STANDARD};
use emulator::{Emulator, Fault, FaultEffect};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    driver::PodVolume,
    process::Running,
    world::{AUDIENCE, cloud},
};

const PODS: usize = 20;
const OPERATOR: &str = "planted-access-key-secret-0001";
const PUBLISHED: &str = "planted-access-key-secret-0002";
const HOUR: Duration = Duration::from_secs(3600);

/// Kinds of what must not be seen, and how many copies of each were found.
pub type Found = BTreeMap<&'static str, usize>;

pub struct Scan {
    kinds: Vec<&'static str>,
    texts: AhoCorasick,
    longest: usize,
}

impl Scan {
    /// For each of them as it is and in base64, which ends differ by what follows.
    pub fn of(secrets: &[(&'static str, String)]) -> Self {
        let mut coats = Vec::new();
        let mut kinds = Vec::new();
        for (kind, secret) in secrets {
            let base64 = STANDARD.encode(secret);
            coats.extend([secret.clone(), base64[..secret.len() * 4 / 3 - 4].to_owned()]);
            kinds.extend([*kind; 2]);
        }
        let longest = coats.iter().map(String::len).max().unwrap();
        Self { kinds, texts: AhoCorasick::new(&coats).unwrap(), longest }
    }

    /// Looks at every byte of the process that can be read.
    pub fn look(&self, pid: u32) -> Found {
        const PIECE: usize = 1 << 20;
        let memory = File::open(format!("/proc/{pid}/mem"))
            .expect("the program lets nobody but root read its memory: run this test as root");
        let mut found = Found::new();
        let mut buffer = vec![0; PIECE + self.longest];
        let (mut bytes, mut regions) = (0, 0);
        for line in BufReader::new(File::open(format!("/proc/{pid}/maps")).unwrap()).lines() {
            let line = line.unwrap();
            let mut words = line.split_whitespace();
            let (range, rights) = (words.next().unwrap(), words.next().unwrap());
            if !rights.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]")
            {
                continue;
            }
            let (from, to) = range.split_once('-').unwrap();
            let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
            regions += 1;
            for at in (from..to).step_by(PIECE) {
                let length = buffer.len().min(usize::try_from(to - at).unwrap());
                // A region may go away between the two files.
                let Ok(read) = memory.read_at(&mut buffer[..length], at) else { continue };
                bytes += read.min(PIECE);
                let copies = self.texts.find_overlapping_iter(&buffer[..read]);
                for copy in copies.filter(|copy| copy.start() < PIECE) {
                    *found.entry(self.kinds[copy.pattern().as_usize()]).or_default() += 1;
                }
            }
        }
        assert!(bytes > 1 << 20 && regions > 10, "{bytes} bytes in {regions} regions");
        found
    }

    /// Looks until nothing is found, for some seconds.
    pub async fn look_for_nothing(&self, pid: u32) -> Found {
        let end = Instant::now() + Duration::from_secs(8);
        loop {
            let found = self.look(pid);
            if found.is_empty() || Instant::now() > end {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn value(n: usize) -> String {
    format!("planted-{n:02}-{}", fastrand::u128(..))
}

fn pod(emulator: &Emulator, name: &str) -> (PodVolume, String) {
    let token = emulator.pod_token("shop", "web", name, "uid", AUDIENCE, HOUR);
    let volume = PodVolume::new("shop", "web", name)
        .parameter("roleArn", "acs:ram::1234567890123456:role/web")
        .token(AUDIENCE, &token, "2126-01-01T00:00:00Z");
    (volume, token)
}

/// With the value cache as it is by default: what it keeps is sealed.
#[tokio::test]
async fn nothing_that_went_through_stays_readable_in_memory() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let arguments = ["--log-level=info", "--allowed-identities=pod,node-publish-secret,access-key"];
    let operator = |command: &mut std::process::Command| {
        command.env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001").env("SECRET_ACCESS_KEY", OPERATOR);
    };
    let mut running = Running::start_with(&emulator, directory.path(), &arguments, operator).await;
    let driver = running.driver().await;
    let values: Vec<String> = (0..PODS).map(value).collect();
    for (n, value) in values.iter().enumerate() {
        emulator.set_secret_text(&format!("web/n{n}"), value).unwrap();
    }

    // The control: while a mount waits for its second object, its token and its first are there.
    emulator.add_fault(Fault {
        object: Some("web/n1".to_owned()),
        effect: FaultEffect::Hang,
        ..Fault::default()
    });
    let (waiting, token) = pod(&emulator, "web-waiting");
    let mut waiting = waiting.objects("- objectName: web/n0\n- objectName: web/n1\n");
    waiting.timeout = Duration::from_secs(8);
    let control = Scan::of(&[("value", values[0].clone()), ("token", token.clone())]);
    let mount = tokio::spawn({
        let driver = driver.clone();
        async move { driver.mount(&waiting).await }
    });
    let seen = async {
        loop {
            let found = control.look(running.pid());
            if found.contains_key("value") && found.contains_key("token") {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(8), seen).await;
    println!("while a mount waits: {:?}", found.expect("the scan does not find what is there"));
    mount.await.unwrap().unwrap_err();
    emulator.clear_faults();

    let mut secrets = vec![("token", token)];
    for (n, value) in values.iter().enumerate() {
        let (volume, token) = pod(&emulator, &format!("web-{n}"));
        let volume = volume.objects(&format!(
            "- {{objectName: web/n{n}, objectAlias: value}}\n- {{objectName: plain, objectType: oos}}\n- objectName: web/db\n  jmesPath: [{{path: password, objectAlias: p}}]\n"
        ));
        let mounted = driver.mount(&volume).await.unwrap();
        assert_eq!(mounted.text("value"), value);
        secrets.extend([("value", value.clone()), ("token", token)]);
    }
    let keys = PodVolume::new("shop", "web", "web-keys")
        .objects("- objectName: shared/greeting\n")
        .parameter("identity", "node-publish-secret")
        .secret("access_key", "LTAI5tEXAMPLEKEYID000002")
        .secret("access_secret", PUBLISHED);
    driver.mount(&keys).await.unwrap();
    secrets.push(("access key", PUBLISHED.to_owned()));
    let operators = PodVolume::new("shop", "web", "web-operators")
        .objects("- objectName: shared/greeting\n")
        .parameter("identity", "access-key");
    driver.mount(&operators).await.unwrap();
    secrets.push(("value", "planted-password-web".to_owned()));

    let scan = Scan::of(&secrets);
    println!("after the last mount: {:?}", scan.look(running.pid()));
    let left = scan.look_for_nothing(running.pid()).await;
    println!("once its connections rest: {left:?}");
    assert_eq!(left, Found::new());

    // One copy of the keys of each session is kept, to sign with.
    let issued = emulator.issued_secrets();
    let is_token = |text: &str| text.starts_with("CAIS");
    let is_key = |text: &str| text.len() == 44 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    for kind in ["token", "key"] {
        let is_one = |text: &&String| if kind == "token" { is_token(text) } else { is_key(text) };
        let held = issued.iter().filter(is_one).enumerate();
        let held: Vec<(&'static str, String)> =
            held.map(|(n, text)| (&*format!("session {kind} {n}").leak(), text.clone())).collect();
        assert_eq!(held.len(), PODS + 1);
        let copies = Scan::of(&held).look(running.pid());
        println!("of the {} sessions' {kind}s {} are found", held.len(), copies.len());
        assert!(!copies.is_empty(), "the scan does not find what is there");
        assert!(copies.values().all(|copies| *copies == 1), "{copies:?}");
    }

    let copies = Scan::of(&[("operator's key", OPERATOR.to_owned())]).look(running.pid());
    println!("{copies:?}");
    // In the environment, which the kernel shows root anyway, and to sign with.
    assert!((1..=2).contains(&copies["operator's key"]), "{copies:?}");

    // Answered from memory, and so opened once more.
    let (again, token) = pod(&emulator, "web-again");
    let again = again.objects("- objectName: web/n0\n");
    driver.mount(&again).await.unwrap();
    let calls = emulator.requests().len();
    driver.mount(&again).await.unwrap();
    assert_eq!(emulator.requests().len(), calls);
    let scan = Scan::of(&[("value", values[0].clone()), ("token", token)]);
    assert_eq!(scan.look_for_nothing(running.pid()).await, Found::new());
    running.terminate();
    assert_eq!(running.ended().await.0, 0);
}
