//! The driver's side: one connection, and its rules for calls that it loses.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use crate::driver::{Driver, PodVolume, never_sent};

/// A connection that a server has answered on, as grpc-go's is ready once it has.
pub(super) async fn connected(socket: &Path) -> Option<Driver> {
    let driver = Driver::connect(socket).await.ok()?;
    timeout(Duration::from_secs(5), driver.version()).await.ok()?.ok()?;
    Some(driver)
}

/// `waitForReady`, and three tries a second apart where the connection broke.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) socket: PathBuf,
    now: Arc<Mutex<Option<Connection>>>,
    pub(super) counts: Arc<Counts>,
    pub(super) kills: Arc<Mutex<Vec<Instant>>>,
}

#[derive(Clone)]
pub(super) struct Connection {
    driver: Driver,
    /// When it began to be made; no two begin at the same moment.
    made: Instant,
}

#[derive(Default)]
pub(super) struct Counts {
    mounts: AtomicU64,
    broken: AtomicU64,
    unsent: AtomicU64,
    given_up: AtomicU64,
}

impl Counts {
    pub(super) fn mounts(&self) -> u64 {
        self.mounts.load(Relaxed)
    }

    /// Tries that a broken connection ended.
    pub(super) fn broken(&self) -> u64 {
        self.broken.load(Relaxed)
    }

    /// Calls that found the connection closing, and were never sent: these are no tries.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.load(Relaxed)
    }

    /// Mounts of which all three tries were broken, for kubelet to repeat.
    pub(super) fn given_up(&self) -> u64 {
        self.given_up.load(Relaxed)
    }
}

impl Line {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self { socket, now: Arc::default(), counts: Arc::default(), kills: Arc::default() }
    }

    pub(super) async fn ready(&self) -> Connection {
        loop {
            if let Some(connection) = &*self.now.lock().unwrap() {
                return connection.clone();
            }
            let made = Instant::now();
            match connected(&self.socket).await {
                Some(driver) => {
                    self.now.lock().unwrap().get_or_insert(Connection { driver, made });
                }
                None => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn broke(&self, connection: &Connection) {
        let mut now = self.now.lock().unwrap();
        if now.as_ref().is_some_and(|now| now.made == connection.made) {
            *now = None;
        }
    }

    /// UNAVAILABLE where a kill hit each of three tries.
    pub(super) async fn mount(&self, pod: &PodVolume) -> Result<(), Status> {
        const TRIES: u32 = 3;
        self.counts.mounts.fetch_add(1, Relaxed);
        let mut tries = 0;
        loop {
            let connection = self.ready().await;
            let status = match connection.driver.try_once(pod.request(), pod.timeout).await {
                Ok(_) => return Ok(()),
                Err(status) => status,
            };
            match End::of(&status) {
                End::Answered => return Err(status),
                End::Unsent => {
                    self.counts.unsent.fetch_add(1, Relaxed);
                    self.broke(&connection);
                }
                End::Broken => {
                    let kills = self.kills.lock().unwrap().clone();
                    let killed = kills.iter().any(|kill| *kill >= connection.made);
                    assert!(killed, "nobody broke this connection: {status:?}");
                    self.counts.broken.fetch_add(1, Relaxed);
                    self.broke(&connection);
                    tries += 1;
                    if tries == TRIES {
                        self.counts.given_up.fetch_add(1, Relaxed);
                        return Err(Status::unavailable(format!("three times: {status:?}")));
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// How a try that failed ended.
enum End {
    /// By a status that the provider sent.
    Answered,
    /// The connection was closing, and the call never left.
    Unsent,
    Broken,
}

impl End {
    fn of(status: &Status) -> Self {
        match std::error::Error::source(status) {
            None if status.code() != Code::Unavailable => End::Answered,
            _ if never_sent(status) => End::Unsent,
            _ => End::Broken,
        }
    }
}
