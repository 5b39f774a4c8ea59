//! The audit record: a line for each value read and for each mount refused, written by a thread of
//! its own, each line chained to the one before it.

pub(crate) mod analysis;
pub(crate) mod chain;
pub(crate) mod file;
pub(crate) mod hash;
pub mod key;
pub(crate) mod output;
mod record;
pub(crate) mod verify;
mod writer;

use std::{
    path::PathBuf,
    sync::{
        Arc, LazyLock, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use aws_lc_rs::rand;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
    time::{Instant, timeout, timeout_at},
};

pub use record::{Asked, Event, Record};

use crate::{
    error::{Error, Reason},
    secret::Secret,
    telemetry::Metrics,
};
use chain::Digest;
use file::LogFile;
use writer::{Batch, Job, Sink, Writer};

/// Where records go, and what holds for them.
#[derive(Debug)]
pub struct Options {
    pub to: Destination,
    /// A file larger than this is rotated.
    pub most_bytes: u64,
    /// How many rotated files are kept.
    pub files: usize,
    pub key: Option<Secret<Vec<u8>>>,
    pub on_failure: OnFailure,
    /// The node's name; empty where it is not known.
    pub node: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Off,
    Stdout,
    File(PathBuf),
}

/// What becomes of a mount whose records cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnFailure {
    /// It fails: no value is handed out without a record of it.
    Refuse,
    /// It goes on, and the records missing are counted.
    Continue,
}

/// Lines waiting to be written: about 5 MiB, as long as most tell why a read failed.
const ROOM: usize = 8192;
/// How long a mount waits for its lines to be written.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// The same for one whose time is up. The driver waits for two seconds more.
const LATE: Duration = Duration::from_millis(500);
/// How long the end of the process waits for all of them.
const LONGEST_END: Duration = Duration::from_secs(5);

/// Tells one process from all others.
pub fn id() -> Option<String> {
    random().map(|id| format!("{id:016x}"))
}

/// Tells one mount from all others: no two of a process are the same, and those of two by chance alone.
pub fn mount_id() -> String {
    static FIRST: LazyLock<u64> = LazyLock::new(|| random().unwrap_or_default());
    static MOUNTS: AtomicU64 = AtomicU64::new(0);
    /// Odd, so that all multiples differ; of the golden ratio, so that they look like nothing.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mount = MOUNTS.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}", FIRST.wrapping_add(mount.wrapping_mul(STEP)))
}

fn random() -> Option<u64> {
    let mut id = [0; 8];
    rand::fill(&mut id).ok()?;
    Some(u64::from_be_bytes(id))
}

/// `None` inside: nothing is recorded.
#[derive(Clone, Debug)]
pub struct Audit(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    jobs: Mutex<mpsc::Sender<Job>>,
    room: Arc<Semaphore>,
    /// Records that found no room or could not be written, until a line has said so.
    lost: Arc<AtomicU64>,
    on_failure: OnFailure,
    metrics: Arc<Metrics>,
}

impl Audit {
    pub fn off() -> Self {
        Self(None)
    }

    /// The first line is written before this returns, so that a file that cannot be written is
    /// known at the start; where mounts go on without a record, so does the start.
    pub fn start(options: Options, metrics: Arc<Metrics>) -> Result<Self, String> {
        let sink = match &options.to {
            Destination::Off => return Ok(Self::off()),
            Destination::Stdout => Sink::Stdout,
            Destination::File(path) => {
                Sink::File(LogFile::new(path, options.most_bytes, options.files))
            }
        };
        // Alerts look for a rise, which needs a zero to rise from.
        metrics.audit_written(0);
        metrics.audit_lost(0);
        let digest = Digest::new(options.key.as_ref());
        let lost = Arc::<AtomicU64>::default();
        let mut writer = Writer::new(sink, digest, options.node, lost.clone(), metrics.clone())?;
        match (writer.begin(), options.on_failure) {
            (Ok(()), _) => {}
            // It tries again before what it writes next.
            (Err(what), OnFailure::Continue) => writer.fails(&what),
            (Err(what), OnFailure::Refuse) => {
                let to = match &options.to {
                    Destination::File(path) => format!("{}: ", path.display()),
                    Destination::Off | Destination::Stdout => String::new(),
                };
                return Err(format!("--audit: {to}{what}"));
            }
        }
        let (jobs, work) = mpsc::channel();
        let run = move || writer.run(&work);
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(run);
        thread.map_err(|error| format!("--audit: no thread to write with: {error}"))?;
        let (room, on_failure) = (Arc::new(Semaphore::new(ROOM)), options.on_failure);
        let jobs = Mutex::new(jobs);
        Ok(Self(Some(Arc::new(Inner { jobs, room, lost, on_failure, metrics }))))
    }

    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records what is about to be handed out. An error means that it must not be.
    pub async fn admit(&self, records: Vec<Record>, deadline: Instant) -> Result<(), Error> {
        match &self.0 {
            Some(inner) if inner.on_failure == OnFailure::Refuse => {
                inner.written(records, deadline).await.map_err(|what| {
                    if Instant::now() >= deadline {
                        let what = "the mount ran out of time before its audit record was written";
                        return Error::new(Reason::OutOfTime, what).hint("it is tried again");
                    }
                    Error::new(
                        Reason::NoAuditRecord,
                        format!("the audit record cannot be written: {what}"),
                    )
                    .hint(
                        "the operator must make room for it, or let mounts go on without it by \
                         --audit-failure=continue",
                    )
                })
            }
            _ => {
                self.note(records);
                Ok(())
            }
        }
    }

    /// Records what failed. Where no mount goes without a record, it waits until there is room for its
    /// lines, not until they are written: nothing is handed out.
    pub async fn refuse(&self, records: Vec<Record>, deadline: Instant) {
        match &self.0 {
            Some(inner) if inner.on_failure == OnFailure::Refuse => {
                let now = Instant::now();
                // A mount that failed since its time was up has a little more for this.
                let latest = deadline.max(now + LATE).min(now + LONGEST_WAIT);
                let mut unsent = Unsent { inner, records };
                if let Some(room) = inner.room_for(&unsent.records, latest).await {
                    let records = std::mem::take(&mut unsent.records);
                    inner.send(Batch { records, done: None, room });
                }
            }
            _ => self.note(records),
        }
    }

    /// Records without waiting; what finds no room is counted.
    pub fn note(&self, records: Vec<Record>) {
        let Some(inner) = &self.0 else { return };
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        match inner.room.clone().try_acquire_many_owned(count) {
            Ok(room) => inner.send(Batch { records, done: None, room }),
            Err(_) => inner.lose(records.len()),
        }
    }

    /// Writes what waits and a last line.
    pub async fn end(&self) {
        let Some(inner) = &self.0 else { return };
        let (done, ended) = oneshot::channel();
        let _ = inner.jobs().send(Job::End(done));
        if timeout(LONGEST_END, ended).await.is_err() {
            tracing::error!(
                records = ROOM.saturating_sub(inner.room.available_permits()),
                "the audit record is not whole: not all of it could be written in time"
            );
        }
    }
}

/// Records that wait for room; a caller who goes away meanwhile leaves them uncounted otherwise.
struct Unsent<'a> {
    inner: &'a Inner,
    records: Vec<Record>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if !self.records.is_empty() {
            self.inner.lose(self.records.len());
        }
    }
}

impl Inner {
    async fn written(&self, records: Vec<Record>, deadline: Instant) -> Result<(), String> {
        let deadline = deadline.min(Instant::now() + LONGEST_WAIT);
        let late = || "it was not written in time".to_owned();
        let mut unsent = Unsent { inner: self, records };
        let Some(room) = self.room_for(&unsent.records, deadline).await else {
            return Err(late());
        };
        let (done, written) = oneshot::channel();
        let records = std::mem::take(&mut unsent.records);
        self.send(Batch { records, done: Some(done), room });
        match timeout_at(deadline, written).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("its writer has ended".to_owned()),
            // It stays in the queue, and says more than was handed out.
            Err(_) => Err(late()),
        }
    }

    async fn room_for(&self, records: &[Record], until: Instant) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(records.len()).unwrap_or(u32::MAX);
        timeout_at(until, self.room.clone().acquire_many_owned(count)).await.ok()?.ok()
    }

    fn send(&self, batch: Batch) {
        if let Err(mpsc::SendError(Job::Write(batch))) = self.jobs().send(Job::Write(batch)) {
            self.lose(batch.records.len());
        }
    }

    fn lose(&self, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        self.lost.fetch_add(records, Ordering::Relaxed);
        self.metrics.audit_lost(records);
    }

    fn jobs(&self) -> mpsc::Sender<Job> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests;
