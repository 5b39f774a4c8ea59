//! A container of its own for a program: so much memory and so many processors, as the kernel holds it
//! to, in either version of cgroups. Needs root.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

use crate::Fault;

const ROOT: &str = "/sys/fs/cgroup";
/// How long processors are counted together.
const PERIOD_US: u64 = 100_000;

#[derive(Debug)]
pub(crate) struct Cgroup {
    /// One for each controller, or one for both.
    folders: Vec<PathBuf>,
}

impl Cgroup {
    pub(crate) fn new(
        name: &str,
        memory_bytes: u64,
        processors: Option<f64>,
    ) -> Result<Self, Fault> {
        let name = format!("csi-provider-{name}-{}", process::id());
        let root = Path::new(ROOT);
        let unified = root.join("cgroup.controllers").exists();
        let folders = match unified {
            true => vec![root.join(name)],
            false => vec![root.join("memory").join(&name), root.join("cpu").join(&name)],
        };
        let group = Self { folders };
        if unified {
            // They may be on already, and where they cannot be turned on the limits cannot be set.
            let _ = fs::write(root.join("cgroup.subtree_control"), "+memory +cpu");
        }
        for folder in &group.folders {
            fs::create_dir(folder)
                .map_err(|error| format!("{}: {error}; this needs root", folder.display()))?;
        }
        let memory = memory_bytes.to_string();
        group.set(&["memory.max", "memory.limit_in_bytes"], &memory)?;
        if let Some(quota) = processors.map(microseconds) {
            match unified {
                true => group.set(&["cpu.max"], &format!("{quota} {PERIOD_US}"))?,
                false => {
                    group.set(&["cpu.cfs_period_us"], &PERIOD_US.to_string())?;
                    group.set(&["cpu.cfs_quota_us"], &quota.to_string())?;
                }
            }
        }
        Ok(group)
    }

    /// Where a process writes its id to come in.
    pub(crate) fn doors(&self) -> impl Iterator<Item = PathBuf> {
        self.folders.iter().map(|folder| folder.join("cgroup.procs"))
    }

    /// How often a process was ended for want of memory.
    pub(crate) fn killed(&self) -> Result<u64, Fault> {
        let text = fs::read_to_string(self.file(&["memory.events", "memory.oom_control"])?)?;
        let killed = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        Ok(killed.and_then(|count| count.trim().parse().ok()).unwrap_or_default())
    }

    fn set(&self, names: &[&str], value: &str) -> Result<(), Fault> {
        let file = self.file(names)?;
        Ok(fs::write(&file, value).map_err(|error| format!("{}: {error}", file.display()))?)
    }

    fn file(&self, names: &[&str]) -> Result<PathBuf, Fault> {
        let paths = self.folders.iter().flat_map(|folder| names.iter().map(|n| folder.join(n)));
        let found = paths.into_iter().find(|path| path.exists());
        Ok(found.ok_or_else(|| format!("no {} in {ROOT}", names.join(" nor ")))?)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            // What ended a moment ago may not have left yet.
            for _ in 0..50 {
                match fs::remove_dir(folder) {
                    Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                        thread::sleep(Duration::from_millis(20));
                    }
                    _ => break,
                }
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a number of processors is small and above zero"
)]
fn microseconds(processors: f64) -> u64 {
    (processors * PERIOD_US as f64) as u64
}
