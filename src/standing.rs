//! What mounts need beyond this process, and since when it has been failing. A failure that passes
//! is retried and told in the mount's error; one that lasts keeps the provider from being ready.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use tokio::time::Instant;

use crate::flight::lock;

/// A failure is told of once it has lasted for so long.
pub const LASTS: Duration = Duration::from_secs(5 * 60);
/// One that nobody has met for so long may be over. Kubelet tries a mount that fails again within
/// two minutes.
const FORGOTTEN: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Default)]
pub struct Standing {
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

impl Standing {
    pub fn new(hosts: Vec<(String, &'static str)>) -> Self {
        Self { hosts, failing: Mutex::default() }
    }

    /// How a login's call to a host ended: `why` it was not answered, if it was not.
    pub fn host(&self, host: &str, login: &[u8; 32], why: Option<&dyn Fn() -> String>) {
        if let Some((_, what)) = self.hosts.iter().find(|(own, _)| own == host) {
            self.note(what, Some(login), why);
        }
    }

    /// Good, or why not, whoever needs it.
    pub fn seen(&self, what: &'static str, why: Option<&dyn Fn() -> String>) {
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
        failing.retain(|_, spell| spell.last.elapsed() < FORGOTTEN);
        let lasting =
            failing.iter().filter(|(_, spell)| spell.of_several && spell.since.elapsed() >= LASTS);
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
    async fn a_failure_counts_once_it_lasts_and_until_it_ends() {
        let standing = Standing::new(vec![(KMS.to_owned(), "KMS does not answer")]);
        for minute in 0..=5 {
            assert_eq!(standing.reasons().is_empty(), minute < 5 || minute == 0, "{minute}");
            standing.host(KMS, &[minute; 32], Some(&refused));
            standing.host("kst-hzz.cryptoservice.kms.aliyuncs.com", &[1; 32], Some(&refused));
            advance(MINUTE).await;
        }
        assert_eq!(standing.reasons(), ["KMS does not answer for 6 minutes: connection refused"]);
        standing.host(KMS, &[1; 32], None);
        assert!(standing.reasons().is_empty());
    }

    /// An object that answers 503, which its author asks for again and again.
    #[tokio::test(start_paused = true)]
    async fn failure_that_one_login_meets_is_not_told() {
        let standing = Standing::new(vec![(KMS.to_owned(), "KMS does not answer")]);
        for _ in 0..30 {
            standing.host(KMS, &[1; 32], Some(&refused));
            advance(MINUTE).await;
            assert!(standing.reasons().is_empty());
        }
        standing.host(KMS, &[2; 32], Some(&refused));
        assert_eq!(standing.reasons().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_nobody_meets_any_more_is_forgotten() {
        let standing = Standing::default();
        standing.seen("no RAM session", Some(&refused));
        advance(FORGOTTEN - MINUTE).await;
        assert_eq!(standing.reasons().len(), 1);
        advance(MINUTE).await;
        assert!(standing.reasons().is_empty());
    }
}
