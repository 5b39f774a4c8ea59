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
    login::{KeyedLogin, LoginKey},
    secret::Secret,
    spc::read::Read,
    sync::lock,
    telemetry::Metrics,
    value::Value,
};

/// How long values are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    /// For a SecretProviderClass without `refreshInterval`; zero turns keeping off.
    pub default: Duration,
    /// The least that a SecretProviderClass can ask for.
    pub least: Duration,
    /// The most that it can ask for, and that any value is served from the cache.
    pub most: Duration,
}

impl Freshness {
    /// What holds for a mount.
    pub fn of(self, asked: Option<Duration>) -> Duration {
        asked.unwrap_or(self.default).max(self.least).min(self.most)
    }
}

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

/// A value that rotates by itself is believed for this many intervals, but not past its rotation
/// nor beyond the operator's limit.
const MANAGED_INTERVALS: u32 = 6;

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
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::{
        endpoint::{Endpoints, Service},
        spc::source::{Source, kms::SecretRef},
    };

    const MINUTE: Duration = Duration::from_secs(60);
    const WEB: LoginKey = [0; 32];
    const API: LoginKey = [255; 32];

    fn read(name: &str) -> Arc<Read> {
        let endpoints = Endpoints::of_hangzhou();
        let name = name.to_owned();
        let endpoint = endpoints.of(Service::Kms, &endpoints.region);
        let source = Source::Kms(SecretRef { name, version_id: None, stage: None });
        Read::new(endpoint, source, None)
    }

    fn value(text: &str, rotates_in: Option<Duration>) -> Cached {
        let bytes = Secret::new(text.as_bytes().to_vec());
        let rotates_at = rotates_in.map(|left| jiff::Timestamp::now() + left);
        let request_id = String::new();
        Some(Arc::new(Value { bytes, version: "v1".to_owned(), rotates_at, request_id }))
    }

    fn key(who: &LoginKey, read: &Read) -> Key {
        Key::of(who, who, who, read)
    }

    fn values(room: usize) -> ValueCache {
        ValueCache::new(room, Arc::new(Metrics::new())).unwrap()
    }

    fn keep(values: &ValueCache, who: LoginKey, read: &Read, value: &Cached) {
        values.insert(&key(&who, read), value.as_ref(), MINUTE, Instant::now());
    }

    fn all(values: &ValueCache, reads: &[&Arc<Read>], interval: Duration) -> Option<Vec<Cached>> {
        let keys: Vec<Key> = reads.iter().map(|read| key(&WEB, read)).collect();
        values.get_fresh(&keys, interval)
    }

    fn text(values: &ValueCache, who: LoginKey, read: &Read) -> Option<String> {
        let found = values.get_fresh(&[key(&who, read)], MINUTE)?.remove(0)?;
        Some(String::from_utf8(found.bytes.expose().clone()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_is_believed_for_the_interval_and_by_its_own_identity_alone() {
        let (values, db) = (values(1 << 20), read("db"));
        keep(&values, WEB, &db, &value("planted", None));
        assert_eq!(text(&values, WEB, &db).as_deref(), Some("planted"));
        assert_eq!(text(&values, API, &db), None);
        assert_eq!(text(&values, WEB, &read("other")), None);
        assert!(all(&values, &[&db], Duration::ZERO).is_none());
        // A mount that wants it fresher does not get it.
        advance(MINUTE / 2).await;
        assert!(all(&values, &[&db], MINUTE / 3).is_none());
        assert!(text(&values, WEB, &db).is_some());
        advance(MINUTE / 2).await;
        assert_eq!(text(&values, WEB, &db), None);
        values.remove(&key(&WEB, &db));
        assert_eq!(lock(&values.entries).size(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mount_is_answered_whole_or_not_at_all() {
        let (values, user, password) = (values(1 << 20), read("user"), read("password"));
        keep(&values, WEB, &user, &value("u", None));
        advance(MINUTE / 2).await;
        keep(&values, WEB, &password, &value("p", None));
        let both = [&user, &password];
        assert_eq!(all(&values, &both, MINUTE).unwrap().len(), 2);
        advance(MINUTE / 2).await;
        assert!(all(&values, &both, MINUTE).is_none());
        // What does not exist is remembered too.
        keep(&values, WEB, &user, &None);
        assert!(all(&values, &both[..1], MINUTE).unwrap()[0].is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_managed_value_is_asked_for_seldom_but_not_past_its_rotation() {
        let (values, far, near) = (values(1 << 20), read("far"), read("near"));
        keep(&values, WEB, &far, &value("f", Some(MINUTE * 600)));
        keep(&values, WEB, &near, &value("n", Some(MINUTE * 2)));
        advance(MINUTE + MINUTE / 2).await;
        assert!(text(&values, WEB, &far).is_some() && text(&values, WEB, &near).is_some());
        advance(MINUTE).await;
        assert!(text(&values, WEB, &far).is_some() && text(&values, WEB, &near).is_none());
        advance(MINUTE * 4).await;
        assert!(text(&values, WEB, &far).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn managed_value_is_served_no_longer_than_the_operator_allows() {
        let (values, far) = (values(1 << 20).with_most(MINUTE * 2), read("far"));
        keep(&values, WEB, &far, &value("f", Some(MINUTE * 600)));
        advance(MINUTE + MINUTE / 2).await;
        assert!(text(&values, WEB, &far).is_some());
        advance(MINUTE / 2).await;
        assert!(text(&values, WEB, &far).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn managed_value_whose_rotation_date_has_passed_is_cached_for_the_interval() {
        let (values, late) = (values(1 << 20), read("late"));
        let value = value("l", None).map(|value| {
            let at = jiff::Timestamp::now() - MINUTE;
            let bytes = Secret::new(value.bytes.expose().clone());
            let (version, request_id) = (value.version.clone(), String::new());
            Arc::new(Value { bytes, version, rotates_at: Some(at), request_id })
        });
        keep(&values, WEB, &late, &value);
        advance(MINUTE - MINUTE / 60).await;
        assert!(text(&values, WEB, &late).is_some());
        advance(MINUTE / 60).await;
        assert!(text(&values, WEB, &late).is_none());
    }

    #[test]
    fn refresh_interval_is_held_within_the_operators_limits() {
        let freshness = Freshness { default: MINUTE / 2, least: MINUTE, most: MINUTE * 10 };
        assert_eq!(freshness.of(None), MINUTE, "the default too");
        assert_eq!(freshness.of(Some(Duration::ZERO)), MINUTE);
        assert_eq!(freshness.of(Some(MINUTE * 5)), MINUTE * 5);
        assert_eq!(freshness.of(Some(MINUTE * 1440)), MINUTE * 10);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_sealed_bounded_and_wiped() {
        let values = values(4096);
        let reads: Vec<Arc<Read>> = (0..40).map(|n| read(&format!("s{n}"))).collect();
        for read in &reads {
            keep(&values, WEB, read, &value("planted-in-the-clear", None));
            text(&values, WEB, &reads[0]);
        }
        {
            let entries = lock(&values.entries);
            assert!(entries.size() <= 4096 && entries.len() > 9, "{}", entries.len());
            for entry in reads.iter().filter_map(|read| of(&entries, &key(&WEB, read))) {
                let encrypted = entry.encrypted.as_ref().unwrap();
                assert!(!encrypted.windows(7).any(|window| window == b"planted"));
            }
        }
        assert!(text(&values, WEB, &reads[0]).is_some(), "used lately");
        assert!(text(&values, WEB, &reads[1]).is_none(), "the longest unused");
        keep(&values, WEB, &reads[2], &value(&"x".repeat(5000), None));
        assert!(text(&values, WEB, &reads[2]).is_none(), "larger than all room");
        advance(MINUTE * 7).await;
        values.sweep();
        let entries = lock(&values.entries);
        assert_eq!((entries.size(), entries.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn many_values_of_one_identity_leave_others_theirs() {
        let (values, db) = (values(8192), read("db"));
        keep(&values, WEB, &db, &value("planted", None));
        for n in 0..100 {
            keep(&values, API, &read(&format!("s{n}")), &value(&"x".repeat(1000), None));
        }
        assert!(lock(&values.entries).len() > 4);
        assert_eq!(text(&values, WEB, &db).as_deref(), Some("planted"));
    }

    /// As one that reads with many roles of other accounts does.
    #[tokio::test(start_paused = true)]
    async fn many_logins_of_one_pod_have_one_share_together() {
        let (values, db) = (values(8192), read("db"));
        keep(&values, WEB, &db, &value("planted", None));
        let large = value(&"x".repeat(1000), None).unwrap();
        for n in 100..200_u8 {
            let role = [n; 32];
            let key = Key::of(&role, &role, &API, &db);
            values.insert(&key, Some(&large), MINUTE * 5, Instant::now());
        }
        assert_eq!(text(&values, WEB, &db).as_deref(), Some("planted"));
    }

    #[tokio::test(start_paused = true)]
    async fn partial_values_serve_the_next_try() {
        let (values, db) = (values(1 << 20), read("db"));
        let db_key = key(&WEB, &db);
        keep(&values, WEB, &db, &value("planted", None));
        let left = |values: &ValueCache| values.get_partial(&db_key, MINUTE * 5).is_some();
        assert!(!left(&values), "read by a mount that got all");
        values.mark_partial([db_key].iter());
        assert!(left(&values) && values.get_partial(&db_key, Duration::ZERO).is_none());
        advance(PARTIAL_FOR).await;
        assert!(!left(&values));
        keep(&values, WEB, &db, &value("planted", None));
        assert!(!left(&values), "read again");
    }

    #[tokio::test(start_paused = true)]
    async fn in_an_outage_the_last_value_serves_up_to_its_greatest_age() {
        let (values, db) = (values(1 << 20).with_stale(MINUTE * 10, Duration::ZERO), read("db"));
        let db_key = key(&WEB, &db);
        keep(&values, WEB, &db, &value("planted", None));
        advance(MINUTE * 2).await;
        values.sweep();
        assert_eq!(text(&values, WEB, &db), None, "not while the cloud can be asked");
        let (last, age) = values.get_stale(&db_key, false, Stale::Unanswered).unwrap();
        assert_eq!((last.unwrap().bytes.expose().as_slice(), age), (&b"planted"[..], MINUTE * 2));
        let outlast = |keys: &[Key]| values.can_serve_stale(keys, false, Stale::Unanswered);
        assert!(outlast(&[db_key]) && !outlast(&[db_key, key(&API, &db)]));
        advance(MINUTE * 8).await;
        assert!(
            values.get_stale(&db_key, false, Stale::Unanswered).is_none() && !outlast(&[db_key])
        );
        values.sweep();
        assert_eq!(lock(&values.entries).size(), 0);
        // Where each mount asks the cloud, what it got is kept for an outage alone.
        values.insert(&db_key, value("planted", None).as_ref(), Duration::ZERO, Instant::now());
        assert!(
            text(&values, WEB, &db).is_none()
                && values.get_stale(&db_key, false, Stale::Unanswered).is_some()
        );
        values.remove(&db_key);
        assert!(values.get_stale(&db_key, false, Stale::Unanswered).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn value_of_an_earlier_token_serves_in_an_outage_alone_and_only_with_a_session() {
        let (values, db) = (values(1 << 20).with_stale(MINUTE * 10, Duration::ZERO), read("db"));
        const POD: LoginKey = [7; 32];
        let (old, new) = (Key::of(&WEB, &POD, &POD, &db), Key::of(&API, &POD, &POD, &db));
        values.insert(&old, value("planted", None).as_ref(), MINUTE, Instant::now());
        assert!(values.get_fresh(&[new], MINUTE).is_none());
        values.mark_partial([new].iter());
        assert!(
            values.get_partial(&new, MINUTE).is_none()
                && values.get_partial(&old, MINUTE).is_none()
        );
        assert!(
            values.get_stale(&new, false, Stale::Unanswered).is_none()
                && !values.can_serve_stale(&[new], false, Stale::Unanswered)
        );
        assert!(
            values.get_stale(&new, true, Stale::Unanswered).is_some()
                && values.can_serve_stale(&[new], true, Stale::Unanswered)
        );
        assert!(
            values.get_stale(&Key::of(&API, &API, &API, &db), true, Stale::Unanswered).is_none(),
            "another pod's"
        );
        // A refusal of the new token expires what the old one read.
        values.remove(&new);
        assert!(values.get_stale(&old, false, Stale::Unanswered).is_none());
    }

    /// Moved to another key, as a fault of ours could, a encrypted value does not open.
    #[tokio::test(start_paused = true)]
    async fn a_value_under_a_wrong_key_does_not_open() {
        let (values, db) = (values(1 << 20), read("db"));
        keep(&values, WEB, &db, &value("planted", None));
        let mut entries = lock(&values.entries);
        let entry = entries.remove(&WEB, &key(&WEB, &db).place).unwrap();
        let size = entry.size();
        entries.insert(API, key(&API, &db).place, Entry { login: API, ..entry }, size);
        drop(entries);
        assert_eq!(text(&values, API, &db), None);
    }
}
