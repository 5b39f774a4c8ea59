//! What belongs to the driver: its directory, and the time of a mount.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    flag::{DRIVER, Flag, flag},
    settings::Settings,
};
use crate::{limits, text::quoted};

pub(super) const FLAGS: &[Flag] = &[
    flag(
        DRIVER,
        "provider-volume",
        "DIR",
        "The driver's directory for providers' sockets, a path that starts with /; it gets \
         alibabacloud.sock [default: /var/run/secrets-store-csi-providers]",
    ),
    flag(
        DRIVER,
        "mount-timeout",
        "SECONDS",
        "The longest a mount may take, 1 to 110; less if the driver gives less [default: 90]",
    ),
];

const DEFAULT_MOUNT: Duration = Duration::from_secs(90);

impl Settings<'_> {
    pub(super) fn provider_volume(&mut self) -> PathBuf {
        let folder = self
            .checked("provider-volume", &[], provider_volume)
            .unwrap_or_else(|| "/var/run/secrets-store-csi-providers".into());
        if !folder.exists() {
            self.warn(format!(
                "--provider-volume: there is no folder {}, and it is created: the driver finds the \
                 provider only if this is its own directory for providers, mounted from the host",
                folder.display()
            ));
        }
        folder
    }

    pub(super) fn mount_timeout(&mut self) -> Duration {
        let rule = "a number of seconds from 1 to 110";
        self.seconds("mount-timeout", limits::MOUNT_SECONDS, rule).unwrap_or(DEFAULT_MOUNT)
    }
}

fn provider_volume(text: &str) -> Result<PathBuf, String> {
    let folder = Path::new(text);
    if !folder.is_absolute() {
        return Err(format!("{} is not a path that starts with /", quoted(text)));
    }
    if folder.exists() && !folder.is_dir() {
        return Err(format!("{text} is not a folder"));
    }
    Ok(folder.to_owned())
}
