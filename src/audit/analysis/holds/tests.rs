use serde_json::json;

use super::{
    super::{
        alerts::tests::{alerts, event},
        tests::{Line, all, at},
    },
    *,
};

fn holds(pod: &str, lines: &[Line]) -> Holds {
    let mut holds = Holds::new(Wanted::new(pod));
    all(lines, |record| holds.add(record));
    holds.sort();
    holds
}

fn during(holds: &Holds, from: u32, to: u32) -> Answer<'_> {
    holds.at(Moment { from: at(from), to: at(to) }, |_, _, _| true)
}

type Told = (String, &'static str, u32, Option<u32>);

/// Secret and version, state, from and until.
fn told(answer: &Answer<'_>) -> Vec<Told> {
    let second = |micros: i64| u32::try_from((micros - at(0)) / 1_000_000).unwrap();
    let values = answer.held.iter().flat_map(|held| &held.values);
    let told = values.map(|value| {
        let secret = value.secret.rsplit('/').next().unwrap();
        let what = format!("{secret} {}", value.version);
        (what, value.state.name(), second(value.first), value.until.map(second))
    });
    told.collect()
}

fn one(what: &str, state: &'static str, first: u32, until: Option<u32>) -> Told {
    (what.to_owned(), state, first, until)
}

/// a is rotated at 30, b is left out from 50 on.
fn rotated() -> Vec<Line> {
    vec![
        Line::read(10, 1, "a", "v1"),
        Line::read(11, 1, "b", "v1"),
        Line::read(20, 2, "a", "v1"),
        Line::read(20, 2, "b", "v1"),
        Line::read(30, 3, "a", "v2"),
        Line::read(30, 3, "b", "v1"),
        Line::read(50, 5, "a", "v2"),
    ]
}

#[test]
fn pod_holds_what_the_last_mount_before_handed_out_and_what_earlier_ones_did() {
    let holds = holds("shop/web-1", &rotated());
    let at = |second| told(&during(&holds, second, second));
    assert_eq!(at(9), []);
    assert_eq!(at(10), [], "a mount's time is that of its last line");
    let first = [one("a v1", "latest", 11, Some(30)), one("b v1", "latest", 11, Some(50))];
    assert_eq!(at(11), first);
    assert_eq!(at(29), first);
    let second = [
        one("a v2", "latest", 30, None),
        one("b v1", "latest", 11, Some(50)),
        one("a v1", "earlier", 11, Some(30)),
    ];
    assert_eq!(at(30), second);
    let last = [
        one("a v2", "latest", 30, None),
        one("a v1", "earlier", 11, Some(30)),
        one("b v1", "earlier", 11, Some(50)),
    ];
    assert_eq!(at(50), last);
    assert_eq!(at(3599), last);
}

#[test]
fn last_and_next_times_are_told() {
    let holds = holds("*", &rotated());
    let answer = during(&holds, 25, 25);
    let b = answer.held[0].values.iter().find(|value| value.secret.ends_with("/b")).unwrap();
    assert_eq!((b.first, b.last, b.again, b.until), (at(11), at(20), Some(at(30)), Some(at(50))));
    let a = answer.held[0].values.iter().find(|value| value.secret.ends_with("/a")).unwrap();
    assert_eq!((a.last, a.again, a.until), (at(20), None, Some(at(30))));
}

#[test]
fn session_sees_what_was_handed_out_before_and_during_it() {
    let holds = holds("web-1", &rotated());
    let values = [
        one("a v1", "latest", 11, Some(30)),
        one("a v2", "latest", 30, None),
        one("b v1", "latest", 11, Some(50)),
    ];
    assert_eq!(told(&during(&holds, 25, 40)), values);
    assert_eq!(told(&during(&holds, 0, 3)), []);
}

#[test]
fn order_of_files_does_not_matter() {
    let mut lines = rotated();
    let expected = told(&during(&holds("*", &lines), 35, 35));
    for _ in 0..lines.len() {
        lines.rotate_left(1);
        assert_eq!(told(&during(&holds("*", &lines), 35, 35)), expected);
    }
}

#[test]
fn failed_mount_takes_nothing_away_and_gives_nothing() {
    let mut lines = rotated()[..2].to_vec();
    lines.push(Line::read(20, 2, "a", "v2").with("mounted", false));
    lines.push(Line::read(20, 2, "b", "v1").denied());
    lines.push(Line::refusal(25, 3, "UNAUTHENTICATED"));
    let holds = holds("*", &lines);
    let answer = during(&holds, 30, 30);
    assert_eq!(told(&answer), [one("a v1", "latest", 11, None), one("b v1", "latest", 11, None)]);
    assert_eq!(answer.held[0].records.last, at(25));
}

#[test]
fn two_versions_of_one_secret_and_two_classes_are_held_beside_each_other() {
    let lines = [
        Line::read(10, 1, "a", "v1"),
        Line::read(10, 1, "a", "v2"),
        Line::read(20, 2, "a", "v3").with("secret_provider_class", "other"),
        Line::read(30, 3, "a", "v1"),
        Line::read(30, 3, "a", "v2"),
    ];
    let values = [
        one("a v1", "latest", 10, None),
        one("a v2", "latest", 10, None),
        one("a v3", "latest", 20, None),
    ];
    assert_eq!(told(&during(&holds("*", &lines), 25, 25)), values);
}

#[test]
fn version_that_came_back_is_the_latest_again() {
    let lines = [(10, "v1"), (20, "v2"), (30, "v1")]
        .map(|(second, version)| Line::read(second, second.into(), "a", version));
    let holds = holds("*", &lines);
    let values = [one("a v2", "latest", 20, Some(30)), one("a v1", "earlier", 10, Some(20))];
    assert_eq!(told(&during(&holds, 25, 25)), values);
    let values = [one("a v1", "latest", 10, None), one("a v2", "earlier", 20, Some(30))];
    assert_eq!(told(&during(&holds, 30, 30)), values);
}

#[test]
fn pod_that_came_back_under_its_name_is_another() {
    let lines = [
        Line::read(10, 1, "a", "v1"),
        Line::read(40, 2, "a", "v2").pod("web-1", "uid-2").with("node", "node-b"),
    ];
    let holds = holds("shop/web-1", &lines);
    let before = during(&holds, 30, 30);
    assert_eq!((before.held.len(), before.later, before.held[0].uid), (1, 1, "uid-1"));
    assert_eq!(before.held[0].next_of_name, Some(at(40)));
    let after = during(&holds, 50, 50);
    assert_eq!((after.held.len(), after.held[0].uid), (1, "uid-2"));
    assert_eq!(after.held[0].next_of_name, None);
    assert_eq!((after.earlier.len(), after.earlier[0].uid), (1, "uid-1"));
    // While it came back both are told.
    let across = during(&holds, 30, 50);
    assert_eq!(across.held.iter().map(|held| held.uid).collect::<Vec<_>>(), ["uid-1", "uid-2"]);
    // Asked for by its uid, the first is told whenever it is asked for.
    let by_uid = self::holds("uid-1", &lines);
    assert_eq!(told(&during(&by_uid, 50, 50)), [one("a v1", "latest", 10, None)]);
}

#[test]
fn one_pod_of_two_node_names_stays_one() {
    let lines = [
        Line::read(10, 1, "a", "v1").with("node", ""),
        Line::read(20, 2, "b", "v1").with("node", "node-a"),
    ];
    let holds = holds("*", &lines);
    let answer = during(&holds, 30, 30);
    assert_eq!((answer.held.len(), answer.earlier.len()), (2, 0));
    assert!(answer.held.iter().all(|held| held.next_of_name.is_none()));
}

#[test]
fn pods_are_asked_for_by_name_namespace_uid_or_pattern() {
    let line = [Line::read(10, 1, "a", "v1")];
    for pod in ["web-1", "shop/web-1", "uid-1", "*", "shop/web-*", "web-?"] {
        assert_eq!(during(&holds(pod, &line), 10, 10).held.len(), 1, "{pod}");
    }
    for pod in ["web", "other/web-1", "uid", "", "shop/", "Web-1"] {
        assert_eq!(during(&holds(pod, &line), 10, 10).held.len(), 0, "{pod}");
    }
    assert!(
        during(&holds("*", &[Line::refusal(1, 1, "INTERNAL").pod("", "")]), 9, 9).held.is_empty()
    );
}

#[test]
fn of_the_sync_controller_no_until_is_told() {
    let sync = |second, mount, object| {
        Line::read(second, mount, object, "v1")
            .with("via", "sync")
            .with("secret_provider_class", "")
    };
    let holds = holds("*", &[sync(10, 1, "a"), sync(20, 2, "b")]);
    let values = [one("a v1", "sync", 10, None), one("b v1", "sync", 20, None)];
    assert_eq!(told(&during(&holds, 30, 30)), values);
    assert!(State::Latest < State::Sync);
}

#[test]
fn alert_joins_with_what_its_pod_held() {
    let lines = [rotated(), vec![Line::read(1, 9, "x", "v1").pod("web-2", "uid-2")]].concat();
    let holds = holds("*", &lines);
    let complete = |more| alerts(&[event("one", "ResponseComplete", 40, &more)]).remove(0);
    let names = |alert: &Alert| {
        let told = told(&holds.during(alert));
        told.into_iter().map(|(what, ..)| what).collect::<Vec<_>>()
    };
    assert_eq!(names(&complete(json!({}))), ["a v1", "a v2", "b v1"]);
    let of = |name: &str, uid: &str| json!({ "objectRef": { "resource": "pods", "subresource": "attach", "namespace": "shop", "name": name, "uid": uid } });
    assert_eq!(names(&complete(of("web-2", ""))), ["x v1"]);
    assert!(names(&complete(of("web-2", "another"))).is_empty());
    assert!(names(&complete(of("web-3", ""))).is_empty());
    // Its end is not told: what was handed out after its start is not claimed.
    let started = alerts(&[event("one", "ResponseStarted", 26, &json!({}))]).remove(0);
    assert_eq!(names(&started), ["a v1", "b v1"]);
}
