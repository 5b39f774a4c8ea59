//! Folder: a set of files that changes as a whole, laid out as kubelet's AtomicWriter lays out a volume.
//!
//! The files are in a folder of their own, whose name is a time. The link `..data` leads to it, and each
//! name that a reader opens is a link through `..data`. A new set is written beside the old one, and a
//! rename of `..data` is the moment at which it takes effect: who is interrupted before it leaves the old
//! set, who is interrupted after it the new one, and the next start removes what is left over.
//!
//! Everything is done relative to the folder's own descriptor, and nothing follows a link out of it.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs::File,
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, chmodat, flock, fstatfs,
        mkdirat, openat, readlinkat, renameat, statat, symlinkat, unlinkat,
    },
    io::Errno,
};

use zeroize::Zeroizing;

use crate::{project::OutFile, text::quoted};

const DATA: &str = "..data";
/// What `..data` is renamed from.
const NEW_DATA: &str = "..data_tmp";
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o755);
/// `tmpfs` and `ramfs`, as statfs(2) has them.
const IN_MEMORY: [i64; 2] = [0x0102_1994, 0x8584_58f6];

#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    folder: OwnedFd,
    in_memory: bool,
}

/// What was done about a set of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// There were none before.
    First,
    Changed,
    /// They were all there.
    Same,
}

impl Folder {
    /// A folder that is empty, or that was written by this. Nobody else writes it from now on.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let failed = |error: Errno| match error {
            Errno::NOENT => format!(
                "{}: there is no such folder; mount a volume there, or make it",
                path.display()
            ),
            error => format!("{}: {}", path.display(), why(error)),
        };
        let stat = statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {}
            FileType::Symlink => {
                return Err(format!("{} is a link: name the folder itself", path.display()));
            }
            _ => return Err(format!("{} is no folder", path.display())),
        }
        let folder = openat(CWD, path, folder_flags(), Mode::empty()).map_err(failed)?;
        if let Err(error) = flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            return Err(match error {
                Errno::WOULDBLOCK => {
                    format!("{}: another process of this program writes it", path.display())
                }
                error => failed(error),
            });
        }
        let in_memory = fstatfs(&folder).map_err(failed)?.f_type;
        let in_memory = IN_MEMORY.contains(&in_memory);
        let folder = Self { path: path.to_owned(), folder, in_memory };
        folder.check_own()?;
        folder.clear()?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether what is deleted is gone.
    pub(super) fn is_in_memory(&self) -> bool {
        self.in_memory
    }

    pub(super) fn has_files(&self) -> bool {
        matches!(self.current(), Ok(Some(_)))
    }

    /// These files and no others, from one moment to the next.
    pub(super) fn write(&self, files: &[OutFile]) -> Result<Written, String> {
        self.check_names(files)?;
        let old = self.current().map_err(|error| self.failed(DATA, error))?;
        if let Some(old) = &old
            && self.holds(old, files)
        {
            self.tidy(old, files)?;
            return Ok(Written::Same);
        }
        let new = stamp();
        mkdirat(&self.folder, &new, FOLDER_MODE).map_err(|error| self.failed(&new, error))?;
        if let Err(what) = self.fill(&new, files).and_then(|()| self.switch(&new)) {
            // The next start would remove it as well.
            let _ = self.remove(OsStr::new(&new));
            return Err(what);
        }
        self.tidy(&new, files)?;
        Ok(if old.is_some() { Written::Changed } else { Written::First })
    }

    fn failed(&self, name: &str, error: Errno) -> String {
        format!("{}: {}: {}", self.path.display(), quoted(name), why(error))
    }

    /// The name of the folder that `..data` leads to, if it is one of a set.
    fn current(&self) -> Result<Option<String>, Errno> {
        match readlinkat(&self.folder, DATA, Vec::new()) {
            Ok(target) => Ok(target.into_string().ok().filter(|target| is_stamp(target))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn names(&self) -> Result<Vec<(OsString, FileType)>, String> {
        names(&self.folder, OsStr::new(".")).map_err(|error| self.failed(".", error))
    }

    /// Nothing of somebody else's is there, which would be hidden or removed.
    fn check_own(&self) -> Result<(), String> {
        let names = self.names()?;
        let foreign: Vec<_> = names
            .iter()
            .filter(|(name, kind)| !self.is_own(name, *kind))
            .map(|(name, _)| quoted(&name.to_string_lossy()))
            .collect();
        if foreign.is_empty() {
            return Ok(());
        }
        let shown = foreign.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match foreign.len().saturating_sub(3) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        Err(format!(
            "{} is not empty, and what it holds was not written by this program: {shown}{more}; give a \
             folder of its own",
            self.path.display()
        ))
    }

    /// What an earlier process was interrupted at. It holds values that nobody reads.
    fn clear(&self) -> Result<(), String> {
        let current = self.current().map_err(|error| self.failed(DATA, error))?;
        for (name, _) in self.names()? {
            let text = name.to_string_lossy();
            let old = is_stamp(&text) && current.as_deref() != Some(&*text);
            if old || text == NEW_DATA {
                self.remove(&name).map_err(|error| self.failed(&text, error))?;
            }
        }
        Ok(())
    }

    fn is_own(&self, name: &OsStr, kind: FileType) -> bool {
        let target = || readlinkat(&self.folder, name, Vec::new()).ok();
        match (name.to_str(), kind) {
            (Some(DATA | NEW_DATA), FileType::Symlink) => {
                target().is_some_and(|target| target.to_str().is_ok_and(is_stamp))
            }
            (Some(name), FileType::Directory) => is_stamp(name),
            (Some(name), FileType::Symlink) => {
                target().is_some_and(|target| target.to_bytes() == through_data(name).as_bytes())
            }
            _ => false,
        }
    }

    /// Whether the set is exactly this one. What cannot be read is not.
    fn holds(&self, set: &str, files: &[OutFile]) -> bool {
        let Ok(set) = openat(&self.folder, set, folder_flags(), Mode::empty()) else {
            return false;
        };
        let Ok((there, _)) = below(&set) else { return false };
        let wanted = files.iter().map(|file| OsString::from(file.path.as_str()));
        there.into_iter().collect::<BTreeSet<_>>() == wanted.collect()
            && files.iter().all(|file| holds_file(&set, file).unwrap_or(false))
    }

    /// A new set, which nobody sees yet.
    fn fill(&self, set: &str, files: &[OutFile]) -> Result<(), String> {
        let failed = |error| self.failed(set, error);
        chmodat(&self.folder, set, FOLDER_MODE, AtFlags::empty()).map_err(failed)?;
        let set = openat(&self.folder, set, folder_flags(), Mode::empty()).map_err(failed)?;
        for file in files {
            make_file(&set, file).map_err(|error| self.failed(file.path.as_str(), error))?;
        }
        Ok(())
    }

    /// From here on it is the one that readers see.
    fn switch(&self, set: &str) -> Result<(), String> {
        let failed = |error| self.failed(DATA, error);
        match unlinkat(&self.folder, NEW_DATA, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(failed(error)),
        }
        symlinkat(set, &self.folder, NEW_DATA).map_err(failed)?;
        renameat(&self.folder, NEW_DATA, &self.folder, DATA).map_err(failed)
    }

    /// What somebody else put where a link has to be is left alone, and the old set with it.
    fn check_names(&self, files: &[OutFile]) -> Result<(), String> {
        let wanted = top_names(files);
        let names = self.names()?;
        let taken = |(name, kind): &&(OsString, FileType)| {
            wanted.contains(name.as_os_str()) && !self.is_own(name, *kind)
        };
        names.iter().find(taken).map_or(Ok(()), |(name, _)| {
            Err(format!(
                "{}: {} was replaced by somebody else; remove it",
                self.path.display(),
                quoted(&name.to_string_lossy())
            ))
        })
    }

    /// Links to what is there, none to what is not, and no other set.
    fn tidy(&self, current: &str, files: &[OutFile]) -> Result<(), String> {
        let wanted = top_names(files);
        let names = self.names()?;
        for name in &wanted {
            if names.iter().all(|(other, _)| other != name) {
                let name = name.to_string_lossy();
                symlinkat(through_data(&name), &self.folder, &*name)
                    .map_err(|error| self.failed(&name, error))?;
            }
        }
        for (name, kind) in names {
            let kept = wanted.contains(name.as_os_str()) || name == DATA || name == current;
            if !kept && self.is_own(&name, kind) {
                self.remove(&name).map_err(|error| self.failed(&name.to_string_lossy(), error))?;
            }
        }
        Ok(())
    }

    fn remove(&self, name: &OsStr) -> Result<(), Errno> {
        match unlinkat(&self.folder, name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => {}
            removed => return removed,
        }
        // Its paths may be as long as the kernel takes, from there on.
        let set = openat(&self.folder, name, folder_flags(), Mode::empty())?;
        let (files, folders) = below(&set)?;
        for file in files {
            unlinkat(&set, file, AtFlags::empty())?;
        }
        for folder in folders.iter().rev() {
            unlinkat(&set, folder, AtFlags::REMOVEDIR)?;
        }
        unlinkat(&self.folder, name, AtFlags::REMOVEDIR)
    }
}

/// What is in a folder, `.` or one below.
fn names(at: &OwnedFd, folder: &OsStr) -> Result<Vec<(OsString, FileType)>, Errno> {
    let opened = openat(at, folder, folder_flags(), Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::new(opened)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name != "." && name != ".." {
            let stat = statat(at, joined(folder, name), AtFlags::SYMLINK_NOFOLLOW)?;
            names.push((name.to_owned(), FileType::from_raw_mode(stat.st_mode)));
        }
    }
    Ok(names)
}

/// The files and links below, and the folders, outer ones first.
fn below(at: &OwnedFd) -> Result<(Vec<OsString>, Vec<OsString>), Errno> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    let mut next = Some(OsString::from("."));
    let mut listed = 0;
    while let Some(folder) = next {
        for (name, kind) in names(at, &folder)? {
            let path = joined(&folder, &name);
            match kind {
                FileType::Directory => folders.push(path),
                _ => files.push(path),
            }
        }
        next = folders.get(listed).cloned();
        listed += 1;
    }
    Ok((files, folders))
}

fn holds_file(set: &OwnedFd, file: &OutFile) -> Result<bool, Errno> {
    let (path, wanted) = (file.path.as_str(), mode(file));
    let stat = statat(set, path, AtFlags::SYMLINK_NOFOLLOW)?;
    let same = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_mode & 0o7777 == wanted.as_raw_mode()
        && u64::try_from(stat.st_size).ok() == u64::try_from(file.bytes.expose().len()).ok();
    if !same {
        return Ok(false);
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(set, path, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // A mode without a right for its owner, which is this process.
            chmodat(set, path, wanted | Mode::RUSR, AtFlags::empty())?;
            let opened = openat(set, path, flags, Mode::empty());
            chmodat(set, path, wanted, AtFlags::empty())?;
            opened?
        }
        opened => opened?,
    };
    let room = file.bytes.expose().len().saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let limit = u64::try_from(room).unwrap_or(u64::MAX);
    let read = File::from(opened).take(limit).read_to_end(&mut bytes);
    Ok(read.is_ok() && *bytes == *file.bytes.expose())
}

/// What a reader finds in the folder itself.
fn top_names(files: &[OutFile]) -> BTreeSet<OsString> {
    let top = |file: &OutFile| file.path.as_str().split('/').next().unwrap_or_default().into();
    files.iter().map(top).collect()
}

fn make_file(set: &OwnedFd, file: &OutFile) -> Result<(), Errno> {
    let path = file.path.as_str();
    for (at, _) in path.match_indices('/') {
        let folder = path.get(..at).unwrap_or_default();
        match mkdirat(set, folder, FOLDER_MODE) {
            Ok(()) => chmodat(set, folder, FOLDER_MODE, AtFlags::empty())?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(set, path, flags, Mode::RUSR | Mode::WUSR)?;
    let mut made = File::from(made);
    made.write_all(file.bytes.expose())
        .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))?;
    // Whatever the umask is.
    rustix::fs::fchmod(&made, mode(file))?;
    Ok(())
}

fn mode(file: &OutFile) -> Mode {
    Mode::from_raw_mode(file.mode.bits().unsigned_abs())
}

fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

fn joined(folder: &OsStr, name: &OsStr) -> OsString {
    if folder == "." {
        return name.to_owned();
    }
    let mut path = folder.as_bytes().to_vec();
    path.push(b'/');
    path.extend(name.as_bytes());
    OsString::from_vec(path)
}

fn through_data(name: &str) -> String {
    format!("{DATA}/{name}")
}

/// As kubelet names them: no file of a volume begins with two points.
fn stamp() -> String {
    let now = jiff::Timestamp::now();
    let time = now.strftime("..%Y_%m_%d_%H_%M_%S");
    format!("{time}.{:09}", now.subsec_nanosecond())
}

fn is_stamp(name: &str) -> bool {
    name.strip_prefix("..").is_some_and(|time| {
        time.starts_with(|c: char| c.is_ascii_digit())
            && time.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'_' | b'.'))
    })
}

fn why(error: Errno) -> String {
    match error {
        Errno::ACCESS => {
            "permission denied; the folder must be writable for this user (fsGroup)".to_owned()
        }
        Errno::ROFS => "the file system is read-only; mount an emptyDir there".to_owned(),
        Errno::NOSPC => "no space is left; raise the volume's sizeLimit".to_owned(),
        error => std::io::Error::from(error).kind().to_string(),
    }
}

#[cfg(test)]
mod tests;
