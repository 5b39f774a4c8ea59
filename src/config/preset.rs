//! Preset: defaults for another caller than the CSI driver. A flag or variable that is given wins over it.

use super::{
    flag::{DRIVER, Flag, flag},
    settings::Settings,
};

pub(super) const FLAGS: &[Flag] = &[flag(
    DRIVER,
    PRESET,
    "sync",
    "Other defaults, for the container beside secrets-store-sync-controller: --provider-volume=/provider, \
     --refresh-interval=0 and --stale-while-throttled=0 (forceSynchronization means now), --mount-timeout=20 (one \
     worker waits for each answer) [default: those for the CSI driver]",
)];

const PRESET: &str = "preset";

/// Of secrets-store-sync-controller: its chart mounts `/provider`, and its one worker has no deadline for a call.
const SYNC: &[(&str, &str)] = &[
    ("mount-timeout", "20"),
    ("provider-volume", "/provider"),
    ("refresh-interval", "0"),
    ("stale-while-throttled", "0"),
];

impl Settings<'_> {
    pub(super) fn preset(&mut self) {
        if let Some(defaults) =
            self.parsed(PRESET, &[], |name| (name == "sync").then_some(SYNC), "sync")
        {
            self.defaults = defaults;
        }
    }
}
