//! The audit file and those rotated from it: FILE.1 is the youngest. Two processes can write to it at once,
//! as they do during a rollout, under a lock on FILE.lock: a lock on FILE itself is left to readers.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use super::{chain, hash::Hash};

/// More than the longest line takes.
const TAIL_BYTES: u64 = 64 << 10;
/// Younger records may not have been collected.
const COLLECTED: Duration = Duration::from_secs(24 * 3600);
const LONGEST_LOCK: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(2);
const LOCKED: &str = "another process keeps the lock beside it, the file that ends in .lock: end that \
                      process";

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// `None` until it could be opened.
    file: Option<Arc<File>>,
    /// The same.
    lock: Option<Arc<File>>,
    most_bytes: u64,
    files: usize,
    /// Nothing has been written yet since the file became another.
    moved: bool,
    /// Where the file ended after the last addition of this process.
    left: u64,
    /// Bytes of broken lines that are gone, and that no line tells of yet.
    torn: u64,
}

/// Holds the file for one addition.
#[derive(Debug)]
pub(super) struct Held<'a> {
    log: &'a mut LogFile,
    file: Arc<File>,
    lock: Arc<File>,
    size: u64,
}

/// How the records that are there end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Of the last whole line.
    pub(super) last: Option<Hash>,
    /// Bytes of broken lines, which are gone now.
    pub(super) torn: u64,
}

/// The name of a rotated file.
pub(crate) fn rotated(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

/// A device has no room beside it, and no reader who would lock it.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    let kind = std::fs::metadata(path).map(|metadata| metadata.file_type());
    if !kind.is_ok_and(|kind| kind.is_char_device()) {
        name.push(".lock");
    }
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    // What is read of it is only ever its own end. A link in its place could lead anywhere, and a
    // pipe would keep the program waiting for its reader.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let mut options = OpenOptions::new();
    options.create(true).append(true).read(true).mode(0o600).custom_flags(flags);
    let file = options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => no_file("it is a link"),
        _ => error,
    })?;
    let kind = file.metadata()?.file_type();
    match kind.is_file() || kind.is_char_device() {
        true => Ok(file),
        false => Err(no_file("it is neither a regular file nor a device")),
    }
}

/// Whether `file` is the one that its path leads to, or another has taken its place.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn no_file(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, format!("{what}; remove it, or name another file"))
}

/// Another process's addition takes milliseconds. What holds it longer is no provider.
fn lock(file: &File) -> io::Result<()> {
    let end = Instant::now() + LONGEST_LOCK;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::new(ErrorKind::WouldBlock, LOCKED));
            }
        }
    }
}

impl LogFile {
    pub(super) fn new(path: &Path, most_bytes: u64, files: usize) -> Self {
        let path = path.to_owned();
        Self { path, file: None, lock: None, most_bytes, files, moved: false, left: 0, torn: 0 }
    }

    /// Waits for another process's addition; then the file is the one at its path, ends with a whole
    /// line, and is not full.
    pub(super) fn hold(&mut self) -> io::Result<Held<'_>> {
        let lock = self.locked()?;
        match self.ready() {
            Ok((file, size)) => Ok(Held { file, lock, size, log: self }),
            Err(error) => {
                let _ = lock.unlock();
                Err(error)
            }
        }
    }

    fn locked(&mut self) -> io::Result<Arc<File>> {
        let path = lock_path(&self.path);
        loop {
            let file = match &self.lock {
                Some(file) => file.clone(),
                None => Arc::new(open(&path)?),
            };
            self.lock = Some(file.clone());
            lock(&file)?;
            if is_at(&file, &path)? {
                return Ok(file);
            }
            self.lock = None;
        }
    }

    /// The file and its size.
    fn ready(&mut self) -> io::Result<(Arc<File>, u64)> {
        loop {
            let file = match &self.file {
                Some(file) => file.clone(),
                None => Arc::new(open(&self.path)?),
            };
            self.file = Some(file.clone());
            if !is_at(&file, &self.path)? {
                self.file = None;
                (self.moved, self.left) = (true, 0);
                continue;
            }
            let size = self.truncate_partial(&file, file.metadata()?.len())?;
            if size < self.most_bytes {
                return Ok((file, size));
            }
            self.rotate()?;
        }
    }

    /// Truncates a line that was never finished, or the next line would be joined to it. Its writer is gone:
    /// it would hold the lock.
    fn truncate_partial(&mut self, mut file: &File, size: u64) -> io::Result<u64> {
        let mut last = [b'\n'];
        if size > 0 && size != self.left {
            file.read_exact_at(&mut last, size - 1)?;
        }
        if last == [b'\n'] {
            return Ok(size);
        }
        let (_, torn) = end(&mut file, size)?;
        file.set_len(size - torn)?;
        self.torn += torn;
        Ok(size - torn)
    }

    pub(super) fn sync(&self) {
        // Written it is; a disk that cannot sync is not a reason to stop.
        let _ = self.file.as_ref().map(|file| file.sync_data());
    }

    /// A collector that comes once a day has not seen them, and `verify` finds nothing wrong.
    fn tell_of_loss(&self, oldest: &Path) {
        let age = std::fs::metadata(oldest).and_then(|file| file.modified());
        let age = age.ok().and_then(|written| written.elapsed().ok());
        if let Some(age) = age.filter(|age| *age < COLLECTED) {
            tracing::warn!(
                file = %oldest.display(),
                age_seconds = age.as_secs(),
                "audit records that are less than a day old are given up: collect them as they are \
                 written, or raise --audit-files or --audit-max-mib"
            );
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.sync();
        let name = |number| match number {
            0 => self.path.clone(),
            number => rotated(&self.path, number),
        };
        self.tell_of_loss(&name(self.files));
        for number in (0..self.files).rev() {
            match std::fs::rename(name(number), name(number + 1)) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                renamed => renamed?,
            }
        }
        Ok(())
    }
}

impl Held<'_> {
    /// Whether the next line is the file's first.
    pub(super) fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// Whether the next line has to say what stands before it, since it is not this process's last
    /// line: each line is tied to the one before it, of either process, or all lines of one process
    /// could be removed without a trace.
    pub(super) fn is_cut_off(&self) -> bool {
        self.log.moved || self.log.torn > 0 || self.log.left != self.size
    }

    /// How the records end.
    pub(super) fn found(&self) -> io::Result<Found> {
        let torn = self.log.torn;
        let (last, _) = end(&mut &*self.file, self.size)?;
        if self.size > 0 {
            return Ok(Found { last, torn });
        }
        match File::open(rotated(&self.log.path, 1)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found { last, torn }),
            older => {
                let older = older?;
                let size = older.metadata()?.len();
                let (last, _) = end(&mut &older, size)?;
                Ok(Found { last, torn })
            }
        }
    }

    /// All of it or nothing.
    pub(super) fn add(self, lines: &[u8]) -> io::Result<()> {
        let written = (&*self.file).write_all(lines);
        match written {
            Ok(()) => {
                self.log.left = self.size + lines.len() as u64;
                (self.log.moved, self.log.torn) = (false, 0);
            }
            // Why it could not be written is what matters.
            Err(_) => drop(self.file.set_len(self.size)),
        }
        written
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Closing the file would do it too.
        let _ = self.lock.unlock();
    }
}

/// The hash of the last whole line, and how many bytes follow it.
fn end(file: &mut &File, size: u64) -> io::Result<(Option<Hash>, u64)> {
    let from = size.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let (lines, torn) = tail.split_at_checked(whole).unwrap_or_default();
    let last = std::str::from_utf8(lines.trim_ascii_end()).ok().and_then(|lines| {
        let line = lines.rsplit('\n').next()?;
        chain::parts(line).map(|(_, hash)| hash)
    });
    Ok((last, torn.len() as u64))
}
