//! Node: the tokens its metadata service gave out, and the credentials it has at present.

use std::collections::HashMap;
use std::sync::Mutex;

use jiff::Timestamp;

use crate::state::clock;
use crate::state::random;
use crate::state::sessions::{Session, Sessions};
use crate::state::sync::lock;

#[derive(Debug, Default)]
pub(crate) struct Node {
    tokens: Mutex<HashMap<String, Timestamp>>,
    session: Mutex<Option<Session>>,
}

impl Node {
    pub(crate) fn issue_token(&self, now: Timestamp, ttl_seconds: u64) -> String {
        let token = random::alphanumeric(56);
        lock(&self.tokens).insert(token.clone(), clock::after(now, ttl_seconds));
        token
    }

    pub(crate) fn is_valid_token(&self, token: &str, now: Timestamp) -> bool {
        lock(&self.tokens).get(token).is_some_and(|expires| *expires > now)
    }

    /// The same credentials until they run low, as on a real node.
    pub(crate) fn credentials(
        &self,
        sessions: &Sessions,
        role_arn: &str,
        now: Timestamp,
    ) -> Session {
        let mut current = lock(&self.session);
        // Expiring a role's sessions must reach the node's as well.
        let known = current.take().and_then(|held| sessions.find(&held.access_key_id));
        let session = known.filter(|held| {
            let lifetime = held.expires.duration_since(held.issued).as_secs();
            held.expires.duration_since(now).as_secs() > (lifetime / 4).min(1800)
        });
        let session = session.unwrap_or_else(|| {
            let name = format!("i-{}", random::alphanumeric(20).to_lowercase());
            sessions.issue(role_arn, &name, None, now, 6 * 3600)
        });
        *current = Some(session.clone());
        session
    }
}
