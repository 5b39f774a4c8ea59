//! What one tenant can do to others: the provider in a container with the chart's limits, an author of
//! pods who asks for as much as there is, and beside that other pods' mounts and kubelet's probes.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use emulator::fetch;
use http_body_util::Full;
use hyper::Request;
use provider::pb::MountRequest;
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    task::JoinSet,
    time::{interval, sleep, timeout},
};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Fault, Programs,
    cgroup::Cgroup,
    cloud::Cloud,
    content::{self, NAMESPACE, account, role_arn, secret},
    dead::{self, Dead},
    driver::{Driver, PodVolume},
    load::{millis, percentile},
    node::{Node, Place},
    page::Page,
    pods,
    report::machine,
};

/// The namespace of those whose pods are absurd, and their ServiceAccounts.
const TENANT: &str = "tenant";
const GREEDY: &str = "greedy";
const THROTTLED: &str = "throttled";
/// What the cloud takes, but for what it refuses.
const LATENCY_MS: u64 = 20;
const LARGE: usize = 30_000;
const LARGE_SECRETS: usize = 500;

/// Of the chart's container.
const MEMORY: u64 = 64 << 20;
/// What the issue of it all asks for.
const MOST_MIB: f64 = 60.0;
const MOST_LATER: Duration = Duration::from_secs(1);

/// Pods of others, each with ten objects: some mounted from memory, some fetched each time.
const OTHERS: usize = 10;
const OBJECTS: usize = 10;
const EACH: Duration = Duration::from_secs(12);
const MOUNT_EVERY: Duration = Duration::from_millis(100);
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// Of the chart's probes.
const PROBE_PATIENCE: Duration = Duration::from_secs(6);
/// Kubelet's shortest pause before it tries a mount again; it doubles it each time, and this does not.
const AGAIN: Duration = Duration::from_millis(500);
/// Connections of the flood at a time.
const FLOOD: usize = 32;

const MARK: (&str, &str) = ("<!-- `make tenants` writes from here -->\n", "<!-- to here -->\n");

/// What somebody asks for, as many volumes as that takes.
struct Tenant {
    name: &'static str,
    volumes: Vec<MountRequest>,
    floods: bool,
}

/// What was seen beside a tenant.
struct Seen {
    tenant: &'static str,
    processors: Option<f64>,
    kept: Vec<Duration>,
    fetched: Vec<Duration>,
    failed: usize,
    probes: usize,
    lost: usize,
    slowest_probe: Duration,
    peak_mib: f64,
    killed: u64,
    answered: usize,
}

pub(crate) async fn run(programs: &Programs, page: &Page, only: Option<&str>) -> Result<(), Fault> {
    let directory = TempDir::with_prefix("alibabacloud-tenants-")?;
    let (_emulator, cloud) =
        Cloud::start(&programs.emulator, directory.path(), &content(), &[]).await?;
    let dead = Dead::listen().await?;
    let tenants = tenants(&cloud).await?;
    let mut all = Vec::new();
    for processors in [None, Some(0.5)] {
        let wanted = |tenant: &&Tenant| only.is_none_or(|only| tenant.name.contains(only));
        for tenant in tenants.iter().filter(wanted) {
            let seen = beside(programs, &cloud, &dead, tenant, processors).await?;
            page.line(&seen.line())?;
            all.push(seen);
        }
    }
    let text = table(&all)?;
    if only.is_none() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
        let old = fs::read_to_string(&file)?;
        let (head, rest) = old.split_once(MARK.0).ok_or("docs/performance.md has no mark")?;
        let (_, tail) = rest.split_once(MARK.1).ok_or("docs/performance.md has no second mark")?;
        fs::write(&file, format!("{head}{}\n{text}\n{}{tail}", MARK.0, MARK.1))?;
    }
    page.line(&text)?;
    let bad: Vec<&str> =
        verdicts(&all).filter(|(_, bad)| *bad).map(|(seen, _)| seen.tenant).collect();
    match bad.as_slice() {
        [] => Ok(()),
        bad => Err(format!("others are harmed beside: {}", bad.join(", ")).into()),
    }
}

/// The bench's own ServiceAccounts, and one more whose role may read what is large.
fn content() -> String {
    let mut content: serde_json::Value =
        serde_json::from_str(&content::cloud(OTHERS + 2, Some(LATENCY_MS))).unwrap_or_default();
    let mut add = |list: &str, entry: serde_json::Value| {
        if let Some(list) = content.pointer_mut(list).and_then(|list| list.as_array_mut()) {
            list.push(entry);
        }
    };
    for account in [GREEDY, THROTTLED] {
        add("/roles", content::role(TENANT, account));
        let own = json!({ "namespace": TENANT, "name": account });
        add("/kubernetes/service_accounts", own);
    }
    for number in 0..LARGE_SECRETS {
        let value = "x".repeat(LARGE);
        add("/secrets", json!({ "name": format!("greedy/large-{number}"), "value": value }));
    }
    let list = serde_json::to_string(&(0..3_000).collect::<Vec<_>>()).unwrap_or_default();
    add("/secrets", json!({ "name": "greedy/list", "value": list }));
    add("/secrets", json!({ "name": "greedy/throttled", "value": "never read" }));
    for number in 0..500 {
        let (name, value) = (format!("greedy/small-{number}"), format!("small value {number}"));
        add("/secrets", json!({ "name": name, "value": value }));
    }
    add(
        "/faults",
        json!({
            "service": "kms",
            "object": "greedy/throttled",
            "effect": content::error(429, "Rejected.Throttling"),
        }),
    );
    let role = role_arn(THROTTLED);
    let effect = content::error(400, "Throttling.User");
    add("/faults", json!({ "service": "sts", "role": role, "effect": effect }));
    content.to_string()
}

async fn tenants(cloud: &Cloud) -> Result<Vec<Tenant>, Fault> {
    let of = async |role: &str, count: usize, objects: &dyn Fn(usize) -> String| {
        let mut requests = Vec::new();
        for number in 0..count {
            let volume = PodVolume::new(TENANT, role, &format!("{role}-{number}"))
                .objects(&objects(number))
                .parameter("roleArn", &role_arn(role));
            requests.push(pods::admit(cloud, volume).await?.request());
        }
        Ok::<_, Fault>(requests)
    };
    let aliases: String = (0..130)
        .map(|n| format!("- {{objectName: greedy/large-0, objectAlias: f{n}}}\n"))
        .collect();
    let many = |kind: &str, count: usize| -> String {
        (0..count).map(|n| format!("- objectName: greedy/{kind}-{n}\n")).collect()
    };
    let path = ["[@,@][]"; 8].join("|");
    let paths = |of: usize| -> String {
        let entry = |n| format!("  - {{path: '{path}', objectAlias: f{n}}}\n");
        let entries: String = (0..900).map(entry).collect();
        format!("- objectName: greedy/none-{of}\n  jmesPath:\n{entries}")
    };
    let sorts = format!("[{}]|map(&sort_by(@,&@),@)", ["@"; 240].join(","));
    let searches: String = (0..9)
        .map(|n| format!("  - {{path: '{sorts}', objectAlias: f{n}}}\n"))
        .fold("- objectName: greedy/list\n  jmesPath:\n".to_owned(), |all, entry| all + &entry);
    let roles = |volume: usize| -> String {
        (0..10)
            .map(|n| {
                let role = format!("acs:ram::6543210987654321:role/foreign-{volume}-{n}");
                format!("- {{objectName: greedy/role-{n}, crossAccountRoleArn: {role}}}\n")
            })
            .collect()
    };
    let mut unknown = of(GREEDY, 4, &|_| "- objectName: greedy/list".to_owned()).await?;
    let mut large = of(GREEDY, 30, &|_| "- objectName: greedy/list".to_owned()).await?;
    for request in &mut unknown {
        add_parameters(request, (0..150_000).map(|n| (format!("u{n}"), String::new())))?;
    }
    for request in &mut large {
        add_parameters(request, [("filler".to_owned(), "x".repeat(3_900_000))].into_iter())?;
    }
    let throttled = |_: usize| {
        (0..10)
            .map(|n| format!("- {{objectName: greedy/throttled, objectAlias: f{n}}}\n"))
            .collect()
    };
    let quiet = |name, volumes| Tenant { name, volumes, floods: false };
    let mut tenants = vec![
        quiet("nobody", Vec::new()),
        quiet("an object that KMS always throttles", of(GREEDY, 4, &throttled).await?),
        quiet("a login that STS always throttles", of(THROTTLED, 4, &throttled).await?),
        quiet("70 hosts that do not answer", of(GREEDY, dead::VOLUMES, &dead::objects).await?),
        quiet("500 roles of another account", of(GREEDY, 50, &roles).await?),
        quiet("12 volumes of costly searches", of(GREEDY, 12, &|_| searches.clone()).await?),
        quiet("10 volumes of 900 long paths", of(GREEDY, 10, &paths).await?),
        quiet("150,000 unknown parameters, 4 volumes", unknown),
        quiet("30 requests of 3.9 MB", large),
        quiet("30 kB under 130 names, 30 volumes", of(GREEDY, 30, &|_| aliases.clone()).await?),
        quiet("500 objects of 30 kB, 4 volumes", of(GREEDY, 4, &|_| many("large", 500)).await?),
        quiet("500 missing objects, 50 volumes", of(GREEDY, 50, &|_| many("absent", 500)).await?),
        quiet("500 small objects, 41 volumes", of(GREEDY, 41, &|_| many("small", 500)).await?),
        Tenant { name: "a flood of the probes' port", volumes: Vec::new(), floods: true },
    ];
    let volumes = tenants.iter().flat_map(|tenant| tenant.volumes.iter().cloned()).collect();
    tenants.push(Tenant { name: "all of them together", volumes, floods: true });
    Ok(tenants)
}

fn add_parameters(
    request: &mut MountRequest,
    parameters: impl Iterator<Item = (String, String)>,
) -> Result<(), Fault> {
    let mut attributes: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&request.attributes)?;
    attributes.extend(parameters.map(|(name, value)| (name, value.into())));
    request.attributes = serde_json::to_string(&attributes)?;
    Ok(())
}

async fn beside(
    programs: &Programs,
    cloud: &Cloud,
    dead: &Dead,
    tenant: &Tenant,
    processors: Option<f64>,
) -> Result<Seen, Fault> {
    let folder = TempDir::with_prefix("alibabacloud-tenants-audit-")?;
    let group = Cgroup::new("tenants", MEMORY, processors)?;
    let audit = format!("--audit={}", folder.path().join("audit.log").display());
    let dead = dead.resolve();
    let kms_ca = format!("--kms-ca-file={}", cloud.ca_file());
    let flags = [&*audit, &*kms_ca, "--audit-max-mib=1"];
    let place = Place { cgroup: Some(&group), resolve: Some(&dead) };
    let node = Node::start_in(place, &programs.provider, cloud, &flags).await?;
    let (kept, fetched) = others(cloud).await?;
    let driver = node.driver()?.clone();
    for request in kept.iter().chain(&fetched) {
        driver.try_once(request.clone(), pods::PATIENCE).await?;
    }
    let answered = Arc::new(AtomicUsize::new(0));
    let attacker = node.drivers.get(1).ok_or("one connection only")?;
    let each = |request: &MountRequest| attack(attacker.clone(), request.clone(), answered.clone());
    let attack: Vec<_> = tenant.volumes.iter().map(each).collect();
    let port = node.metrics()?.replace("http://", "").replace("/metrics", "").parse()?;
    let flood = if tenant.floods { flood(port) } else { Vec::new() };
    sleep(Duration::from_secs(1)).await;
    let (stop, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let watched = node.drivers.get(2).ok_or("two connections only")?;
    let kept = tokio::spawn(mounts(watched.clone(), kept, stop.clone(), failed.clone()));
    let fetched = tokio::spawn(mounts(watched.clone(), fetched, stop.clone(), failed.clone()));
    let probes = tokio::spawn(probes(port, stop.clone()));
    sleep(EACH).await;
    stop.store(true, Relaxed);
    let (kept, fetched, (times, lost)) = (kept.await??, fetched.await??, probes.await?);
    drop((attack, flood));
    let (usage, killed) = (node.usage(), group.killed()?);
    let peak = usage.map_or(0.0, |usage| usage.peak_kib as f64 / 1024.0);
    drop(node);
    Ok(Seen {
        tenant: tenant.name,
        processors,
        kept,
        fetched,
        failed: failed.load(Relaxed),
        probes: times.len() + lost,
        lost,
        slowest_probe: times.into_iter().max().unwrap_or_default(),
        peak_mib: peak,
        killed,
        answered: answered.load(Relaxed),
    })
}

/// Other pods, with objects from memory and with objects that are fetched at each mount.
async fn others(cloud: &Cloud) -> Result<(Vec<MountRequest>, Vec<MountRequest>), Fault> {
    let (mut kept, mut fetched) = (Vec::new(), Vec::new());
    for number in 0..OTHERS {
        // The first account has as many secrets as are needed.
        let account = account(0);
        let objects: String =
            (0..OBJECTS).map(|n| format!("- objectName: {}\n", secret(&account, n))).collect();
        let mut volume = PodVolume::new(NAMESPACE, &account, &format!("other-{number}"));
        volume = volume.objects(&objects);
        let fresh = volume.clone().parameter("refreshInterval", "0");
        kept.push(pods::admit(cloud, volume).await?.request());
        fetched.push(pods::admit(cloud, fresh).await?.request());
    }
    Ok((kept, fetched))
}

fn attack(
    driver: Driver,
    request: MountRequest,
    answered: Arc<AtomicUsize>,
) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            let _ = driver.try_once(request.clone(), Duration::from_secs(110)).await;
            answered.fetch_add(1, Relaxed);
            sleep(AGAIN).await;
        }
    }))
}

/// Mounts that are begun whether or not those before them are over.
async fn mounts(
    driver: Driver,
    requests: Vec<MountRequest>,
    stop: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
) -> Result<Vec<Duration>, Fault> {
    let (mut ticks, mut running, mut times) = (interval(MOUNT_EVERY), JoinSet::new(), Vec::new());
    let mut next = requests.iter().cycle();
    while !stop.load(Relaxed) {
        ticks.tick().await;
        let (driver, request) = (driver.clone(), next.next().cloned().ok_or("no request")?);
        running.spawn(async move {
            let begun = Instant::now();
            let outcome = driver.try_once(request, Duration::from_secs(110)).await;
            (begun.elapsed(), outcome.is_ok())
        });
    }
    while let Some(ended) = running.join_next().await {
        let (took, well) = ended?;
        times.push(took);
        if !well {
            failed.fetch_add(1, Relaxed);
        }
    }
    times.sort_unstable();
    Ok(times)
}

/// Kubelet's: how long each took, and how many had no good answer in time.
async fn probes(port: SocketAddr, stop: Arc<AtomicBool>) -> (Vec<Duration>, usize) {
    let (mut ticks, mut times, mut lost) = (interval(PROBE_EVERY), Vec::new(), 0);
    while !stop.load(Relaxed) {
        ticks.tick().await;
        for path in ["healthz", "readyz"] {
            let begun = Instant::now();
            let request = Request::builder().uri(format!("http://{port}/{path}"));
            let Ok(request) = request.body(Full::new(Bytes::new())) else { continue };
            match timeout(PROBE_PATIENCE, fetch::send(request, None)).await {
                Ok(Ok((200, _))) => times.push(begun.elapsed()),
                _ => lost += 1,
            }
        }
    }
    (times, lost)
}

/// From another address than kubelet's.
fn flood(port: SocketAddr) -> Vec<AbortOnDropHandle<()>> {
    let one = |_| {
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let _ = timeout(Duration::from_secs(1), get_from_afar(port)).await;
                tokio::task::yield_now().await;
            }
        }))
    };
    (0..FLOOD).map(one).collect()
}

async fn get_from_afar(port: SocketAddr) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::new(127, 0, 0, 2), 0).into())?;
    let mut stream = socket.connect(port).await?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await?;
    stream.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

impl Seen {
    fn line(&self) -> String {
        let Self { tenant, failed, lost, peak_mib, killed, answered, .. } = self;
        let at = |times: &[Duration]| {
            [50, 99, 100]
                .map(|percent| format!("{:.0}", millis(percentile(times, percent))))
                .join(" / ")
        };
        format!(
            "{tenant:40} cpu {:?}: kept {}, fetched {} ms; {failed} failed; probes {} lost {lost}, slowest {:.0} ms; {peak_mib:.1} MiB, killed {killed}; {answered} answered",
            self.processors,
            at(&self.kept),
            at(&self.fetched),
            self.probes,
            millis(self.slowest_probe),
        )
    }
}

/// Each, and whether others were harmed: against the first of its kind, beside whom there was nobody.
fn verdicts(all: &[Seen]) -> impl Iterator<Item = (&Seen, bool)> {
    all.iter().map(|seen| {
        let alone = all.iter().find(|other| other.processors == seen.processors);
        let later = |of: fn(&Seen) -> &Vec<Duration>| {
            let alone = alone.map_or(Duration::ZERO, |alone| percentile(of(alone), 99));
            percentile(of(seen), 99) > alone + MOST_LATER
        };
        let late = later(|seen| &seen.kept) || later(|seen| &seen.fetched);
        let harmed = seen.failed > 0 || seen.lost > 0 || seen.killed > 0;
        (seen, late || harmed || seen.peak_mib > MOST_MIB)
    })
}

fn table(all: &[Seen]) -> Result<String, Fault> {
    let mut text = String::from(
        "| beside | processors | from memory | fetched | failed | probes, lost, slowest | most memory | |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (seen, bad) in verdicts(all) {
        let at = |times: &[Duration]| {
            [50, 99, 100]
                .map(|percent| format!("{:.0}", millis(percentile(times, percent))))
                .join(", ")
        };
        let processors = seen.processors.map_or("2".to_owned(), |number| number.to_string());
        let _ = writeln!(
            text,
            "| {} | {processors} | {} ms | {} ms | {} | {}, {}, {:.0} ms | {:.1} MiB | {} |",
            seen.tenant,
            at(&seen.kept),
            at(&seen.fetched),
            seen.failed,
            seen.probes,
            seen.lost,
            millis(seen.slowest_probe),
            seen.peak_mib,
            if bad { "**missed**" } else { "ok" }
        );
    }
    let _ = write!(text, "\nSeen on {}.\n", machine()?);
    Ok(text)
}
