//! Writer: the thread that writes records. What waits is written together, and those who wait hear of it
//! together.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    chain::{Chain, Digest, Tip},
    file::{Found, LogFile},
    hash::Hash,
    record::{Body, Record},
};
use crate::telemetry::Metrics;

#[derive(Debug)]
pub(super) struct Batch {
    pub(super) records: Vec<Record>,
    pub(super) done: Option<oneshot::Sender<Result<(), String>>>,
    /// Given back when it is written.
    pub(super) room: OwnedSemaphorePermit,
}

#[derive(Debug)]
pub(super) enum Job {
    Write(Batch),
    End(oneshot::Sender<()>),
}

#[derive(Debug)]
pub(super) enum Sink {
    Stdout,
    File(LogFile),
}

#[derive(Debug)]
pub(super) struct Writer {
    sink: Sink,
    chain: Chain,
    tip: Tip,
    lost: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
    logged: Tip,
    logged_at: Instant,
    failing: bool,
}

/// Records that are written at once, about a mebibyte: as many or those of one mount more.
const MOST_TOGETHER: usize = 1024;
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often the log says where the chain is.
const LOG_EVERY: Duration = Duration::from_secs(300);

impl Writer {
    pub(super) fn new(
        sink: Sink,
        digest: Digest,
        node: String,
        lost: Arc<AtomicU64>,
        metrics: Arc<Metrics>,
    ) -> Result<Self, String> {
        let tip = Tip { seq: 0, hash: Hash::NONE };
        Ok(Self {
            sink,
            chain: Chain::new(digest, node)?,
            tip,
            lost,
            metrics,
            logged: tip,
            logged_at: Instant::now(),
            failing: false,
        })
    }

    /// The first line: it follows the last one that is there.
    pub(super) fn begin(&mut self) -> Result<(), String> {
        let failed = |error: std::io::Error| error.to_string();
        let mut out = Vec::new();
        let mut tip = self.tip;
        let start = |found: Found, first: bool| Body::Start {
            program: env!("CARGO_PKG_VERSION"),
            chained_by: self.chain.digest.name(),
            first,
            torn: found.torn,
        };
        match &mut self.sink {
            Sink::Stdout => {
                self.chain.add(&mut out, &mut tip, &start(Found::default(), true))?;
                to_stdout(&out).map_err(failed)?;
            }
            Sink::File(log) => {
                let held = log.hold().map_err(failed)?;
                let found = held.found().map_err(failed)?;
                tip.hash = found.last.unwrap_or(Hash::NONE);
                let first = held.is_empty();
                self.chain.add(&mut out, &mut tip, &start(found, first))?;
                held.add(&out).map_err(failed)?;
            }
        }
        self.tip = tip;
        self.log_tip();
        Ok(())
    }

    /// Until it is asked to end, or all senders are gone.
    pub(super) fn run(mut self, work: &Receiver<Job>) {
        loop {
            let mut batches = Vec::new();
            let mut end = None;
            let mut records = 0;
            let mut next = work.recv_timeout(LOOK_EVERY);
            loop {
                match next {
                    Ok(Job::Write(batch)) => {
                        records += batch.records.len();
                        batches.push(batch);
                    }
                    Ok(Job::End(done)) => end = Some(done),
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) if batches.is_empty() => return,
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                if end.is_some() || records >= MOST_TOGETHER {
                    break;
                }
                next = work.try_recv().map_err(|_| RecvTimeoutError::Timeout);
            }
            self.write(batches);
            if let Some(done) = end {
                self.end();
                let _ = done.send(());
                return;
            }
            if self.logged_at.elapsed() >= LOG_EVERY && self.logged != self.tip {
                self.log_tip();
            }
        }
    }

    fn write(&mut self, batches: Vec<Batch>) {
        let mut bodies = Vec::new();
        let mut waiting = Vec::new();
        for Batch { records, done, room } in batches {
            bodies.extend(records.into_iter().map(Body::of));
            waiting.push((done, room));
        }
        let outcome = self.add(&bodies);
        let written = bodies.len() as u64;
        match &outcome {
            Ok(()) => self.metrics.audit_written(written),
            Err(_) => {
                self.lost.fetch_add(written, Ordering::Relaxed);
                self.metrics.audit_lost(written);
            }
        }
        match &outcome {
            Err(error) => self.fails(error),
            Ok(()) if self.failing => {
                tracing::info!("audit records can be written again");
                self.failing = false;
            }
            Ok(()) => {}
        }
        for (done, _) in waiting {
            if let Some(done) = done {
                let _ = done.send(outcome.clone());
            }
        }
    }

    pub(super) fn fails(&mut self, error: &str) {
        if !self.failing {
            tracing::error!(error, "audit records cannot be written");
        }
        self.failing = true;
    }

    /// All of `bodies` and what has to be said before them, or nothing.
    fn add(&mut self, bodies: &[Body]) -> Result<(), String> {
        if self.tip.seq == 0 {
            self.begin()?;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if bodies.is_empty() && lost == 0 {
            return Ok(());
        }
        let outcome = self.try_add(bodies, lost);
        if outcome.is_err() {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
        outcome
    }

    fn try_add(&mut self, bodies: &[Body], lost: u64) -> Result<(), String> {
        let failed = |error: std::io::Error| error.kind().to_string();
        let Self { sink, chain, .. } = self;
        let mut out = Vec::new();
        let mut tip = self.tip;
        let lines = |out: &mut Vec<u8>, tip: &mut Tip| -> Result<(), String> {
            if lost > 0 {
                chain.add(out, tip, &Body::Lost { lost })?;
            }
            bodies.iter().try_for_each(|body| chain.add(out, tip, body))
        };
        let mut cut_off = false;
        match sink {
            Sink::Stdout => {
                lines(&mut out, &mut tip)?;
                to_stdout(&out).map_err(failed)?;
            }
            Sink::File(log) => {
                let held = log.hold().map_err(failed)?;
                cut_off = held.is_cut_off();
                if cut_off {
                    let Found { last, torn } = held.found().map_err(failed)?;
                    let (chained_by, first) = (chain.digest.name(), held.is_empty());
                    let after = last.unwrap_or(Hash::NONE);
                    let body = Body::Continue { chained_by, first, torn, after };
                    chain.add(&mut out, &mut tip, &body)?;
                }
                lines(&mut out, &mut tip)?;
                held.add(&out).map_err(failed)?;
            }
        }
        self.tip = tip;
        if cut_off {
            self.log_tip();
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Err(error) = self.add(&[Body::Stop {}]) {
            tracing::error!(error, "the audit record's last line cannot be written");
        }
        if let Sink::File(log) = &self.sink {
            log.sync();
        }
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0 {
            tracing::error!(lost, "audit records are lost, and no line says so");
        }
        self.log_tip();
    }

    /// Logs where the chain is, for operators who keep the log apart from the records.
    fn log_tip(&mut self) {
        self.logged = self.tip;
        self.logged_at = Instant::now();
        let Tip { seq, hash } = self.tip;
        tracing::info!(run = %self.chain.run, seq, %hash, "audit record");
    }
}

fn to_stdout(lines: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(lines)?;
    stdout.flush()
}
