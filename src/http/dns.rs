//! Name resolver: the addresses of a host, from /etc/hosts and DNS.
//!
//! The C library is not asked. musl's fails a look-up when AAAA or one search domain is answered with
//! an error though A is fine, and the answer must not depend on which C library is linked. A and AAAA
//! are separate look-ups here, and the failure of one never fails the other.

mod config;
pub mod message;
mod query;
mod survey;

use std::{
    net::IpAddr,
    pin::pin,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use futures::future::select;
use tokio::time::{Instant, timeout};

use crate::{
    fair_cache::FairCache,
    singleflight::{Group, Waited},
    sync::lock,
    telemetry,
};
use config::{Conf, Hosts, Watched};
use message::{Family, Records};
use query::Preferred;
pub(crate) use survey::{Asked, Survey, survey};

/// The longest that a look-up takes, which is what a connection may take too.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the addresses of one family wait for those of the other: a name server that drops AAAA
/// must not delay a mount, and one that answers both does so within a few milliseconds.
const FAMILY_GRACE: Duration = Duration::from_millis(50);
/// A record with TTL 0 still serves the connections of one mount.
const LEAST_TTL: Duration = Duration::from_secs(1);
/// Addresses of KMS instances change with failovers, whatever the TTL says.
const MOST_TTL: Duration = Duration::from_secs(300);
/// Enough for the retries of one mount, and short for a name that was just created.
const NEGATIVE_TTL: Duration = Duration::from_secs(5);
/// Pod authors name KMS instances, so names need a bound.
const MOST_CACHED: usize = 512;

/// Why a host name gave no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.reason())]
pub enum NameError {
    /// NXDOMAIN.
    NotFound,
    /// The name exists and has neither A nor AAAA records.
    NoAddress,
    NoAnswer,
    /// SERVFAIL, REFUSED and the like.
    Failed,
    NoServer,
}

impl NameError {
    /// The reason as messages say it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NotFound => "the host name does not exist",
            Self::NoAddress => "the host name has no address",
            Self::NoAnswer => "the name servers do not answer",
            Self::Failed => "the name servers answer with an error",
            Self::NoServer => "no name server is configured",
        }
    }

    /// Whether the answer says something of the name, and not of the servers alone.
    fn is_negative(self) -> bool {
        matches!(self, Self::NotFound | Self::NoAddress)
    }
}

/// What is asked, and of which version of the configuration's name servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    name: Arc<str>,
    family: Family,
    version: u64,
}

type Found = Result<Arc<[IpAddr]>, NameError>;

#[derive(Debug)]
pub(super) struct Dns {
    conf: Watched<Conf>,
    hosts: Watched<Hosts>,
    preferred: Preferred,
    /// Answers, and until when they hold.
    cache: Mutex<FairCache<(), Question, (Instant, Found)>>,
    in_flight: Arc<Group<Question, Found>>,
}

impl Dns {
    /// The machine's, shared by all clients of the process.
    pub(super) fn of_system() -> Arc<Self> {
        static SYSTEM: LazyLock<Arc<Dns>> =
            LazyLock::new(|| Arc::new(Dns::new("/etc/resolv.conf", "/etc/hosts")));
        SYSTEM.clone()
    }

    fn new(resolv_conf: &str, hosts: &str) -> Self {
        Self {
            conf: Watched::new(resolv_conf, Conf::parse),
            hosts: Watched::new(hosts, |text| Some(Hosts::parse(text))),
            preferred: Preferred::default(),
            cache: Mutex::new(FairCache::new(MOST_CACHED)),
            in_flight: Arc::default(),
        }
    }

    /// At least one address; IPv4 first, and the connector tries the other family soon after.
    pub(super) async fn lookup(self: &Arc<Self>, host: &str) -> Result<Vec<IpAddr>, NameError> {
        let host = host.to_ascii_lowercase();
        if let Some(addresses) = self.hosts.current().0.get(&host) {
            return Ok(addresses);
        }
        let (conf, version) = self.conf.current();
        if conf.servers.is_empty() {
            return Err(NameError::NoServer);
        }
        let walk = |family| Walk { dns: self, conf: &conf, version, family }.find(&host);
        let (v4, v6) = (pin!(walk(Family::V4)), pin!(walk(Family::V6)));
        let (first, other) = select(v4, v6).await.factor_first();
        let second = match first.1 {
            Ok(_) => timeout(FAMILY_GRACE, other).await.ok(),
            Err(_) => Some(other.await),
        };
        join(first, second)
    }

    /// One question; the servers are asked once for all who wait, and to the end even if nobody
    /// waits any more, so that the next look-up finds the answer.
    async fn ask(self: &Arc<Self>, conf: &Arc<Conf>, question: Question, until: Instant) -> Found {
        if let Some(found) = self.cached(&question, Instant::now()) {
            return found;
        }
        let (waiter, leader) = self.in_flight.join(question);
        if let Some(leader) = leader {
            let (dns, conf) = (self.clone(), conf.clone());
            telemetry::spawn(async move {
                let Question { name, family, .. } = leader.key();
                let found = query::ask(&conf, &dns.preferred, name, *family, LOOKUP_TIMEOUT).await;
                let found = dns.keep(leader.key().clone(), found, Instant::now());
                leader.complete(found);
            });
        }
        match waiter.until(until).await {
            Waited::Completed(found) => found,
            Waited::TimedOut(_) | Waited::Lost => Err(NameError::NoAnswer),
        }
    }

    fn cached(&self, question: &Question, now: Instant) -> Option<Found> {
        let mut cache = lock(&self.cache);
        let (until, found) = cache.get(&(), question)?;
        (*until > now).then(|| found.clone())
    }

    fn keep(&self, question: Question, found: Result<Records, NameError>, now: Instant) -> Found {
        let (ttl, found) = match found {
            Ok(Records { addresses, ttl }) => {
                (Some(ttl.clamp(LEAST_TTL, MOST_TTL)), Ok(addresses.into()))
            }
            Err(error) => (error.is_negative().then_some(NEGATIVE_TTL), Err(error)),
        };
        if let Some(ttl) = ttl {
            lock(&self.cache).insert((), question, (now + ttl, found.clone()), 1);
        }
        found
    }
}

/// The look-up of one family through the search list.
struct Walk<'a> {
    dns: &'a Arc<Dns>,
    conf: &'a Arc<Conf>,
    version: u64,
    family: Family,
}

/// The addresses with the place in the search list where they were found.
type Walked = (Family, Result<(usize, Arc<[IpAddr]>), NameError>);

impl Walk<'_> {
    async fn find(self, host: &str) -> Walked {
        let Self { dns, conf, version, family } = self;
        let (names, given_first) = conf.candidates(host);
        let end = Instant::now() + LOOKUP_TIMEOUT;
        // A search domain whose servers are silent leaves time for those after it.
        let share = LOOKUP_TIMEOUT / u32::try_from(names.len()).unwrap_or(1);
        let mut failure = NameError::NotFound;
        for (at, name) in names.iter().enumerate() {
            let last = at + 1 == names.len();
            let until = if last { end } else { end.min(Instant::now() + share) };
            let question = Question { name: name.clone(), family, version };
            match dns.ask(conf, question, until).await {
                Ok(addresses) => return (family, Ok((at, addresses))),
                // The error of the name as it is given counts where that was tried first; else what
                // a server could not say, since the name may exist there.
                Err(error) if at == 0 || !given_first && failure.is_negative() => failure = error,
                Err(_) => {}
            }
        }
        (family, Err(failure))
    }
}

/// Both families' addresses if they belong to the same name, else those found earlier in the search
/// list.
fn join(first: Walked, second: Option<Walked>) -> Result<Vec<IpAddr>, NameError> {
    let Some(second) = second else { return first.1.map(|(_, addresses)| addresses.to_vec()) };
    let (v4, v6) = if first.0 == Family::V4 { (first.1, second.1) } else { (second.1, first.1) };
    match (v4, v6) {
        (Ok((at_v4, v4)), Ok((at_v6, v6))) if at_v4 == at_v6 => Ok([&*v4, &*v6].concat()),
        (Ok((at_v4, v4)), Ok((at_v6, _))) if at_v4 < at_v6 => Ok(v4.to_vec()),
        (_, Ok((_, addresses))) | (Ok((_, addresses)), _) => Ok(addresses.to_vec()),
        // AAAA alone is often answered with an error, so A's answer counts; but that there is no A
        // record says nothing of what AAAA would have been.
        (Err(NameError::NoAddress), Err(error)) if !error.is_negative() => Err(error),
        (Err(error), Err(_)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
