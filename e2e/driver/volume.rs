//! What the driver makes of an answer: its checks, and Kubernetes' atomic writer.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use provider::pb;

/// The content of a mounted volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Volume {
    /// Contents and mode by path.
    pub files: BTreeMap<String, (Vec<u8>, u32)>,
    /// As SecretProviderClassPodStatus will show them.
    pub versions: BTreeMap<String, String>,
}

impl Volume {
    pub fn text(&self, path: &str) -> &str {
        let (bytes, _) = self.files.get(path).unwrap_or_else(|| panic!("no file {path}"));
        std::str::from_utf8(bytes).unwrap_or_else(|_| panic!("{path} is not text"))
    }

    /// The checks of `MountContent` and of the payload writer, in their order. Duplicates, which
    /// the driver would let pass, are refused as well.
    pub fn accept(mut response: pb::MountResponse) -> Result<Self, String> {
        if response.error.as_ref().is_some_and(|error| !error.code.is_empty()) {
            return Err("the answer carries an error code".to_owned());
        }
        if response.object_version.is_empty() {
            return Err("missing object versions".to_owned());
        }
        let mut volume = Self::default();
        for version in response.object_version.drain(..) {
            volume.versions.insert(version.id, version.version);
        }
        if response.files.is_empty() {
            return Err("no files: old content would stay for ever".to_owned());
        }
        for file in &mut response.files {
            let (path, mode) = (std::mem::take(&mut file.path), file.mode);
            check_path(&path).map_err(|what| format!("path {path:?} {what}"))?;
            if !(1..=0o777).contains(&mode) {
                return Err(format!("{path:?} has mode {mode:o}"));
            }
            let content = (std::mem::take(&mut file.contents), mode as u32);
            if volume.files.insert(path.clone(), content).is_some() {
                return Err(format!("{path:?} is there twice"));
            }
        }
        let paths: Vec<&String> = volume.files.keys().collect();
        for (shorter, longer) in paths.iter().zip(paths.iter().skip(1)) {
            if longer.starts_with(&format!("{shorter}/")) {
                return Err(format!("{shorter:?} is a file and a directory"));
            }
        }
        Ok(volume)
    }

    /// Real files in a directory of their own, `..data` pointing at it, a link for each top-level
    /// name: all files of a mount change at one instant. Unchanged content is not written.
    pub fn publish(&self, target: &Path) -> io::Result<bool> {
        if Self::read(target).is_ok_and(|old| old == self.contents()) {
            return Ok(false);
        }
        fs::create_dir_all(target)?;
        let old = fs::read_link(target.join("..data")).ok();
        let number = fs::read_dir(target)?.count();
        let fresh = format!("..{}.{number}", jiff::Timestamp::now().strftime("%Y_%m_%d_%H_%M_%S"));
        for (path, (content, mode)) in &self.files {
            let file = target.join(&fresh).join(path);
            fs::create_dir_all(file.parent().unwrap_or(target))?;
            fs::write(&file, content)?;
            fs::set_permissions(&file, fs::Permissions::from_mode(*mode))?;
        }
        symlink(&fresh, target.join("..data_tmp"))?;
        fs::rename(target.join("..data_tmp"), target.join("..data"))?;
        let tops: Vec<&str> = self.files.keys().filter_map(|path| path.split('/').next()).collect();
        for top in &tops {
            let link = target.join(top);
            if fs::symlink_metadata(&link).is_err() {
                symlink(Path::new("..data").join(top), link)?;
            }
        }
        for entry in fs::read_dir(target)? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            if !name.starts_with("..") && !tops.contains(&&*name) {
                fs::remove_file(target.join(&*name))?;
            }
        }
        if let Some(old) = old {
            fs::remove_dir_all(target.join(old))?;
        }
        Ok(true)
    }

    /// The files of a published volume, as a pod sees them.
    pub fn read(target: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
        let mut files = BTreeMap::new();
        let data = target.join("..data");
        let mut open = vec![data.clone()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(relative) = path.strip_prefix(&data) {
                    files.insert(relative.to_string_lossy().into_owned(), fs::read(&path)?);
                }
            }
        }
        Ok(files)
    }

    fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.files.iter().map(|(path, (content, _))| (path.clone(), content.clone())).collect()
    }
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let elements: Vec<&str> = path.split('/').collect();
    if path.is_empty() || path.starts_with('/') {
        return Err("is empty or absolute");
    }
    if path.len() > 4096 || elements.iter().any(|element| element.len() > 255) {
        return Err("is too long");
    }
    if elements.contains(&"..") || path.starts_with("..") {
        return Err("has a \"..\"");
    }
    if elements.iter().any(|element| element.is_empty() || *element == ".") {
        return Err("is not clean");
    }
    if path.contains('\0') { Err("has a NUL") } else { Ok(()) }
}
