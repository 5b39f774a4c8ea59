use std::{
    os::unix::fs::PermissionsExt,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
use tempfile::TempDir;

use super::*;

const NAME: &str = "alibabacloud.sock";

#[tokio::test]
async fn makes_the_directory_and_listens() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("run/providers");
    let mut socket = Socket::bind(&dir, NAME).unwrap();
    assert_eq!(socket.path(), dir.join(NAME));
    connects(&mut socket).await;
}

#[tokio::test]
async fn a_dead_predecessors_socket_is_replaced() {
    let dir = TempDir::new().unwrap();
    drop(std::os::unix::net::UnixListener::bind(dir.path().join(NAME)).unwrap());
    let mut socket = Socket::bind(dir.path(), NAME).unwrap();
    connects(&mut socket).await;
    assert_eq!(entries(dir.path()), [NAME]);
    // Nobody is left waiting at a path with nothing behind it.
    drop(socket);
    assert!(entries(dir.path()).is_empty());
}

#[tokio::test]
async fn is_private_at_every_moment() {
    let dir = TempDir::new().unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                for entry in fs::read_dir(dir.path()).unwrap().flatten() {
                    if let Ok(metadata) = entry.metadata() {
                        assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
                        seen += 1;
                    }
                }
            }
            seen
        });
        let mut held = None;
        for _ in 0..500 {
            held = Some(Socket::bind(dir.path(), NAME).unwrap());
        }
        drop(held);
        done.store(true, Ordering::Relaxed);
        assert!(watcher.join().unwrap() > 0);
    });
}

#[tokio::test]
async fn what_is_no_socket_is_not_replaced() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(NAME);
    fs::write(&path, "kept").unwrap();
    let error = Socket::bind(dir.path(), NAME).unwrap_err().to_string();
    assert!(error.contains(&format!("{} exists and is not a socket", path.display())), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "kept");

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(Socket::bind(dir.path(), NAME), Err(BindError::NotASocket { .. })));
    assert_eq!(entries(dir.path()), [NAME]);
}

#[test]
fn refusal_to_bind_names_the_user_and_whose_the_directory_has_to_be() {
    let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
    let said = BindError::of("bind", "/provider/a.sock".into(), refused()).to_string();
    let user = rustix::process::geteuid().as_raw();
    assert!(
        said.starts_with(&format!("user {user} may not make the socket /provider/a.sock: ")),
        "{said}"
    );
    let other = BindError::of("protect", "/provider/a.sock".into(), refused()).to_string();
    assert!(other.starts_with("cannot protect the socket /provider/a.sock: "), "{other}");
}

#[tokio::test]
async fn a_file_in_the_directorys_place_is_named() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("providers");
    fs::write(&dir, "").unwrap();
    let error = Socket::bind(&dir, NAME).unwrap_err().to_string();
    assert!(error.contains(&format!("socket directory {}", dir.display())), "{error}");
}

#[tokio::test]
async fn the_longest_path_works_and_a_longer_one_is_explained() {
    let root = TempDir::new().unwrap();
    let room = SOCKET_PATH - root.path().as_os_str().len() - NAME.len() - 2;
    let mut socket = Socket::bind(&root.path().join("d".repeat(room)), NAME).unwrap();
    assert_eq!(socket.path().as_os_str().len(), 107);
    connects(&mut socket).await;

    let error = Socket::bind(&root.path().join("d".repeat(room + 1)), NAME).unwrap_err();
    assert!(error.to_string().contains("has 108 bytes, and a client can connect to at most 107"));
}

#[tokio::test]
async fn leftovers_of_the_dead_are_removed_and_nothing_else() {
    let dir = TempDir::new().unwrap();
    for name in [".alibabacloud.sock.0000dead", ".alibabacloud.sock.0000live", "other.sock"] {
        drop(std::os::unix::net::UnixListener::bind(dir.path().join(name)).unwrap());
    }
    fs::write(dir.path().join(".alibabacloud.sock.file"), "").unwrap();
    let long_ago = Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 };
    for name in [".alibabacloud.sock.0000dead", ".alibabacloud.sock.file", "other.sock"] {
        let times = Timestamps { last_access: long_ago, last_modification: long_ago };
        rustix::fs::utimensat(CWD, dir.path().join(name), &times, AtFlags::empty()).unwrap();
    }
    let _socket = Socket::bind(dir.path(), NAME).unwrap();
    let kept = [".alibabacloud.sock.0000live", ".alibabacloud.sock.file", NAME, "other.sock"];
    assert_eq!(entries(dir.path()), kept);
}

#[tokio::test(start_paused = true)]
async fn a_vanished_path_is_bound_again() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("providers");
    let mut socket = Socket::bind(&dir, NAME).unwrap();

    fs::remove_file(socket.path()).unwrap();
    watch_for_seconds(&mut socket).await;
    connects(&mut socket).await;

    fs::remove_dir_all(&dir).unwrap();
    watch_for_seconds(&mut socket).await;
    connects(&mut socket).await;
    assert_eq!(fs::metadata(socket.path()).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(entries(&dir), [NAME]);
}

#[tokio::test(start_paused = true)]
async fn a_successor_is_left_alone_until_it_is_gone() {
    let dir = TempDir::new().unwrap();
    let mut old = Socket::bind(dir.path(), NAME).unwrap();
    let mut new = Socket::bind(dir.path(), NAME).unwrap();

    watch_for_seconds(&mut old).await;
    old.unlink_if_ours();
    connects(&mut new).await;

    new.unlink_if_ours();
    assert!(entries(dir.path()).is_empty());
    watch_for_seconds(&mut old).await;
    connects(&mut old).await;
    old.unlink_if_ours();
    assert!(entries(dir.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn something_else_in_the_paths_place_is_left_alone() {
    let dir = TempDir::new().unwrap();
    let mut socket = Socket::bind(dir.path(), NAME).unwrap();
    fs::remove_file(socket.path()).unwrap();
    fs::write(socket.path(), "kept").unwrap();
    watch_for_seconds(&mut socket).await;
    socket.unlink_if_ours();
    assert_eq!(fs::read_to_string(socket.path()).unwrap(), "kept");
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_the_queue_outlives_the_path() {
    let dir = TempDir::new().unwrap();
    let mut socket = Socket::bind(dir.path(), NAME).unwrap();
    let _waiting = UnixStream::connect(socket.path()).await.unwrap();
    fs::remove_file(socket.path()).unwrap();
    time::sleep(WATCH_INTERVAL * 3).await;
    time::timeout(WATCH_INTERVAL, socket.accept()).await.expect("the waiting connection");
}

async fn watch_for_seconds(socket: &mut Socket) {
    let accepted = time::timeout(WATCH_INTERVAL * 3, socket.accept()).await;
    assert!(accepted.is_err(), "nobody connects here");
}

async fn connects(socket: &mut Socket) {
    let path = socket.path().to_owned();
    let accepted = time::timeout(WATCH_INTERVAL, socket.accept());
    let (client, accepted) = tokio::join!(UnixStream::connect(path), accepted);
    client.unwrap();
    accepted.expect("the connection is ours");
}

fn entries(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}
