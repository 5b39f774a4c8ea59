//! Many pods under faults that come and go, rotations, permissions that are taken and given back,
//! and callers who go away. After each mount: a code the driver can be given, and only values that
//! the pod's role could read, and that were current, no longer ago than the refresh interval.

#![expect(clippy::print_stdout, reason = "the figures are for those who ask for them")]

mod history;
mod weather;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use emulator::{Fault, FaultEffect};
use fastrand::Rng;
use futures::future::join_all;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};
use tonic::{Code, Status};

use crate::{
    driver::{PodVolume, Volume},
    log::apart,
    tasks,
    world::{AUDIENCE, Setup, World, assert_not_forbidden},
};
use history::History;
use weather::weather;

const INTERVAL: Duration = Duration::from_secs(2);
/// A mount may join a read that is under way, whose answer is on its way already.
const MARGIN: Duration = Duration::from_secs(1);
const LANES: usize = 24;
/// What a caller gives a mount, short of which it is answered.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who there is: ServiceAccount, role, and what the role may ever read, by object and its YAML.
type Kind = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const PARTNER: &str = "acs:ram::6543210987654321:role/partner";
const WEB: &[(&str, &str)] = &[
    ("web/a", "objectName: web/a"),
    ("web/b", "objectName: web/b"),
    ("web/c", "objectName: web/c"),
    ("shared/d", "objectName: shared/d"),
    ("plain", "objectName: plain, objectType: oos"),
    ("/app/password", "objectName: /app/password, objectType: oos"),
    (
        "partner/secret",
        "objectName: partner/secret, crossAccountRoleArn: 'acs:ram::6543210987654321:role/partner'",
    ),
];
const KINDS: [Kind; 4] = [
    ("web", "web", WEB),
    ("web-by-name", "web", WEB),
    (
        "api",
        "api",
        &[
            ("api/a", "objectName: api/a"),
            ("api/b", "objectName: api/b"),
            ("plain", "objectName: plain, objectType: oos"),
        ],
    ),
    ("jobs", "jobs", &[("jobs/a", "objectName: jobs/a"), ("jobs/b", "objectName: jobs/b")]),
];
const ROLES: [&str; 4] = ["web", "api", "jobs", PARTNER];
const SECRETS: [&str; 9] =
    ["web/a", "web/b", "web/c", "shared/d", "api/a", "api/b", "jobs/a", "jobs/b", "partner/secret"];
const PARAMETERS: [&str; 2] = ["plain", "/app/password"];

struct Storm {
    world: World,
    share: &'static str,
    history: History,
    /// With how many tokens it had.
    pods: Mutex<Vec<(PodVolume, usize, u32)>>,
    left: AtomicUsize,
    outcomes: Mutex<BTreeMap<String, usize>>,
    /// When an identity was last refused an object.
    refused: Mutex<HashMap<(String, &'static str), Instant>>,
}

impl Storm {
    async fn new(share: &'static str, mounts: usize) -> Self {
        let world = Setup::default()
            .cloud("token_algorithm: RS256", "token_algorithm: ES256")
            .flag("refresh-interval", "2s")
            .flag("share", share)
            .flag("kms-batch", "auto")
            .flag("mount-timeout", "2")
            // What is served may be no older than its interval.
            .flag("stale-while-throttled", "0")
            .flag("audit", "off")
            .start()
            .await;
        let history = History::default();
        for secret in SECRETS {
            weather::rotate(&world, &history, secret);
        }
        for parameter in PARAMETERS {
            weather::rotate(&world, &history, parameter);
        }
        for role in ROLES {
            history.granted(role, Instant::now());
        }
        let pods = (0..PODS).map(|n| {
            let kind = n % KINDS.len();
            (world.pod(KINDS[kind].0, &format!("pod-{n}")), kind, 0)
        });
        let pods = Mutex::new(pods.collect());
        let left = AtomicUsize::new(mounts);
        let (outcomes, refused) = Default::default();
        Self { world, share, history, pods, left, outcomes, refused }
    }

    /// Kubelet renews a pod's token.
    fn renew(&self, pod: usize) {
        let (volume, _, tokens) = &mut self.pods.lock().unwrap()[pod];
        let token = self.world.token(volume, AUDIENCE);
        *volume = volume.clone().token(AUDIENCE, &token, "2126-01-01T00:00:00Z");
        *tokens += 1;
    }

    /// Mounts until as many were made as were asked for.
    async fn lane(&self, mut random: Rng) {
        let taken = |left: usize| left.checked_sub(1);
        while self.left.fetch_update(Relaxed, Relaxed, taken).is_ok() {
            let pod = random.usize(..PODS);
            let (volume, kind, tokens) = self.pods.lock().unwrap()[pod].clone();
            let ask = Ask::some(&mut random, pod, kind, tokens, self.share);
            let mut volume = volume.objects(&ask.yaml);
            if let Some(interval) = ask.refresh {
                volume = volume.parameter("refreshInterval", interval);
            }
            volume.timeout = PATIENCE;
            let began = Instant::now();
            let mounted = match ask.goes_away {
                None => self.world.mount(&volume).await,
                Some(after) => match timeout(after, self.world.driver.mount(&volume)).await {
                    Ok(mounted) => mounted,
                    Err(_) => {
                        self.count("gone away");
                        continue;
                    }
                },
            };
            match mounted {
                Ok(volume) => {
                    self.count("OK");
                    self.judge(&ask, &volume, began);
                }
                Err(status) => {
                    self.count(&format!("{:?}", status.code()));
                    self.judge_refusal(&ask, &status);
                }
            }
        }
    }

    fn judge(&self, ask: &Ask, volume: &Volume, began: Instant) {
        assert!(!ask.forbidden, "{} got what its role may never read", ask.identity);
        assert_eq!(volume.files.len(), ask.objects.len());
        let refused = self.refused.lock().unwrap();
        for (file, (object, role)) in ask.objects.iter().enumerate() {
            let value = volume.text(&format!("file-{file}"));
            let since = began.checked_sub(ask.interval + MARGIN).unwrap_or(began);
            if let Err(why) = self.history.could_read(object, value, role, since) {
                panic!("{} {object} ({:?}): {why}", ask.identity, ask.interval);
            }
            // The cloud's no is not outlived by what memory holds.
            if let Some(at) = refused.get(&(ask.identity.clone(), object))
                && *at <= began
            {
                let granted = self.history.was_granted(role, *at);
                assert!(granted, "{} got {object} after it was refused", ask.identity);
            }
        }
    }

    fn judge_refusal(&self, ask: &Ask, status: &Status) {
        let message = status.message();
        assert!(message.len() < 900 && !message.contains("planted-"), "{message}");
        assert_not_forbidden(status);
        if let ([(object, _)], Code::PermissionDenied, false) =
            (&*ask.objects, status.code(), ask.forbidden)
        {
            let mut refused = self.refused.lock().unwrap();
            refused.insert((ask.identity.clone(), object), Instant::now());
        }
    }

    /// Reads of two kinds, quick and slow, and two pods that ask on and on for what they cannot have: an
    /// object at a host that never answers, and one that is always throttled.
    fn neighbours(self: &Arc<Self>) -> Vec<JoinHandle<()>> {
        let host = "kst-dead.cryptoservice.kms.aliyuncs.com";
        let fault = |effect| Fault { service: Some("kms".to_owned()), effect, ..Fault::default() };
        let emulator = &self.world.emulator;
        emulator.add_fault(Fault { host: Some(host.to_owned()), ..fault(FaultEffect::Hang) });
        // Half of the reads take longer, of all that answers in time.
        emulator.add_fault(Fault { every: Some(2), ..fault(FaultEffect::Latency { ms: 60 }) });
        let object = Some("jobs/throttled".to_owned());
        emulator.add_fault(Fault { object, ..fault(FaultEffect::throttling()) });
        let dead = format!("- {{objectName: web/a, kmsEndpoint: {host}}}");
        let ask = |pod: &str, account: &str, objects: &str| {
            let (storm, mut volume) = (self.clone(), self.world.pod(account, pod).objects(objects));
            volume.timeout = PATIENCE;
            tokio::spawn(async move {
                loop {
                    let status = storm.world.mount(&volume).await.unwrap_err();
                    storm.count(&format!("{:?}", status.code()));
                    assert_not_forbidden(&status);
                }
            })
        };
        let mut asking = vec![ask("dead", "web", &dead)];
        // A login that others have too would slow these.
        if self.share == "pod" {
            asking.push(ask("throttled", "jobs", "- objectName: jobs/throttled"));
        }
        asking
    }

    fn count(&self, outcome: &str) {
        *self.outcomes.lock().unwrap().entry(outcome.to_owned()).or_default() += 1;
    }

    /// Every pod has its objects at once when the storm is over.
    async fn calm(&self) {
        let pods = self.pods.lock().unwrap().clone();
        for (volume, kind, _) in pods {
            let objects: String =
                KINDS[kind].2.iter().map(|(_, yaml)| format!("- {{{yaml}}}\n")).collect();
            let volume = volume.objects(&objects).parameter("refreshInterval", "0");
            let end = Instant::now() + Duration::from_secs(90);
            // A login may still be under way, and hosts that throttled are asked slowly.
            while let Err(status) = self.world.mount(&volume).await {
                assert!(Instant::now() < end, "{status:?}");
                self.count(&format!("{:?}", status.code()));
            }
            self.count("OK");
        }
    }
}

const PODS: usize = 40;

/// One mount's wish.
struct Ask {
    identity: String,
    objects: Vec<(&'static str, &'static str)>,
    yaml: String,
    refresh: Option<&'static str>,
    interval: Duration,
    goes_away: Option<Duration>,
    /// It asks for what its role may never read.
    forbidden: bool,
}

impl Ask {
    fn some(random: &mut Rng, pod: usize, kind: usize, tokens: u32, share: &str) -> Self {
        let (account, role, all) = KINDS[kind];
        let identity = match share {
            "pod" => format!("pod-{pod} with token {tokens}"),
            _ => account.to_owned(),
        };
        let number = if random.u8(..3) == 0 { 1 } else { random.usize(1..=all.len()) };
        let picked = random.choose_multiple(all.iter(), number);
        let mut yaml = String::new();
        for (file, (_, object)) in picked.iter().enumerate() {
            yaml.push_str(&format!("- {{{object}, objectAlias: file-{file}}}\n"));
        }
        let objects = picked
            .into_iter()
            .map(|(object, _)| (*object, if *object == "partner/secret" { PARTNER } else { role }));
        let forbidden = account == "jobs" && random.u8(..8) == 0;
        if forbidden {
            yaml.push_str("- {objectName: web/a, objectAlias: stolen}\n");
        }
        let (refresh, interval) = match random.u8(..6) {
            0 => (Some("0"), Duration::ZERO),
            1 => (Some("1s"), Duration::from_secs(1)),
            _ => (None, INTERVAL),
        };
        let goes_away = (random.u8(..10) == 0).then(|| Duration::from_millis(random.u64(1..200)));
        let objects = objects.collect();
        Self { identity, objects, yaml, refresh, interval, goes_away, forbidden }
    }
}

async fn storm(share: &'static str, mounts: usize, seed: u64) {
    let storm = Arc::new(Storm::new(share, mounts).await);
    let began = Instant::now();
    storm.calm().await;
    let alive = tasks::settled(&storm.world, Duration::from_millis(200)).await;
    let neighbours = storm.neighbours();
    let weather = tokio::spawn(weather(storm.clone(), Rng::with_seed(seed)));
    let lanes = (1..=LANES as u64).map(|lane| storm.lane(Rng::with_seed(seed << 8 | lane)));
    join_all(lanes).await;
    for task in neighbours.into_iter().chain([weather]) {
        task.abort();
        if let Err(ended) = task.await {
            assert!(ended.is_cancelled(), "{ended}");
        }
        // One of them may have been mounting.
        storm.count("gone away");
    }
    weather::clear(&storm).await;
    storm.calm().await;
    tasks::end(&storm.world, alive, Duration::from_secs(90), share).await;
    let outcomes = storm.outcomes.lock().unwrap().clone();
    let metrics = storm.world.metrics().await;
    assert!(metrics.contains("mounts_in_flight 0\n"), "{metrics}");
    let gone = outcomes.get("gone away").copied().unwrap_or_default();
    let made: usize = outcomes.values().sum();
    let counted = |name: &str| -> usize {
        let name = format!("csi_provider_alibabacloud_{name}");
        let lines = metrics.lines().filter(|line| line.starts_with(&name));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum()
    };
    let mounted = counted("mounts_total");
    // Those whose callers went away are told of if they had ended by then.
    assert!((made - gone..=made).contains(&mounted), "{mounted} counted of {made}, {gone} gone");
    assert_eq!(counted("mount_duration_seconds_count"), mounted);
    let seconds = began.elapsed().as_secs();
    let ends: Vec<String> = outcomes.iter().map(|(end, times)| format!("{times} {end}")).collect();
    println!(
        "share {share}, seed {seed}: {made} mounts in {seconds} s, {} changes: {}",
        storm.history.changes(),
        ends.join(", ")
    );
    // What holds of no mount at all holds of every mount that fails.
    let times = |end: &str| outcomes.get(end).copied().unwrap_or_default();
    let (served, calm) = (times("OK"), 2 * PODS);
    assert!((served - calm) * 4 >= mounts, "{outcomes:?}");
    assert!(times("PermissionDenied") > 0, "{outcomes:?}");
    let from_memory = counted("values_answered_total{source=\"memory\"}");
    assert!(from_memory > 0, "{metrics}");
    let storm = Arc::into_inner(storm).expect("nobody else has it");
    storm.world.finish().await;
}

/// `STORM_MOUNTS` asks for more of them, `STORM_SEED` for the same choices again.
#[test]
fn every_mount_of_a_storm_gets_what_it_may_or_a_code_it_can_be_given() {
    let number = |name: &str, default: usize| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap())
    };
    let seed = number("STORM_SEED", 1) as u64;
    let mounts = number("STORM_MOUNTS", 1200);
    println!("STORM_SEED={seed} STORM_MOUNTS={mounts}");
    let storms = ["pod", "service-account"]
        .map(|share| apart("info", move || storm(share, mounts / 2, seed)));
    for storm in storms {
        storm.join().expect("its thread has said why");
    }
}
