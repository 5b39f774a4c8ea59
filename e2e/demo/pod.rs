//! A pod's volume: what is asked for it, and what the pod then finds in it.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    time::Duration,
};

use crate::{
    Fault,
    driver::{PodVolume, Volume},
    manifest::SecretProviderClass,
    page::Page,
};

const PATIENCE: Duration = Duration::from_secs(10);
const LONGEST_VALUE: usize = 34;

pub(crate) struct Pod {
    pub(crate) volume: PodVolume,
    pub(crate) directory: PathBuf,
}

/// Where the top-level names of a volume are on the disk.
#[derive(PartialEq, Eq)]
pub(crate) struct Layout {
    /// What `..data` points at.
    pub(crate) data: PathBuf,
    /// Each name, with the number of its link and what that points at.
    pub(crate) links: Vec<(String, u64, PathBuf)>,
}

impl Pod {
    pub(crate) fn new(class: &SecretProviderClass, service_account: &str, name: &str) -> Self {
        let mut volume = PodVolume::new(&class.namespace, service_account, name);
        volume.parameters.clone_from(&class.parameters);
        volume.timeout = PATIENCE;
        Self { volume, directory: PathBuf::new() }
    }

    /// What the pod reads under this name.
    pub(crate) fn text(&self, path: &str) -> io::Result<String> {
        fs::read_to_string(self.directory.join(path))
    }

    pub(crate) fn mode(&self, path: &str) -> io::Result<u32> {
        Ok(fs::metadata(self.directory.join(path))?.permissions().mode() & 0o777)
    }

    pub(crate) fn holds(&self, path: &str, text: &str, mode: u32) -> bool {
        self.text(path).is_ok_and(|found| found == text)
            && self.mode(path).is_ok_and(|found| found == mode)
    }

    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(fs::read_dir(&self.directory)?.next().is_none())
    }

    pub(crate) fn layout(&self) -> io::Result<Layout> {
        let data = fs::read_link(self.directory.join("..data"))?;
        let mut links = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.starts_with("..") {
                links.push((name, fs::symlink_metadata(&path)?.ino(), fs::read_link(&path)?));
            }
        }
        links.sort();
        Ok(Layout { data, links })
    }

    pub(crate) fn show_files(&self, page: &Page, volume: &Volume) -> Result<(), Fault> {
        let mut label = "the pod's files";
        for (path, version) in &volume.versions {
            let text = short(&self.text(path)?);
            let mode = self.mode(path)?;
            page.field(label, &format!("{path:20}{mode:04o}  {version:4}{text}"))?;
            label = "";
        }
        Ok(())
    }

    pub(crate) fn show_layout(&self, page: &Page) -> Result<(), Fault> {
        let Layout { data, links } = self.layout()?;
        let mut label = "behind them";
        for (name, _, target) in links {
            page.field(label, &format!("{name:20}-> {}", target.display()))?;
            label = "";
        }
        page.field("", &format!("{:20}-> {}", "..data", data.display()))
    }
}

fn short(text: &str) -> String {
    if text.chars().count() <= LONGEST_VALUE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_VALUE - 3).chain("...".chars()).collect()
}
