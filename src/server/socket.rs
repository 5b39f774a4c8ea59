//! The life of the socket the driver calls: bound privately, renamed into place, watched, removed.
//!
//! During a rollout two providers share the directory, so the path is only ever taken over by an
//! atomic rename and only unlinked while it still is the socket bound here. A path that vanished
//! is bound again; one that a successor took over is left alone. Nobody but the owner can connect
//! at any moment. This module depends on nothing else of ours.

use crate::limits::SOCKET_PATH;
use std::{
    fs,
    hash::{BuildHasher, RandomState},
    io,
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    fs::{Mode, OFlags},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType},
};
use tokio::{
    net::{UnixListener, UnixStream},
    time::{self, Interval, MissedTickBehavior},
};
use tracing::{debug, error, info, warn};

#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error(
        "cannot create the socket directory {path}: {source}; mount the node's directory there, \
         writable"
    )]
    Directory { path: PathBuf, source: io::Error },
    #[error(
        "the socket path {path} has {length} bytes, and a client can connect to at most \
         {SOCKET_PATH}: choose a shorter directory"
    )]
    TooLong { path: PathBuf, length: usize },
    #[error("{path} exists and is not a socket: remove it, or choose another directory")]
    NotASocket { path: PathBuf },
    #[error(
        "user {user} may not make the socket {path}: its directory has to belong to that user, \
         or the provider to run as the directory's owner, which is root unless someone changed it"
    )]
    NotTheOwner { user: u32, path: PathBuf },
    #[error("cannot {step} the socket {path}: {source}")]
    Io { step: &'static str, path: PathBuf, source: io::Error },
}

impl BindError {
    fn of(step: &'static str, path: PathBuf, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::PermissionDenied if step == "bind" => {
                Self::NotTheOwner { user: rustix::process::geteuid().as_raw(), path }
            }
            _ => Self::Io { step, path, source },
        }
    }
}

#[derive(Debug)]
pub struct Socket {
    dir: PathBuf,
    file_name: String,
    path: PathBuf,
    listener: UnixListener,
    id: FileId,
    holder: Holder,
    watch: Interval,
}

impl Socket {
    /// Takes the path over, also from a live predecessor. Needs a tokio runtime around it.
    pub fn bind(dir: &Path, file_name: &str) -> Result<Self, BindError> {
        let (listener, id) = take_path(dir, file_name)?;
        let mut watch = time::interval(WATCH_INTERVAL);
        watch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            dir: dir.to_owned(),
            file_name: file_name.to_owned(),
            path: dir.join(file_name),
            listener,
            id,
            holder: Holder::Us,
            watch,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection. The path is watched for as long as this is awaited; dropping the
    /// future loses no connection.
    pub async fn accept(&mut self) -> UnixStream {
        loop {
            // In this order nothing is left in the queue of a listener that is about to be replaced.
            tokio::select! {
                biased;
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => return stream,
                    Err(error) => {
                        warn!(%error, "cannot accept a connection of the driver");
                        time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = self.watch.tick() => self.look_after_path(),
            }
        }
    }

    /// Removes the path unless a successor has it. The listener is still open here, so the
    /// inode cannot have been given to another socket.
    pub fn unlink_if_ours(&self) {
        if FileId::at(&self.path).is_ok_and(|(id, _)| id == self.id) {
            match fs::remove_file(&self.path) {
                Ok(()) => debug!(path = %self.path.display(), "removed the socket"),
                Err(error) => {
                    warn!(path = %self.path.display(), %error, "cannot remove the socket");
                }
            }
        }
    }

    fn look_after_path(&mut self) {
        let path = self.path.display();
        let before = self.holder;
        self.holder = match FileId::at(&self.path) {
            Ok((id, _)) if id == self.id => Holder::Us,
            Ok((_, is_socket)) => {
                if before != Holder::Another && is_socket {
                    info!(%path, "another provider took the socket over; serving what is open");
                } else if before != Holder::Another {
                    warn!(%path, "the socket was replaced by something else: remove that");
                }
                Holder::Another
            }
            Err(_) => match take_path(&self.dir, &self.file_name) {
                Ok((listener, id)) => {
                    warn!(%path, "the socket had vanished and was bound again");
                    (self.listener, self.id) = (listener, id);
                    Holder::Us
                }
                Err(error) => {
                    if before != Holder::Nobody {
                        error!(%path, %error, "the socket vanished and cannot be bound again yet");
                    }
                    Holder::Nobody
                }
            },
        };
    }
}

/// Without anybody behind it the path would keep a driver waiting, and a predecessor from taking it back.
impl Drop for Socket {
    fn drop(&mut self) {
        self.unlink_if_ours();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holder {
    Us,
    Another,
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// What lies at the path, and whether that is a socket.
    fn at(path: &Path) -> io::Result<(Self, bool)> {
        let metadata = fs::symlink_metadata(path)?;
        let id = Self { device: metadata.dev(), inode: metadata.ino() };
        Ok((id, metadata.file_type().is_socket()))
    }
}

fn take_path(dir: &Path, file_name: &str) -> Result<(UnixListener, FileId), BindError> {
    let path = dir.join(file_name);
    let length = path.as_os_str().len();
    if length > SOCKET_PATH {
        return Err(BindError::TooLong { path, length });
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(dir)
        .map_err(|source| BindError::Directory { path: dir.to_owned(), source })?;
    if let Ok((_, false)) = FileId::at(&path) {
        return Err(BindError::NotASocket { path });
    }
    warn_of_open_directory(dir);

    let prefix = format!(".{file_name}.");
    remove_leftovers(dir, &prefix);
    // Providers in two pods may well have the same process id.
    let temporary = format!("{prefix}{:08x}", RandomState::new().hash_one(0) >> 32);
    let bound = listen_and_rename(dir, &temporary, &path);
    if bound.is_err() {
        // Nothing is there if already the bind failed.
        fs::remove_file(dir.join(&temporary)).unwrap_or_default();
    }
    bound.map_err(|(step, source)| BindError::of(step, path, source))
}

fn listen_and_rename(
    dir: &Path,
    temporary: &str,
    path: &Path,
) -> Result<(UnixListener, FileId), (&'static str, io::Error)> {
    let failed = |step| move |error| (step, io::Error::from(error));

    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir_fd =
        rustix::fs::open(dir, flags, Mode::empty()).map_err(failed("open the place of"))?;
    // The longer temporary name must fit into an address too.
    let short = format!("/proc/self/fd/{}/{temporary}", dir_fd.as_raw_fd());
    let address = SocketAddrUnix::new(short).map_err(failed("name"))?;

    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .map_err(failed("create"))?;
    // The file that bind creates takes this mode over, so it is private from its first moment.
    rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(failed("protect"))?;
    rustix::net::bind(&socket, &address).map_err(failed("bind"))?;
    rustix::net::listen(&socket, BACKLOG).map_err(failed("listen on"))?;
    let listener = UnixListener::from_std(socket.into()).map_err(|error| ("poll", error))?;

    let (id, _) = FileId::at(&dir.join(temporary)).map_err(|error| ("look at", error))?;
    fs::rename(dir.join(temporary), path).map_err(|error| ("put in place", error))?;
    Ok((listener, id))
}

fn remove_leftovers(dir: &Path, prefix: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let named = entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes());
        let dead = entry.metadata().is_ok_and(|metadata| {
            let age = metadata.modified().ok().and_then(|time| time.elapsed().ok());
            metadata.file_type().is_socket() && age.is_some_and(|age| age > LEFTOVER_AGE)
        });
        if named && dead && fs::remove_file(entry.path()).is_ok() {
            debug!(path = %entry.path().display(), "removed what a dead provider left");
        }
    }
}

fn warn_of_open_directory(dir: &Path) {
    const WORLD_WRITABLE: u32 = 0o002;
    const STICKY: u32 = 0o1000;
    if fs::metadata(dir)
        .is_ok_and(|found| found.mode() & (WORLD_WRITABLE | STICKY) == WORLD_WRITABLE)
    {
        warn!(dir = %dir.display(), "every user of the node can replace the socket: chmod o-w");
    }
}

const BACKLOG: i32 = 1024;
const WATCH_INTERVAL: Duration = Duration::from_secs(1);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// From bind to rename no live provider takes this long.
const LEFTOVER_AGE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
