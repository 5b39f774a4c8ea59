//! Value cache: a mount that kubelet repeats every minute does not call the cloud every minute. Values are
//! cached per identity, encrypted under a key of this process, bounded in bytes, and wiped when their TTL is
//! over.

use std::{
    collections::{HashMap, hash_map},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use tokio::time::Instant;

use crate::{
    digest::{self, Digest},
    fair_cache::FairCache,
    freshness::MANAGED_INTERVALS,
    login::{KeyedLogin, LoginKey},
    secret::Secret,
    spc::read::Read,
    sync::lock,
    telemetry::Metrics,
    value::Value,
};

/// Why a value is served that is older than its interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// The cloud does not answer.
    Unanswered,
    /// It answers that too many ask.
    Throttled,
}

/// What was read: `None` if it does not exist.
pub type Cached = Option<Arc<Value>>;

/// Who read what: nothing is ever found under another identity's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    login: LoginKey,
    /// The pod, or all that share a login: whose room the value takes.
    owner: LoginKey,
    /// Where it is kept. A pod has one place for a value, whichever of its tokens it was read with.
    place: Digest,
}

impl Key {
    pub fn new(login: &KeyedLogin, read: &Read) -> Self {
        Self::of(login.key(), login.pod(), login.owner(), read)
    }

    fn of(login: &LoginKey, pod: &LoginKey, owner: &LoginKey, read: &Read) -> Self {
        let place = digest::joined(pod, read.digest());
        Self { login: *login, owner: *owner, place }
    }
}

/// For how long the next try of a mount may use what the last one read: a mount's time, and the
/// 122 s within which kubelet comes back.
const PARTIAL_FOR: Duration = Duration::from_secs(240);

pub struct ValueCache {
    cipher: LessSafeKey,
    /// For how long after it was read a value may be served stale while the cloud does not answer,
    /// and while it throttles.
    grace: Duration,
    throttled: Duration,
    /// No value is believed for longer.
    most: Duration,
    entries: Mutex<Entries>,
    metrics: Arc<Metrics>,
}

/// Bounded in bytes; the owner with most gives way, so that one that reads much leaves the others theirs.
type Entries = FairCache<LoginKey, Digest, Entry>;

struct Entry {
    /// Who read it.
    login: LoginKey,
    /// Nonce, ciphertext and tag; `None` for what does not exist.
    encrypted: Option<Vec<u8>>,
    version: String,
    request_id: String,
    asked: Instant,
    /// When it is no longer fresh, whatever interval a mount has.
    expires: Instant,
    /// When it may not be served stale either.
    remove_at: Instant,
    managed: bool,
    /// Read by a mount that did not get all it needed.
    partial: bool,
}

impl ValueCache {
    /// How many entries there are, and their bytes.
    pub fn size(&self) -> (usize, usize) {
        let entries = lock(&self.entries);
        (entries.len(), entries.size())
    }

    /// Keeps at most `room` bytes.
    pub fn new(room: usize, metrics: Arc<Metrics>) -> Result<Self, String> {
        let mut key = [0; 32];
        let unavailable = |_| "no randomness to encrypt values with".to_owned();
        rand::fill(&mut key).map_err(unavailable)?;
        let cipher = UnboundKey::new(&AES_256_GCM, &key).map(LessSafeKey::new).map_err(unavailable);
        zeroize::Zeroize::zeroize(&mut key);
        let (grace, throttled, most) = (Duration::ZERO, Duration::ZERO, Duration::MAX);
        metrics.value_limit(room);
        let entries = Mutex::new(FairCache::new(room));
        Ok(Self { cipher: cipher?, grace, throttled, most, entries, metrics })
    }

    /// Keeps them for this long where the interval is shorter, to be served stale: in an outage, and
    /// while the cloud throttles.
    pub fn with_stale(self, grace: Duration, throttled: Duration) -> Self {
        Self { grace, throttled, ..self }
    }

    /// Bounds the TTL of values that rotate by themselves.
    pub fn with_most(self, most: Duration) -> Self {
        Self { most, ..self }
    }

    /// All of them, if every one is fresh: a mount is served from the cache or fetched, not half of each, so
    /// that values that change together arrive together.
    pub fn get_fresh(&self, keys: &[Key], interval: Duration) -> Option<Vec<Cached>> {
        if interval.is_zero() {
            return None;
        }
        let now = Instant::now();
        let mut entries = lock(&self.entries);
        for key in keys {
            let entry = of(&entries, key)?;
            let times = if entry.managed { MANAGED_INTERVALS } else { 1 };
            let until = entry.asked + (interval * times).min(self.most);
            if now >= until.min(entry.expires) {
                return None;
            }
        }
        // Opened only once all of them are known to serve, and each once, under however many names the
        // mount wants it.
        let mut opened: HashMap<&Key, Cached> = HashMap::with_capacity(keys.len());
        let each = |key| match opened.entry(key) {
            hash_map::Entry::Occupied(same) => Some(same.get().clone()),
            hash_map::Entry::Vacant(place) => {
                let kept = self.value(key, entries.get(&key.owner, &key.place)?)?;
                Some(place.insert(kept).clone())
            }
        };
        keys.iter().map(each).collect()
    }

    /// A mount got these and not all: its next try reads the others alone, or it might never have all of them
    /// where the cloud throttles.
    pub fn mark_partial<'a>(&self, keys: impl Iterator<Item = &'a Key>) {
        let mut entries = lock(&self.entries);
        for key in keys {
            if let Some(entry) = entries.get(&key.owner, &key.place) {
                entry.partial = entry.login == key.login;
            }
        }
    }

    /// What an earlier try of the mount got, when it did not get all.
    pub fn get_partial(&self, key: &Key, interval: Duration) -> Option<Cached> {
        let entries = lock(&self.entries);
        let entry = of(&entries, key).filter(|entry| entry.partial)?;
        let until = (entry.asked + interval.min(PARTIAL_FOR)).min(entry.expires);
        if Instant::now() < until { self.value(key, entry) } else { None }
    }

    /// What was last read, and its age, if it may be served stale for this reason. With `renewed`
    /// also what the pod read with an earlier token: only for a login that has a session, or nobody
    /// but the request says which pod it is.
    pub fn get_stale(&self, key: &Key, renewed: bool, why: Stale) -> Option<(Cached, Duration)> {
        let entries = lock(&self.entries);
        let entry = if renewed { entries.peek(&key.owner, &key.place) } else { of(&entries, key) }?;
        let age = entry.asked.elapsed();
        if age < self.bound(why) { Some((self.value(key, entry)?, age)) } else { None }
    }

    /// Whether all of these may be served stale for this reason.
    pub fn can_serve_stale(&self, keys: &[Key], renewed: bool, why: Stale) -> bool {
        let entries = lock(&self.entries);
        keys.iter().all(|key| {
            let entry =
                if renewed { entries.peek(&key.owner, &key.place) } else { of(&entries, key) };
            entry.is_some_and(|entry| entry.asked.elapsed() < self.bound(why))
        })
    }

    /// When the oldest of them was read; `None` if one is not here.
    pub fn oldest(&self, keys: &[Key]) -> Option<Instant> {
        let entries = lock(&self.entries);
        let read = keys.iter().map(|key| Some(entries.peek(&key.owner, &key.place)?.asked));
        read.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// Whether it counts as fresh for this interval.
    pub fn is_fresh(&self, key: &Key, interval: Duration) -> bool {
        let entries = lock(&self.entries);
        of(&entries, key).is_some_and(|entry| entry.asked.elapsed() < interval)
    }

    fn bound(&self, why: Stale) -> Duration {
        match why {
            Stale::Unanswered => self.grace,
            Stale::Throttled => self.throttled.max(self.grace),
        }
    }

    fn value(&self, key: &Key, entry: &Entry) -> Option<Cached> {
        let Some(encrypted) = &entry.encrypted else { return Some(None) };
        let bytes = self.decrypt(key, encrypted)?;
        let (version, request_id) = (entry.version.clone(), entry.request_id.clone());
        Some(Some(Arc::new(Value { bytes, version, rotates_at: None, request_id })))
    }

    /// `asked` is when the cloud was: a value is as old as the question.
    pub fn insert(
        &self,
        key: &Key,
        value: Option<&Arc<Value>>,
        interval: Duration,
        asked: Instant,
    ) {
        if interval.is_zero() && self.grace.is_zero() {
            return;
        }
        let (encrypted, version, rotates_at) = match value {
            None => (None, String::new(), None),
            Some(value) => match self.encrypt(key, value.bytes.expose()) {
                Some(encrypted) => (Some(encrypted), value.version.clone(), value.rotates_at),
                // What cannot be encrypted is not kept.
                None => return self.remove(key),
            },
        };
        // A date that has passed says nothing of the next rotation.
        let left = rotates_at.and_then(|at| {
            let left = at.duration_since(jiff::Timestamp::now());
            Duration::try_from(left).ok().filter(|left| !left.is_zero())
        });
        let mut entries = lock(&self.entries);
        if let Some(before) = entries.peek(&key.owner, &key.place)
            && before.encrypted.is_some()
            && encrypted.is_some()
            && before.version != version
        {
            self.metrics.rotated(asked.saturating_duration_since(before.asked));
        }
        let expires = asked
            + left.map_or(interval, |left| left.min(interval * MANAGED_INTERVALS).min(self.most));
        // Who wants no value kept is served a stale one in an outage alone.
        let why = if interval.is_zero() { Stale::Unanswered } else { Stale::Throttled };
        let stale = self.bound(why);
        let entry = Entry {
            login: key.login,
            encrypted,
            version,
            request_id: value.map_or_else(String::new, |value| value.request_id.clone()),
            asked,
            expires,
            remove_at: expires.max(asked + stale),
            managed: left.is_some(),
            partial: false,
        };
        let size = entry.size();
        entries.insert(key.owner, key.place, entry, size);
        self.metrics.values(entries.len(), entries.size());
    }

    /// At once, when the cloud says that this identity may not have it or that it is gone.
    pub fn remove(&self, key: &Key) {
        let mut entries = lock(&self.entries);
        entries.remove(&key.owner, &key.place);
        self.metrics.values(entries.len(), entries.size());
    }

    /// Wipes what is of no more use.
    pub fn sweep(&self) {
        let now = Instant::now();
        let mut entries = lock(&self.entries);
        entries.remove_if(|entry| entry.remove_at <= now);
        self.metrics.values(entries.len(), entries.size());
    }

    fn encrypt(&self, key: &Key, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).ok()?;
        let mut encrypted = Vec::with_capacity(NONCE_LEN + bytes.len() + AES_256_GCM.tag_len());
        encrypted.extend_from_slice(&nonce);
        encrypted.extend_from_slice(bytes);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.cipher.seal_in_place_separate_tag(
            nonce,
            Aad::from(&key.place),
            encrypted.get_mut(NONCE_LEN..)?,
        );
        encrypted.extend_from_slice(tag.ok()?.as_ref());
        Some(encrypted)
    }

    fn decrypt(&self, key: &Key, encrypted: &[u8]) -> Option<Secret<Vec<u8>>> {
        let (nonce, text) = encrypted.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = text.to_vec();
        let length =
            self.cipher.open_in_place(nonce, Aad::from(&key.place), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(Secret::new(opened))
    }
}

impl fmt::Debug for ValueCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueCache")
    }
}

fn of<'a>(entries: &'a Entries, key: &Key) -> Option<&'a Entry> {
    entries.peek(&key.owner, &key.place).filter(|entry| entry.login == key.login)
}

impl Entry {
    fn size(&self) -> usize {
        /// The cache's own cost of an entry.
        const OVERHEAD: usize = 320;
        self.encrypted.as_ref().map_or(0, Vec::len)
            + self.version.len()
            + self.request_id.len()
            + OVERHEAD
    }
}

#[cfg(test)]
mod tests;
