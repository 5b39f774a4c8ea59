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
    assert!(values.get_stale(&db_key, false, Stale::Unanswered).is_none() && !outlast(&[db_key]));
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
        values.get_partial(&new, MINUTE).is_none() && values.get_partial(&old, MINUTE).is_none()
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

#[tokio::test(start_paused = true)]
async fn rotation_is_as_late_as_the_version_before_was_asked_for() {
    let metrics = Arc::new(Metrics::new());
    let values = ValueCache::new(1 << 20, metrics.clone()).unwrap();
    let values = values.with_stale(MINUTE * 60, Duration::ZERO);
    let (db, request_id) = (read("db"), String::new());
    let version = |version: &str| {
        let (bytes, version) = (Secret::new(b"planted".to_vec()), version.to_owned());
        let request_id = request_id.clone();
        Some(Arc::new(Value { bytes, version, rotates_at: None, request_id }))
    };
    let steps = [version("v1"), version("v1"), version("v2"), None, version("v3")];
    for value in &steps {
        keep(&values, WEB, &db, value);
        advance(MINUTE).await;
    }
    // From the second v1 on; what did not exist has no version that it was rotated from.
    let text = metrics.text();
    assert!(text.contains("rotation_lag_seconds_sum 60.0\n"), "{text}");
    assert!(text.contains("rotation_lag_seconds_count 1\n"), "{text}");
    assert!(text.contains("value_cache_limit_bytes 1048576\n"), "{text}");
}
