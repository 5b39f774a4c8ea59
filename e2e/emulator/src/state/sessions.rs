//! Temporary credentials and request nonces.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::state::policy::Document;
use crate::state::random;
use crate::state::sync::lock;

#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) access_key_id: String,
    pub(crate) access_key_secret: String,
    pub(crate) security_token: String,
    pub(crate) role_arn: String,
    pub(crate) session_name: String,
    pub(crate) policy: Option<Document>,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    sessions: HashMap<String, Session>,
    /// Overrides what callers ask for.
    lifetime: Option<u64>,
}

impl Sessions {
    pub(crate) fn issue(
        &self,
        role_arn: &str,
        session_name: &str,
        policy: Option<Document>,
        now: Timestamp,
        duration: u64,
    ) -> Session {
        let mut table = lock(&self.table);
        let duration = table.lifetime.unwrap_or(duration);
        let session = Session {
            access_key_id: random::access_key_id(),
            access_key_secret: random::access_key_secret(),
            security_token: random::security_token(),
            role_arn: role_arn.to_owned(),
            session_name: session_name.to_owned(),
            policy,
            issued: now,
            expires: crate::state::clock::after(now, duration),
        };
        table.sessions.insert(session.access_key_id.clone(), session.clone());
        session
    }

    pub(crate) fn find(&self, access_key_id: &str) -> Option<Session> {
        lock(&self.table).sessions.get(access_key_id).cloned()
    }

    pub(crate) fn is_known_token(&self, token: &str) -> bool {
        lock(&self.table).sessions.values().any(|session| session.security_token == token)
    }

    pub(crate) fn expire(&self, role_arn: &str) -> usize {
        let mut table = lock(&self.table);
        let matching = table.sessions.values_mut().filter(|session| session.role_arn == role_arn);
        matching.map(|session| session.expires = Timestamp::UNIX_EPOCH).count()
    }

    pub(crate) fn set_lifetime(&self, seconds: Option<u64>) {
        lock(&self.table).lifetime = seconds;
    }
}

/// Nonces seen, which no caller may use twice.
#[derive(Debug, Default)]
pub(crate) struct Nonces {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    nonces: HashMap<(String, String), Timestamp>,
    /// How many there may be before old ones are looked for.
    room: usize,
}

impl Nonces {
    pub(crate) fn is_fresh(&self, access_key_id: &str, nonce: &str, now: Timestamp) -> bool {
        let Seen { nonces, room } = &mut *lock(&self.seen);
        if nonces.len() >= *room {
            // Older ones are refused by their date anyway.
            nonces.retain(|_, at| now.duration_since(*at).as_secs() < 3600);
            *room = (2 * nonces.len()).max(50_000);
        }
        nonces.insert((access_key_id.to_owned(), nonce.to_owned()), now).is_none()
    }
}
