use serde_json::{Value, json};

use super::{
    super::tests::{at, time},
    *,
};

pub(in super::super) fn event(id: &str, stage: &str, end: u32, more: &Value) -> Value {
    let mut event = json!({
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "auditID": id, "stage": stage, "verb": "get",
        "requestURI": "/api/v1/namespaces/shop/pods/web-1/exec?command=echo&command=planted-in-a-command&container=app",
        "user": { "username": "alice" }, "sourceIPs": ["203.0.113.7", "10.0.0.1"],
        "objectRef": { "resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-1" },
        "requestReceivedTimestamp": time(25), "stageTimestamp": time(end),
    });
    for (name, value) in more.as_object().unwrap() {
        event[name] = value.clone();
    }
    event
}

pub(in super::super) fn alerts(events: &[Value]) -> Vec<Alert> {
    let mut alerts = Alerts::default();
    for event in events {
        alerts.add(event.to_string().as_bytes()).unwrap();
    }
    alerts.all()
}

#[test]
fn stages_of_a_session_are_one_alert_without_its_command() {
    let code = json!({ "responseStatus": { "code": 101 } });
    let expected = Alert {
        id: "one".to_owned(),
        what: "exec".to_owned(),
        user: "alice".to_owned(),
        source_ip: "203.0.113.7".to_owned(),
        namespace: "shop".to_owned(),
        pod: "web-1".to_owned(),
        uid: String::new(),
        container: "app".to_owned(),
        start: at(25),
        end: Some(at(40)),
        code: Some(101),
    };
    let mut events = [
        event("one", "RequestReceived", 25, &json!({})),
        event("one", "ResponseStarted", 26, &code),
        event("one", "ResponseComplete", 40, &code),
    ];
    for _ in 0..2 {
        let found = alerts(&events);
        assert_eq!(found, std::slice::from_ref(&expected));
        assert!(!format!("{found:?}").contains("planted"));
        events.reverse();
    }
    assert_eq!(alerts(&events[1..2])[0].end, None);
}

#[test]
fn other_events_are_counted_and_what_is_none_is_told() {
    let mut alerts = Alerts::default();
    let other = json!({ "objectRef": { "resource": "secrets", "namespace": "shop", "name": "x" } });
    let nothing = json!({ "objectRef": null });
    for more in [other, nothing] {
        alerts.add(event("one", "ResponseComplete", 40, &more).to_string().as_bytes()).unwrap();
    }
    alerts.add(b"  \n").unwrap();
    assert_eq!((alerts.lines, alerts.others), (2, 2));
    for line in [
        "{",
        "{}",
        "I1123 a line of a log",
        r#"{"kind":"List","auditID":"x","requestReceivedTimestamp":"x"}"#,
    ] {
        assert!(alerts.add(line.as_bytes()).is_err(), "{line}");
    }
    let timeless =
        event("one", "ResponseComplete", 40, &json!({ "requestReceivedTimestamp": "soon" }));
    assert!(alerts.add(timeless.to_string().as_bytes()).is_err());
    assert!(alerts.all().is_empty());
}

#[test]
fn refusals_and_impersonation_are_told() {
    let more = json!({
        "responseStatus": { "code": 403 }, "impersonatedUser": { "username": "system:admin" },
    });
    let alert = alerts(&[event("one", "ResponseComplete", 26, &more)]).remove(0);
    assert!(alert.is_refused());
    assert_eq!(alert.user, "alice as system:admin");
}
