//! The figures, one after the other, each against its target.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use provider::pb::MountRequest;
use tempfile::TempDir;

use crate::{
    Fault, Programs,
    cloud::Cloud,
    content,
    curves::{self, Curves},
    events,
    hours::{self, Hour},
    latency::{self, COLD_PODS, OBJECTS, Size, Turns, accounts},
    load::{Load, count, median, millis, percentile},
    naive::MOUNTS_PER_SECOND,
    node::Node,
    page::Page,
    pods,
    processes::Process,
    report::{Report, load_average, machine},
    throughput::{BUSY, Throughput},
};

/// As many pods as kubelet takes by default.
pub(crate) const NODE_PODS: usize = 110;
const LATENCY_MS: u64 = 20;
/// Mounts a second that have to be answered without delay.
const RATE: u32 = 5000;
pub(crate) const FETCHED: &[&str] = &["--refresh-interval=0"];
pub(crate) const FROM_MEMORY: &[&str] = &["--refresh-interval=5m"];
const MIB: f64 = 1024.0;
/// Of a pod in an hour, with batches.
const MOST_CALLS: f64 = 12.3;

/// How long a run may take for each figure.
struct Effort {
    turns: usize,
    sizes: usize,
    starts: usize,
    cold: usize,
    period: Duration,
    pods: &'static [usize],
}

const FULL: Effort = Effort {
    turns: 400,
    sizes: 15,
    starts: 20,
    cold: 5,
    period: Duration::from_secs(2),
    pods: &[1, 3, 10, 30, NODE_PODS],
};
const QUICK: Effort = Effort {
    turns: 100,
    sizes: 3,
    starts: 5,
    cold: 1,
    period: Duration::from_millis(500),
    pods: &[1, NODE_PODS],
};

/// The emulator, for as long as it is needed.
pub(crate) struct Setting {
    pub(crate) cloud: Cloud,
    _emulator: Process,
    _directory: TempDir,
}

impl Setting {
    pub(crate) async fn set(programs: &Programs) -> Result<Self, Fault> {
        let directory = TempDir::with_prefix("alibabacloud-bench-")?;
        let content = content::cloud(accounts(NODE_PODS), Some(LATENCY_MS));
        let (emulator, cloud) =
            Cloud::start(&programs.emulator, directory.path(), &content, &[]).await?;
        Ok(Self { cloud, _emulator: emulator, _directory: directory })
    }
}

/// The figures, and each curve with its file's name and what it shows.
pub(crate) async fn measure(
    programs: &Programs,
    page: &Page,
    quick: bool,
) -> Result<(Report, Vec<curves::Picture>), Fault> {
    let effort = if quick { QUICK } else { FULL };
    let started = Instant::now();
    let say = |what: &str| page.line(&format!("{:>4} s  {what}", started.elapsed().as_secs()));
    let (mut report, load) = (Report::default(), load_average()?);
    let Setting { cloud, .. } = &Setting::set(programs).await?;

    say("starts, and many new pods at once")?;
    footprint(&mut report, programs, cloud, effort.starts).await?;
    let cold = latency::cold(&programs.provider, cloud, effort.cold).await?;
    let cold_naive = latency::cold_naive(cloud).await?;

    say("one mount after the other, fetched each time")?;
    let node = Node::start(&programs.provider, cloud, FETCHED).await?;
    let turns = latency::turns(cloud, &node, effort.turns).await?;
    let sizes = latency::sizes(cloud, &node, effort.sizes).await?;
    latencies(&mut report, &turns, &sizes, (cold, cold_naive));

    say("many mounts at once, fetched each time")?;
    let requests: Arc<[MountRequest]> = pods::requests(cloud, NODE_PODS, 1).await?.into();
    let fetched = Throughput::measure(&node, &requests, effort.period).await?;
    drop(node);

    say("many mounts at once, from memory")?;
    let node = Node::start(&programs.provider, cloud, FROM_MEMORY).await?;
    let requests: Arc<[MountRequest]> = pods::requests(cloud, NODE_PODS, OBJECTS).await?.into();
    fill(&node, &requests).await?;
    let resident = node.usage()?.resident_kib;
    let filled = format!("{:.1} MiB", mib(resident));
    let what = format!("resident, after {NODE_PODS} pods x {OBJECTS}");
    report.target(&what, "<= 24 MiB", filled, mib(resident) <= 24.0);
    let kept = Throughput::measure(&node, &requests, effort.period).await?;
    let paced = Load::paced(&node, &requests, BUSY, effort.period * 3, Some(RATE)).await?;
    drop(node);
    throughputs(&mut report, &kept, &paced)?;
    costs(&mut report, &turns, &kept, &fetched)?;

    say("after and beside events")?;
    events::measure(&mut report, &programs.provider, cloud, quick).await?;

    say("an hour of a node")?;
    let hours = node_hours(&mut report, programs, effort.pods).await?;
    let seconds = started.elapsed().as_secs();
    let machine = machine()?;
    report.note(format!("Seen on {machine}, in {seconds} s; load average before: {load}."));
    let pictures = Curves { sizes: &sizes, kept: &kept, fetched: &fetched, hours: &hours }.draw();
    Ok((report, pictures))
}

/// Load and nothing else, for a profiler beside it.
pub(crate) async fn hold(
    programs: &Programs,
    page: &Page,
    seconds: u64,
    fetched: bool,
    lanes: usize,
) -> Result<(), Fault> {
    let Setting { cloud, .. } = &Setting::set(programs).await?;
    let flags = if fetched { FETCHED } else { FROM_MEMORY };
    let node = Node::start(&programs.provider, cloud, flags).await?;
    let objects = if fetched { 1 } else { OBJECTS };
    let requests: Arc<[MountRequest]> = pods::requests(cloud, NODE_PODS, objects).await?.into();
    fill(&node, &requests).await?;
    page.line(&format!("the provider is process {}", node.id()))?;
    let load = Load::run(&node, &requests, lanes, Duration::from_secs(seconds)).await?;
    let cpu = millis(load.cpu_per_mount());
    page.line(&format!("{:.0} mounts a second, {cpu:.3} ms of CPU each", load.per_second()))
}

/// Every pod once, all at the same moment.
pub(crate) async fn fill(node: &Node, requests: &[MountRequest]) -> Result<(), Fault> {
    let driver = node.driver()?;
    let mounts = requests.iter().cloned();
    try_join_all(mounts.map(|request| driver.send(request, pods::PATIENCE))).await?;
    Ok(())
}

async fn footprint(
    report: &mut Report,
    programs: &Programs,
    cloud: &Cloud,
    times: usize,
) -> Result<(), Fault> {
    let size = mib(fs::metadata(&programs.provider)?.len() / 1024);
    report.target("binary, stripped", "<= 10 MiB", format!("{size:.1} MiB"), size <= 10.0);
    let (mut starts, mut idle) = (Vec::new(), 0);
    for _ in 0..times {
        let node = Node::start(&programs.provider, cloud, FROM_MEMORY).await?;
        starts.push(node.started_in);
        // What a start needs and gives back is over.
        tokio::time::sleep(Duration::from_millis(200)).await;
        idle = node.usage()?.resident_kib;
    }
    let start = millis(median(starts));
    report.target(
        "start of the program to first answer",
        "<= 10 ms",
        format!("{start:.1} ms"),
        start <= 10.0,
    );
    report.target("resident, idle", "<= 8 MiB", format!("{:.1} MiB", mib(idle)), mib(idle) <= 8.0);
    Ok(())
}

fn latencies(report: &mut Report, turns: &Turns, sizes: &[Size], cold: (Duration, Duration)) {
    let ms = |duration| format!("{:.1} ms", millis(duration));
    let (raw, ours) = (percentile(&turns.raw, 50), percentile(&turns.ours, 50));
    report.told("raw request, median", ms(raw));
    report.told("raw request, p99", ms(percentile(&turns.raw, 99)));
    report.told("warm mount, 1 object, median", ms(ours));
    let naive_of = |objects| sizes.iter().find(|size| size.objects == objects);
    if let Some(one) = naive_of(1) {
        report.naive(ms(one.naive));
    }
    let over = millis(percentile(&turns.ours, 99)) - millis(percentile(&turns.raw, 99));
    report.target(
        "warm mount, 1 object, p99",
        "raw + 1 ms",
        format!("raw {over:+.2} ms"),
        over <= 1.0,
    );
    let times = |duration: Duration| duration.as_secs_f64() / raw.as_secs_f64();
    let seen = |duration| format!("{:.1} x raw", times(duration));
    if let Some(fifty) = naive_of(50) {
        let what = "warm session, 50 uncached objects";
        report.target(what, "<= 2 x raw", seen(fifty.ours), times(fifty.ours) <= 2.0);
        report.naive(seen(fifty.naive));
    }
    let (cold, cold_naive) = cold;
    let what = format!("{COLD_PODS} new pods x {OBJECTS} at once, cold");
    report.target(&what, "<= 10 x raw", seen(cold), times(cold) <= 10.0);
    report.naive(seen(cold_naive));
}

fn throughputs(report: &mut Report, kept: &Throughput, paced: &Load) -> Result<(), Fault> {
    let busy = kept.at(BUSY)?;
    let rate = busy.per_second();
    let what = format!("from memory, {BUSY} in flight");
    let target = format!(">= {RATE} a second");
    report.target(&what, &target, format!("{rate:.0} a second"), rate >= f64::from(RATE));
    report.naive(format!("{MOUNTS_PER_SECOND} a second"));
    // As many as are in flight, over the rate: it can never be less on average.
    report.told(&format!("{what}, p99"), format!("{:.1} ms", millis(busy.percentile(99))));
    let slow = millis(paced.percentile(99));
    let what = format!("from memory, {RATE} a second, p99");
    report.target(&what, "<= 2 ms", format!("{slow:.2} ms"), slow <= 2.0);
    let typical = format!("{:.2} ms", millis(paced.percentile(50)));
    report.told(&format!("from memory, {RATE} a second, median"), typical);
    let (provider, generator) = busy.cores();
    report.note(format!(
        "From memory at {BUSY} in flight, the provider kept {provider:.2} cores busy and the load \
         itself {generator:.2}; where the two leave nothing of the machine, it is what bounds them."
    ));
    Ok(())
}

fn costs(
    report: &mut Report,
    turns: &Turns,
    kept: &Throughput,
    fetched: &Throughput,
) -> Result<(), Fault> {
    let turn = turns.cpu.div_f64(count(turns.ours.len()));
    for (how, each, most) in [
        ("from memory", kept.at(BUSY)?.cpu_per_mount(), 0.15),
        ("from memory, one at a time", kept.at(1)?.cpu_per_mount(), 0.15),
        ("fetched", fetched.at(BUSY)?.cpu_per_mount(), 0.6),
        ("fetched, one at a time", turn, 0.6),
    ] {
        let seen = millis(each);
        let (what, target) = (format!("CPU per mount, {how}"), format!("<= {most} ms"));
        report.target(&what, &target, format!("{seen:.3} ms"), seen <= most);
    }
    Ok(())
}

/// One way to run the provider, with its calls over the number of pods.
pub(crate) struct Variant {
    pub(crate) name: &'static str,
    pub(crate) hours: Vec<(usize, Hour)>,
}

async fn node_hours(
    report: &mut Report,
    programs: &Programs,
    pods: &[usize],
) -> Result<Vec<Variant>, Fault> {
    let known = |flags: &[&'static str]| -> Vec<&'static str> {
        let is_known = |flag: &&str| flag.split('=').next().is_some_and(|name| programs.know(name));
        flags.iter().copied().filter(is_known).collect()
    };
    let plain = ["--refresh-interval=5m", "--kms-batch=off", "--share=pod"];
    let batch = ["--refresh-interval=5m", "--kms-batch=auto", "--share=pod"];
    let share = ["--refresh-interval=5m", "--kms-batch=auto", "--share=service-account"];
    let ways = [
        ("every 5 min", plain, 5),
        ("5 min, batches", batch, 0),
        ("5 min, batches, shared", share, 0),
    ];
    let mut variants: Vec<Variant> = Vec::new();
    for (name, flags, part) in ways {
        // The first is there in any case; another is one if the provider knows all of its flags.
        if !variants.is_empty() && known(&flags).len() < flags.len() {
            continue;
        }
        let mut variant = Variant { name, hours: Vec::new() };
        for pods in pods {
            variant.hours.push((*pods, hours::hour(*pods, &known(&flags)).await?));
        }
        if let Some((pods, hour)) = variant.hours.last() {
            let naive = hours::naive(*hour);
            let times = naive as f64 / hour.calls.max(1) as f64;
            let what = format!("calls per node-hour, {pods} pods x {OBJECTS}, {name}");
            let seen = format!("1/{times:.1} of naive ({})", hour.calls);
            if part > 0 {
                report.target(
                    &what,
                    &format!("<= 1/{part} of naive"),
                    seen,
                    times >= f64::from(part),
                );
            } else {
                report.told(&what, seen);
            }
            report.naive(naive.to_string());
            if flags == batch {
                // What an hour needs at least is 11.2 (docs/performance.md).
                let each = hour.calls as f64 / *pods as f64;
                let what = "calls a pod-hour, own sessions, batches";
                report.target(what, "<= 12.3", format!("{each:.1}"), each <= MOST_CALLS);
                report.before("13.2");
                let each = hour.logins as f64 / *pods as f64;
                report.told("of these to STS", format!("{each:.1}"));
            }
            if variants.is_empty() {
                report.told("ServiceAccount lookups in that hour", hour.lookups.to_string());
            }
        }
        variants.push(variant);
    }
    Ok(variants)
}

fn mib(kib: u64) -> f64 {
    count(usize::try_from(kib).unwrap_or(usize::MAX)) / MIB
}
