//! What a process uses, as the kernel counts it.

use std::{fs, time::Duration};

use crate::Fault;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// User and system time.
    pub(crate) cpu: Duration,
    pub(crate) resident_kib: u64,
    pub(crate) peak_kib: u64,
    pub(crate) threads: u64,
    /// None where only root may look: the provider lets nobody else trace it.
    pub(crate) descriptors: Option<usize>,
}

impl Usage {
    pub(crate) fn of(process: u32) -> Result<Self, Fault> {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| -> Result<u64, Fault> {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
            Ok(number.ok_or_else(|| format!("no {name} in the status of a process"))?)
        };
        let descriptors = fs::read_dir(format!("/proc/{process}/fd")).map(Iterator::count);
        Ok(Self {
            cpu: cpu(&stat).ok_or("the stat of a process is not understood")?,
            resident_kib: field("VmRSS")?,
            peak_kib: field("VmHWM")?,
            threads: field("Threads")?,
            descriptors: descriptors.ok(),
        })
    }

    pub(crate) fn own_cpu() -> Result<Duration, Fault> {
        Ok(cpu(&fs::read_to_string("/proc/self/stat")?).ok_or("no CPU time of this process")?)
    }
}

/// Fields 14 and 15; the second, the program's name, may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.map(str::parse::<u64>).collect::<Result<Vec<_>, _>>().ok()?.iter().sum();
    let per_second = rustix::param::clock_ticks_per_second();
    Some(Duration::from_millis(ticks * 1000 / per_second.max(1)))
}
