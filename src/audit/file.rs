//! The file that records are added to, and those set aside: FILE.1 is the youngest of them. Two
//! processes can write to it at once, as they do while a new one takes over from an old one.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::chain::{self, Hash};

/// More than the longest line takes.
const TAIL_BYTES: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    most_bytes: u64,
    files: usize,
    /// Nothing has been written yet since the file became another.
    moved: bool,
}

/// Holds the file for one addition.
#[derive(Debug)]
pub(super) struct Held<'a> {
    log: &'a mut LogFile,
    size: u64,
}

/// How the records before this process ended.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Of the last whole line.
    pub(super) last: Option<Hash>,
    /// Bytes of a broken line after it, which are gone now.
    pub(super) torn: u64,
}

/// The name of a file set aside.
pub(super) fn aside(path: &Path, number: usize) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}

fn open(path: &Path) -> io::Result<File> {
    // What is read of it is only ever its own end.
    OpenOptions::new().create(true).append(true).read(true).mode(0o600).open(path)
}

impl LogFile {
    pub(super) fn open(path: &Path, most_bytes: u64, files: usize) -> io::Result<Self> {
        let (path, file) = (path.to_owned(), open(path)?);
        Ok(Self { path, file, most_bytes, files, moved: false })
    }

    /// Waits for another process's addition; then the file is the one at its path, and not full.
    pub(super) fn hold(&mut self) -> io::Result<Held<'_>> {
        loop {
            self.file.lock()?;
            let own = self.file.metadata()?;
            let named = match std::fs::metadata(&self.path) {
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                named => Some(named?),
            };
            let same =
                |named: std::fs::Metadata| (named.dev(), named.ino()) == (own.dev(), own.ino());
            if !named.is_some_and(same) {
                self.file = open(&self.path)?;
                self.moved = true;
            } else if own.len() >= self.most_bytes {
                self.set_aside()?;
            } else {
                return Ok(Held { size: own.len(), log: self });
            }
        }
    }

    pub(super) fn sync(&self) {
        // Written it is; a disk that cannot sync is not a reason to stop.
        let _ = self.file.sync_data();
    }

    fn set_aside(&mut self) -> io::Result<()> {
        self.sync();
        let name = |number| match number {
            0 => self.path.clone(),
            number => aside(&self.path, number),
        };
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

    pub(super) fn has_moved(&self) -> bool {
        self.log.moved
    }

    /// Looks how the records end, and cuts off a line that was never finished.
    pub(super) fn found(&mut self) -> io::Result<Found> {
        let end = end(&mut self.log.file, self.size)?;
        if end.torn > 0 {
            self.size -= end.torn;
            self.log.file.set_len(self.size)?;
        }
        if self.size > 0 {
            return Ok(end);
        }
        match File::open(aside(&self.log.path, 1)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(end),
            older => {
                let mut older = older?;
                let size = older.metadata()?.len();
                let last = self::end(&mut older, size)?.last;
                Ok(Found { last, ..end })
            }
        }
    }

    /// All of it or nothing.
    pub(super) fn add(self, lines: &[u8]) -> io::Result<()> {
        let written = self.log.file.write_all(lines);
        match written {
            Ok(()) => self.log.moved = false,
            Err(_) => self.log.file.set_len(self.size)?,
        }
        written
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // Closing the file would do it too.
        let _ = self.log.file.unlock();
    }
}

fn end(file: &mut File, size: u64) -> io::Result<Found> {
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
    Ok(Found { last, torn: torn.len() as u64 })
}
