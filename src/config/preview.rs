//! Flags of `explain` and `policy`: how the operator set up caching, sharing and batches.

use clap::{Arg, ArgMatches};

use super::{
    cache,
    flags::{Flags, argument},
    settings::Settings,
};
use crate::{freshness::Caching, policy::Share};

const NAMES: [&str; 7] = [
    "refresh-interval",
    "min-refresh-interval",
    "max-refresh-interval",
    "stale-while-throttled",
    "outage-grace",
    "share",
    "kms-batch",
];

fn flags() -> impl Iterator<Item = &'static super::flag::Flag> {
    cache::FLAGS.iter().filter(|flag| NAMES.contains(&flag.name))
}

pub(crate) fn arguments() -> impl Iterator<Item = Arg> {
    flags().map(argument)
}

/// What these flags say.
#[derive(Debug)]
pub(crate) struct Preview {
    pub(crate) caching: Caching,
    pub(crate) share: Share,
    pub(crate) kms_batch: bool,
}

impl Preview {
    /// All mistakes together.
    pub(crate) fn parse(matches: &ArgMatches) -> Result<Self, Vec<String>> {
        let given = Flags::among(flags(), matches);
        let mut settings = Settings::new(&given, &[]);
        let freshness = settings.freshness();
        let caching = Caching {
            freshness,
            throttled: settings.stale_while_throttled(freshness),
            grace: settings.outage_grace(),
        };
        let (share, kms_batch) = (settings.share(), settings.kms_batch());
        match settings.mistakes() {
            mistakes if mistakes.is_empty() => Ok(Self { caching, share, kms_batch }),
            mistakes => Err(mistakes),
        }
    }
}
