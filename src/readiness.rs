//! Readiness tracker: what mounts need beyond this process, and since when it has been failing. A brief
//! failure is retried and named in the mount's error; a lasting one makes the provider unready.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::sync::lock;

/// A failure makes the provider unready once it has lasted this long.
pub const UNREADY_AFTER: Duration = Duration::from_secs(5 * 60);
/// One that nobody has met for so long may be over. Kubelet tries a mount that fails again within
/// two minutes.
const FORGET_AFTER: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Default)]
pub struct Readiness {
    /// The operator's own hosts, and what they are: a pod author can name others.
    hosts: Vec<(String, &'static str)>,
    failing: Mutex<BTreeMap<&'static str, Failing>>,
}

#[derive(Debug)]
struct Failing {
    since: Instant,
    last: Instant,
    why: String,
    /// Who met it first, and whether others did: one login may ask for what fails for nobody else.
    by: Option<[u8; 32]>,
    of_several: bool,
}

impl Readiness {
    pub fn new(hosts: Vec<(String, &'static str)>) -> Self {
        Self { hosts, failing: Mutex::default() }
    }

    /// How a login's call to a host ended: `why` it was not answered, if it was not.
    pub fn record_host(&self, host: &str, login: &[u8; 32], why: Option<&dyn Fn() -> String>) {
        if let Some((_, what)) = self.hosts.iter().find(|(own, _)| own == host) {
            self.note(what, Some(login), why);
        }
    }

    /// Records that something works, or why not.
    pub fn record(&self, what: &'static str, why: Option<&dyn Fn() -> String>) {
        self.note(what, None, why);
    }

    fn note(&self, what: &'static str, login: Option<&[u8; 32]>, why: Option<&dyn Fn() -> String>) {
        let mut failing = lock(&self.failing);
        match why {
            None => {
                failing.remove(what);
            }
            Some(why) => {
                let now = Instant::now();
                let spell = failing.entry(what).or_insert_with(|| Failing {
                    since: now,
                    last: now,
                    why: String::new(),
                    by: login.copied(),
                    of_several: false,
                });
                spell.of_several |= login.is_none() || login != spell.by.as_ref();
                (spell.last, spell.why) = (now, why());
            }
        }
    }

    /// A line for each failure that lasts.
    pub fn reasons(&self) -> Vec<String> {
        let mut failing = lock(&self.failing);
        failing.retain(|_, spell| spell.last.elapsed() < FORGET_AFTER);
        let lasting = failing
            .iter()
            .filter(|(_, spell)| spell.of_several && spell.since.elapsed() >= UNREADY_AFTER);
        lasting
            .map(|(what, Failing { since, why, .. })| {
                format!("{what} for {} minutes: {why}", since.elapsed().as_secs() / 60)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const KMS: &str = "kms-vpc.cn-hangzhou.aliyuncs.com";

    fn refused() -> String {
        "connection refused".to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn lasting_failure_is_a_reason_until_it_ends() {
        let readiness = Readiness::new(vec![(KMS.to_owned(), "KMS does not answer")]);
        for minute in 0..=5 {
            assert_eq!(readiness.reasons().is_empty(), minute < 5 || minute == 0, "{minute}");
            readiness.record_host(KMS, &[minute; 32], Some(&refused));
            readiness.record_host(
                "kst-hzz.cryptoservice.kms.aliyuncs.com",
                &[1; 32],
                Some(&refused),
            );
            advance(MINUTE).await;
        }
        assert_eq!(readiness.reasons(), ["KMS does not answer for 6 minutes: connection refused"]);
        readiness.record_host(KMS, &[1; 32], None);
        assert!(readiness.reasons().is_empty());
    }

    /// An object that answers 503, which its author asks for again and again.
    #[tokio::test(start_paused = true)]
    async fn failure_of_one_login_is_no_reason() {
        let readiness = Readiness::new(vec![(KMS.to_owned(), "KMS does not answer")]);
        for _ in 0..30 {
            readiness.record_host(KMS, &[1; 32], Some(&refused));
            advance(MINUTE).await;
            assert!(readiness.reasons().is_empty());
        }
        readiness.record_host(KMS, &[2; 32], Some(&refused));
        assert_eq!(readiness.reasons().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn failure_that_nobody_meets_again_is_forgotten() {
        let readiness = Readiness::default();
        readiness.record("no RAM session", Some(&refused));
        advance(FORGET_AFTER - MINUTE).await;
        assert_eq!(readiness.reasons().len(), 1);
        advance(MINUTE).await;
        assert!(readiness.reasons().is_empty());
    }
}
