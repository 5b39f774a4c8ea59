//! What one event costs those who come after it or are beside it: a throttled call, an outage, a login that
//! is always throttled, a host that refuses connections, hosts that do not answer, roles of others.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{interval, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Fault,
    cloud::Cloud,
    content::{self, NAMESPACE, account, secret},
    dead::{self, Dead},
    driver::PodVolume,
    load::{median, millis},
    node::{Node, Place},
    pods,
    report::Report,
};

/// New objects of a pod that has a session.
const OBJECTS: usize = 10;
const MANY: usize = 40;
const OUTAGE: Duration = Duration::from_secs(60);
/// A mount that fails is tried again after this.
const AGAIN: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(90);
/// Each with a provider of its own, of which the middle one is told.
const ATTEMPTS: usize = 3;
/// Of a busy node.
const MOUNT_EVERY: Duration = Duration::from_millis(50);
const REFUSED_FOR: Duration = Duration::from_secs(10);
const FOREIGN_ROLES: usize = 500;

/// How KMS is away.
#[derive(Clone, Copy)]
enum Outage {
    Unavailable,
    Refused,
    Silent,
}

impl Outage {
    const ALL: [Self; 3] = [Self::Unavailable, Self::Refused, Self::Silent];

    fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "503",
            Self::Refused => "connections refused",
            Self::Silent => "no answer",
        }
    }
}

/// The cloud and a provider that has just started, with a pod that has a session.
struct Scene<'a> {
    cloud: &'a Cloud,
    node: Node,
    pod: PodVolume,
}

impl<'a> Scene<'a> {
    async fn set(program: &std::path::Path, cloud: &'a Cloud) -> Result<Self, Fault> {
        Self::set_in(Place::default(), program, cloud).await
    }

    async fn set_in(
        place: Place<'_>,
        program: &std::path::Path,
        cloud: &'a Cloud,
    ) -> Result<Self, Fault> {
        let node = Node::start_in(place, program, cloud, &["--mount-timeout=90"]).await?;
        let mut pod = PodVolume::new(NAMESPACE, &account(0), "app-0-events");
        pod.timeout = LONGEST;
        let pod = pods::admit(cloud, pod).await?;
        let scene = Self { cloud, node, pod };
        // The last of them, so that it is new to nobody after it.
        scene.mount(99..100).await?;
        Ok(scene)
    }

    fn volume(&self, objects: std::ops::Range<usize>) -> PodVolume {
        let name = |n| format!("- objectName: {}\n", secret(&account(0), n));
        self.pod.clone().objects(&objects.map(name).collect::<String>())
    }

    /// Until it is there.
    async fn mount(&self, objects: std::ops::Range<usize>) -> Result<Duration, Fault> {
        let (volume, begun) = (self.volume(objects), Instant::now());
        loop {
            match self.node.driver()?.mount(&volume).await {
                Ok(_) => return Ok(begun.elapsed()),
                Err(status) if begun.elapsed() > LONGEST => return Err(status.into()),
                Err(_) => sleep(AGAIN).await,
            }
        }
    }

    async fn fault(&self, fault: Value) -> Result<Value, Fault> {
        self.cloud.steer("fault", &fault).await
    }

    async fn clear(&self, fault: &Value) -> Result<(), Fault> {
        let id = fault.get("fault_id").unwrap_or(fault);
        self.cloud.steer("clear-fault", &json!({ "id": id })).await.map(drop)
    }

    /// Until [`Self::up`] gets what this gives.
    async fn down(&self, outage: Outage) -> Result<Option<Value>, Fault> {
        let effect = match outage {
            Outage::Unavailable => content::error(503, "ServiceUnavailableTemporary"),
            Outage::Silent => json!("hang"),
            Outage::Refused => {
                self.cloud.steer("stop-listening", &json!({})).await?;
                return Ok(None);
            }
        };
        self.fault(json!({ "service": "kms", "effect": effect })).await.map(Some)
    }

    async fn up(&self, fault: Option<&Value>) -> Result<(), Fault> {
        match fault {
            Some(fault) => self.clear(fault).await,
            None => self.cloud.steer("resume", &json!({})).await.map(drop),
        }
    }

    /// Mounts that go on, of pods that ask the cloud each time.
    async fn busy(&self, of: usize, every: Duration) -> Result<AbortOnDropHandle<()>, Fault> {
        let volume = pods::pod(of * pods::PODS_PER_ACCOUNT, 1).parameter("refreshInterval", "0");
        let volume = pods::admit(self.cloud, volume).await?;
        let driver = self.node.drivers.get(1).ok_or("one connection only")?.clone();
        Ok(AbortOnDropHandle::new(tokio::spawn(async move {
            let mut ticks = interval(every);
            loop {
                ticks.tick().await;
                let (driver, volume) = (driver.clone(), volume.clone());
                tokio::spawn(async move { timeout(LONGEST, driver.mount(&volume)).await });
            }
        })))
    }

    async fn cloud_calls(&self, metrics: &str) -> Result<u64, Fault> {
        let text = self.node.told(metrics).await?;
        let name = "csi_provider_alibabacloud_cloud_calls_total";
        let lines = text.lines().filter(|line| line.starts_with(name));
        let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counts.sum())
    }
}

pub(crate) async fn measure(
    report: &mut Report,
    program: &std::path::Path,
    cloud: &Cloud,
    quick: bool,
) -> Result<(), Fault> {
    let within = |report: &mut Report, what: &str, seen: Duration, most: u64, before: &str| {
        let met = seen <= Duration::from_millis(most);
        report.target(what, &format!("<= {most} ms"), format!("{:.0} ms", millis(seen)), met);
        report.before(before);
    };
    for (kind, before) in [("quiet", ("40 s", "14 s")), ("busy", ("2.1 s", "2.1 s"))] {
        let (mut at_once, mut later) = (Vec::new(), Vec::new());
        for _ in 0..if quick { 1 } else { ATTEMPTS } {
            let seen = after_one_429(program, cloud, kind == "busy").await?;
            at_once.push(seen.0);
            later.push(seen.1);
        }
        let what = |when: &str| format!("{kind} node, {when} one 429: {OBJECTS} new objects");
        within(report, &what("after"), median(at_once), 300, before.0);
        within(report, &what("5 s after"), median(later), 30, before.1);
    }

    let scene = Scene::set(program, cloud).await?;
    let throttled = scene.fault(json!({
        "service": "kms",
        "object": format!("{}/*", account(2)),
        "effect": content::error(429, "Rejected.Throttling"),
    }));
    let throttled = throttled.await?;
    let tenant = scene.busy(2, Duration::from_millis(500)).await?;
    sleep(Duration::from_secs(5)).await;
    let beside = scene.mount(0..OBJECTS).await?;
    drop(tenant);
    scene.clear(&throttled).await?;
    let what = format!("beside an always throttled login: {OBJECTS} new objects");
    within(report, &what, beside, 5000, "fails");

    let scene = Scene::set(program, cloud).await?;
    let metrics = scene.node.metrics()?;
    let pods = scene.busy(3, Duration::from_millis(100)).await?;
    sleep(Duration::from_secs(1)).await;
    let down = scene.down(Outage::Refused).await?;
    sleep(Duration::from_secs(1)).await;
    let before = scene.cloud_calls(&metrics).await?;
    sleep(REFUSED_FOR).await;
    let calls = scene.cloud_calls(&metrics).await?.saturating_sub(before);
    scene.up(down.as_ref()).await?;
    drop(pods);
    let a_second = f64::from(u32::try_from(calls)?) / REFUSED_FOR.as_secs_f64();
    let what = "connections refused: calls a second";
    report.target(what, "<= 2", format!("{a_second:.1}"), a_second <= 2.0);
    report.before("30 to 38");

    let calls = calls_for_foreign_roles(program, cloud).await?;
    let what = format!("{FOREIGN_ROLES} foreign roles in one mount: calls");
    report.target(&what, "<= 10", calls.to_string(), calls <= 10);
    report.before("500");

    let (ten, one) = beside_dead_hosts(program, cloud).await?;
    let beside = |objects| format!("beside {} hosts that do not answer: {objects}", dead::HOSTS);
    within(report, &beside("10 new objects"), ten, 3000, "55 to 90 s");
    within(report, &beside("1 new object"), one, 1000, "5 to 59 s");

    if quick {
        return Ok(());
    }
    for outage in Outage::ALL {
        let scene = Scene::set(program, cloud).await?;
        // Answered in no time: what a limit that looks at latency alone takes for normal.
        let absent = scene.pod.clone().objects("- objectName: app-0/absent\n");
        let _ = scene.node.driver()?.mount(&absent).await;
        let pods = scene.busy(3, Duration::from_millis(500)).await?;
        let down = scene.down(outage).await?;
        sleep(OUTAGE).await;
        scene.up(down.as_ref()).await?;
        let after = scene.mount(0..MANY).await?;
        drop(pods);
        let what = format!("after a minute of {}: {MANY} new objects", outage.name());
        within(report, &what, after, 2000, "never");
    }
    Ok(())
}

/// What the next new objects take, and more of them five seconds later.
async fn after_one_429(
    program: &std::path::Path,
    cloud: &Cloud,
    busy: bool,
) -> Result<(Duration, Duration), Fault> {
    let scene = Scene::set(program, cloud).await?;
    let busy = if busy { Some(scene.busy(1, MOUNT_EVERY).await?) } else { None };
    sleep(Duration::from_secs(1)).await;
    let one = json!({
        "service": "kms",
        "times": 1,
        "effect": content::error(429, "Rejected.Throttling"),
    });
    scene.fault(one).await?;
    scene.mount(0..1).await?;
    let at_once = scene.mount(1..1 + OBJECTS).await?;
    sleep(Duration::from_secs(5)).await;
    let later = scene.mount(20..20 + OBJECTS).await?;
    drop(busy);
    Ok((at_once, later))
}

/// A mount that names more roles than it may.
async fn calls_for_foreign_roles(program: &std::path::Path, cloud: &Cloud) -> Result<u64, Fault> {
    let scene = Scene::set(program, cloud).await?;
    let metrics = scene.node.metrics()?;
    let before = scene.cloud_calls(&metrics).await?;
    let object = |n| {
        let role = format!("acs:ram::6543210987654321:role/foreign-{n}");
        format!("- {{objectName: foreign-{n}, crossAccountRoleArn: {role}}}\n")
    };
    let volume = scene.pod.clone().objects(&(0..FOREIGN_ROLES).map(object).collect::<String>());
    match scene.node.driver()?.mount(&volume).await {
        Err(_) => Ok(scene.cloud_calls(&metrics).await?.saturating_sub(before)),
        Ok(_) => Err("it was mounted".into()),
    }
}

/// What ten new objects of another pod take, and one more, while volumes wait for hosts that pods name
/// and that do not answer.
async fn beside_dead_hosts(
    program: &std::path::Path,
    cloud: &Cloud,
) -> Result<(Duration, Duration), Fault> {
    let dead = Dead::listen().await?;
    let resolve = dead.resolve();
    let place = Place { resolve: Some(&resolve), ..Place::default() };
    let scene = Scene::set_in(place, program, cloud).await?;
    let (driver, mut volumes) =
        (scene.node.drivers.get(1).ok_or("one connection only")?, Vec::new());
    for number in 0..dead::VOLUMES {
        let name = format!("{}-dead-{number}", account(1));
        let volume = PodVolume::new(NAMESPACE, &account(1), &name).objects(&dead::objects(number));
        let mut volume = pods::admit(cloud, volume).await?;
        volume.timeout = LONGEST;
        let driver = driver.clone();
        volumes.push(AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                let _ = driver.mount(&volume).await;
                sleep(AGAIN).await;
            }
        })));
    }
    sleep(Duration::from_secs(2)).await;
    let ten = scene.mount(0..OBJECTS).await?;
    let one = scene.mount(20..21).await?;
    drop(volumes);
    Ok((ten, one))
}
