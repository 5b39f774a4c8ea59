//! A cloud whose keys say for whom they were made, and whose values say who was given them and when.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request};
use provider::{
    http::{Answer, Broken, ConnectionError, Transport},
    secret::Secret,
    sync::lock,
};
use tokio::time::{Instant, sleep};

use super::{answers::Reply, cluster::pod_of};

/// From the cloud's decision to its arrival here.
pub const LONGEST_WAY_BACK: Duration = Duration::from_secs(2);

/// Who the cloud sees. Rights belong to all that is called by the same names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Who {
    pub rights: String,
    /// The token that it began with; empty where it began with a key.
    pub token: String,
}

impl Who {
    pub fn key(id: &str) -> Self {
        Self { rights: format!("key {id}"), token: String::new() }
    }

    pub fn assume_role(&self, role: &str, name: &str) -> Self {
        Self { rights: format!("{role} as {name} by {}", self.rights), token: self.token.clone() }
    }
}

/// An identity as the provider may tell it from others, and what it asks for.
pub type Asked = (Who, String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Allowed,
    Denied,
    Unproven,
    Missing,
}

/// What has come back so far.
#[derive(Debug, Default)]
pub struct Heard {
    pub refused: HashMap<Asked, Instant>,
    /// When the cloud last decided that it does not exist.
    pub missing: HashMap<Asked, Instant>,
    /// Calls that no provider should make.
    pub wrong: Vec<String>,
}

#[derive(Debug)]
pub struct Cloud {
    pub(super) begun: Instant,
    /// Whether tokens tell identities apart.
    by_token: bool,
    /// Of a hundred calls, those that end badly.
    pub(super) fault_percent: u32,
    pub(super) open: Mutex<Open>,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) rng: Rng,
    pub(super) keys: HashMap<String, Held>,
    pub(super) rights: HashMap<(String, String), Right>,
    pub(super) answers: u64,
    pub(super) heard: Heard,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) who: Who,
    pub(super) ends: Option<Instant>,
}

impl Cloud {
    pub fn new(mut rng: Rng, by_token: bool, long_lived: &[&str]) -> Arc<Self> {
        let who = |id: &&str| ((*id).to_owned(), Held { who: Who::key(id), ends: None });
        let keys = long_lived.iter().map(who).collect();
        let fault_percent = *rng.choice(&[0, 0, 1, 3, 20]).unwrap();
        let (rights, heard) = (HashMap::new(), Heard::default());
        let open = Mutex::new(Open { rng, keys, rights, answers: 0, heard });
        Arc::new(Self { begun: Instant::now(), by_token, fault_percent, open })
    }

    /// Some of what is allowed is so no more, and the other way round.
    pub fn change_rights(&self) {
        let Open { rng, rights, .. } = &mut *lock(&self.open);
        let mut all: Vec<_> = rights.iter_mut().collect();
        all.sort_by_key(|(of, _)| *of);
        for (_, right) in all {
            match right {
                Right::Allowed if rng.u32(..12) == 0 => {
                    *right =
                        *rng.choice(&[Right::Denied, Right::Unproven, Right::Missing]).unwrap();
                }
                Right::Allowed => {}
                _ if rng.bool() => *right = Right::Allowed,
                _ => {}
            }
        }
    }

    pub fn end_sessions(&self) {
        let Open { rng, keys, .. } = &mut *lock(&self.open);
        let mut sessions: Vec<_> =
            keys.iter_mut().filter(|(_, held)| held.ends.is_some()).collect();
        sessions.sort_by_key(|(id, _)| *id);
        for (_, held) in sessions {
            if rng.bool() {
                held.ends = Some(Instant::now());
            }
        }
    }

    pub fn heard<T>(&self, read: impl FnOnce(&mut Heard) -> T) -> T {
        read(&mut lock(&self.open).heard)
    }

    pub fn at(&self, micros: u64) -> Instant {
        self.begun + Duration::from_micros(micros)
    }

    pub fn asked(&self, who: &Who, object: &str) -> Asked {
        let mut who = who.clone();
        who.token = if self.by_token { pod_of(&who.token).to_owned() } else { String::new() };
        (who, object.to_owned())
    }

    fn came_back(&self, reply: &mut Reply, decided: Instant) {
        let heard = &mut lock(&self.open).heard;
        let now = Instant::now();
        heard.refused.extend(reply.refused.drain(..).map(|asked| (asked, now)));
        heard.missing.extend(reply.missing.drain(..).map(|asked| (asked, decided)));
    }
}

pub(super) fn draw(rng: &mut Rng) -> Right {
    match rng.u32(..100) {
        0 => Right::Denied,
        1 => Right::Unproven,
        2..=4 => Right::Missing,
        _ => Right::Allowed,
    }
}

impl Transport for Cloud {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        Box::pin(async move {
            let (there, back, fate) = {
                let rng = &mut lock(&self.open).rng;
                let millis = |rng: &mut Rng, most| Duration::from_millis(rng.u64(1..most));
                let most = *rng.choice(&[20, 200, 2000]).unwrap();
                let bad = rng.u32(..100) < self.fault_percent;
                (millis(rng, most), millis(rng, most), bad.then(|| rng.u32(..4)))
            };
            sleep(there).await;
            match fate {
                Some(0) => return Err(Broken::Connection(ConnectionError::Refused)),
                Some(1) => return std::future::pending().await,
                _ => {}
            }
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let decided = Instant::now();
            let mut reply = self.decide(&head, &body);
            sleep(back.min(LONGEST_WAY_BACK)).await;
            if fate.is_some() {
                return Err(Broken::Connection(ConnectionError::Reset));
            }
            self.came_back(&mut reply, decided);
            let body = Secret::new(serde_json::to_vec(&reply.body).unwrap());
            Ok(Answer { status: reply.status, headers: HeaderMap::new(), body })
        })
    }
}
