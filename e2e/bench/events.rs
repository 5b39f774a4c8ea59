//! What one event costs those who come after it or are beside it: a throttled call, an outage, a login that
//! is always throttled, a host that refuses connections.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::{interval, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Fault,
    cloud::Cloud,
    content::{self, NAMESPACE, account, secret},
    driver::PodVolume,
    load::millis,
    node::Node,
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
/// Of a busy node.
const MOUNT_EVERY: Duration = Duration::from_millis(50);
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// The cloud and a provider that has just started, with a pod that has a session.
struct Scene<'a> {
    cloud: &'a Cloud,
    node: Node,
    pod: PodVolume,
}

impl<'a> Scene<'a> {
    async fn set(program: &std::path::Path, cloud: &'a Cloud) -> Result<Self, Fault> {
        let node = Node::start(program, cloud, &["--mount-timeout=90"]).await?;
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

    /// KMS answers in one way or not at all until [`Self::up`] gets what this gives.
    async fn down(&self, outage: &str) -> Result<Option<Value>, Fault> {
        let effect = match outage {
            "503" => content::error(503, "ServiceUnavailableTemporary"),
            "no answer" => json!("hang"),
            _ => {
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
    let one = json!({
        "service": "kms",
        "times": 1,
        "effect": content::error(429, "Rejected.Throttling"),
    });
    for (kind, before) in [("quiet", ("40 s", "14 s")), ("busy", ("2.1 s", "2.1 s"))] {
        let scene = Scene::set(program, cloud).await?;
        let busy = match kind {
            "busy" => Some(scene.busy(1, MOUNT_EVERY).await?),
            _ => None,
        };
        sleep(Duration::from_secs(1)).await;
        scene.fault(one.clone()).await?;
        scene.mount(0..1).await?;
        let next = scene.mount(1..1 + OBJECTS).await?;
        sleep(Duration::from_secs(5)).await;
        let later = scene.mount(20..20 + OBJECTS).await?;
        drop(busy);
        let what = |when: &str| format!("{kind} node, {when} one 429: {OBJECTS} new objects");
        within(report, &what("after"), next, 300, before.0);
        within(report, &what("5 s after"), later, 100, before.1);
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
    let down = scene.down("connections refused").await?;
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

    if quick {
        return Ok(());
    }
    for outage in ["503", "connections refused", "no answer"] {
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
        let what = format!("after a minute of {outage}: {MANY} new objects");
        within(report, &what, after, 2000, "never");
    }
    Ok(())
}
