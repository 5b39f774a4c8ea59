//! Freshness: for how long values are believed, as class and operator decide it together.

use std::time::Duration;

/// How long values are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// For a SecretProviderClass without `refreshInterval`; zero turns keeping off.
    pub default: Duration,
    /// The least that a SecretProviderClass can ask for.
    pub least: Duration,
    /// The most that it can ask for, and that any value is served from the cache.
    pub most: Duration,
}

impl Freshness {
    /// What holds for a mount.
    pub fn of(self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.default).max(self.least).min(self.most)
    }
}

/// A value that rotates by itself is believed for this many intervals, but not past its rotation
/// nor beyond the operator's limit.
pub const MANAGED_INTERVALS: u32 = 6;

/// All that the operator decides of how old a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caching {
    pub(crate) freshness: Freshness,
    /// How old a value may be that is served while the cloud throttles.
    pub(crate) throttled: Duration,
    /// The same while it does not answer.
    pub(crate) grace: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn refresh_interval_is_held_within_the_operators_limits() {
        let freshness = Freshness { default: MINUTE / 2, least: MINUTE, most: MINUTE * 10 };
        assert_eq!(freshness.of(None), MINUTE, "the default too");
        assert_eq!(freshness.of(Some(Duration::ZERO)), MINUTE);
        assert_eq!(freshness.of(Some(MINUTE * 5)), MINUTE * 5);
        assert_eq!(freshness.of(Some(MINUTE * 1440)), MINUTE * 10);
    }
}
