//! Concurrency limit of a host: halves when the host is overloaded, and comes back as it answers
//! quickly again, or with time.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::api::Api;

/// A success is quick up to this many times the quickest of late, and this much more.
const QUICK_TIMES: u32 = 3;
const QUICK_SLACK: Duration = Duration::from_millis(20);
/// How far back "of late" reaches, at least; twice as far at most.
const WINDOW: Duration = Duration::from_secs(30);
/// A host that was not overloaded for so long has its whole limit again.
const FORGIVEN: Duration = Duration::from_secs(10);
/// What a host that was down begins with.
const FIRST: f64 = 8.0;

#[derive(Debug)]
pub(super) struct Concurrency {
    /// From 1 to the service's; its whole part counts.
    limit: f64,
    /// When it was lowered: calls that were under way then tell nothing new.
    lowered: Option<Instant>,
    /// When it last made a call wait.
    reached: Option<Instant>,
    /// Operations take different times: a read, a batch, a login.
    latencies: HashMap<Api, Latency>,
}

/// The least in two windows that follow each other.
#[derive(Clone, Copy, Debug)]
struct Latency {
    since: Instant,
    now: Duration,
    before: Duration,
}

impl Latency {
    fn add(&mut self, took: Duration, now: Instant) {
        let age = now.duration_since(self.since);
        if age >= WINDOW {
            self.before = if age < WINDOW * 2 { self.now } else { took };
            (self.since, self.now) = (now, took);
        }
        self.now = self.now.min(took);
    }

    fn least(&self) -> Duration {
        self.now.min(self.before)
    }
}

impl Concurrency {
    /// Starts with all, so that a mount of many objects takes one round trip.
    pub(super) fn new(most: usize) -> Self {
        Self { limit: float(most), lowered: None, reached: None, latencies: HashMap::new() }
    }

    pub(super) fn allows(&self, taken: usize, most: usize, now: Instant) -> bool {
        float(taken) + 1.0 <= self.limit(most, now)
    }

    fn limit(&self, most: usize, now: Instant) -> f64 {
        match self.lowered {
            Some(lowered) if now.duration_since(lowered) < FORGIVEN => self.limit,
            _ => float(most),
        }
    }

    pub(super) fn reached(&mut self, now: Instant) {
        self.reached = Some(now);
    }

    /// `taken` still counts the call that ended.
    pub(super) fn overloaded(&mut self, began: Instant, taken: usize, most: usize, now: Instant) {
        if self.lowered.is_some_and(|lowered| began < lowered) {
            return;
        }
        self.limit = (self.limit(most, now).min(float(taken)) / 2.0).max(1.0);
        self.lowered = Some(now);
    }

    /// It was down, and answers: to begin with not all at once.
    pub(super) fn is_back(&mut self, most: usize, now: Instant) {
        self.limit = FIRST.min(float(most));
        self.lowered = Some(now);
    }

    pub(super) fn succeeded(&mut self, api: Api, took: Duration, most: usize, now: Instant) {
        let new = Latency { since: now, now: took, before: took };
        let latency = self.latencies.entry(api).or_insert(new);
        latency.add(took, now);
        let quick = took <= latency.least() * QUICK_TIMES + QUICK_SLACK;
        // A limit that nobody reaches says nothing about what the host can take.
        let reached = self.reached.is_some_and(|reached| reached + took >= now);
        if quick && reached {
            // Each of them: as many answers as the limit double it.
            self.limit = (self.limit(most, now) + 1.0).min(float(most));
        }
    }
}

fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

impl Concurrency {
    pub(super) fn now(&self, most: usize) -> f64 {
        self.limit(most, Instant::now())
    }
}
