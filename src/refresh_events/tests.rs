use serde_json::Value;
use tokio::time::advance;

use super::*;
use crate::error::{Error, Reason};

const AFTER: Duration = Duration::from_secs(300);
const VOLUME: Digest = [1; 32];

struct OneNode {
    events: RefreshEvents,
    waiting: mpsc::Receiver<Event>,
}

impl OneNode {
    fn new(room: usize) -> Self {
        let (queue, waiting) = mpsc::channel(room);
        let writer = AbortOnDropHandle::new(tokio::spawn(async {}));
        let (reported, metrics) = (Mutex::default(), Arc::default());
        let node = "node-1".to_owned();
        let events =
            RefreshEvents { after: AFTER, node, reported, queue, metrics, _writer: writer };
        Self { events, waiting }
    }

    /// What is written after this failure.
    fn failed(&mut self, volume: Digest, failing: Failing, pod: &Pod) -> Option<Value> {
        let error = Error {
            code: Some("Forbidden.NoPermission".into()),
            request: Some("0A1B2C3D-0000-0000-0000-000000000000".into()),
            ..Error::new(Reason::Denied, "KMS refused: Forbidden.NoPermission")
        };
        let errors = error.hint("allow kms:GetSecretValue ".repeat(100)).into();
        let failure =
            Failure { mount: "00000000000000ff", pod, class: "checkout", errors: &errors };
        self.events.failed(volume, failing, &failure);
        self.waiting.try_recv().ok().map(|event| {
            assert!(event.path.ends_with("/namespaces/shop/events"), "{}", event.path);
            serde_json::from_str(&event.object).unwrap()
        })
    }
}

fn pod(name: &str) -> Pod {
    let [namespace, service_account] = ["shop", "web"].map(str::to_owned);
    Pod { namespace, name: name.to_owned(), uid: "u-1".to_owned(), service_account }
}

fn failing(times: u32) -> Failing {
    Failing { since: Instant::now(), times, has_files: true }
}

#[tokio::test(start_paused = true)]
async fn pod_is_told_of_once_its_failure_lasts_and_then_ever_more_seldom() {
    let (mut on_node, web) = (OneNode::new(8), pod("web-1"));
    let failing = |times| Failing { times, ..failing(0) };
    let begun = failing(3);
    advance(AFTER - Duration::from_secs(1)).await;
    assert_eq!(on_node.failed(VOLUME, begun, &web), None, "too soon");
    advance(Duration::from_secs(1)).await;
    assert_eq!(on_node.failed(VOLUME, Failing { times: 2, ..begun }, &web), None, "too few");
    let new = Failing { has_files: false, ..begun };
    assert_eq!(on_node.failed(VOLUME, new, &web), None, "kubelet tells of a pod that has no files");
    let mut written = Vec::new();
    for minute in 0..5 * 60 {
        if on_node.failed(VOLUME, begun, &web).is_some() {
            written.push(minute);
        }
        advance(Duration::from_secs(60)).await;
    }
    assert_eq!(written, [0, 10, 30, 70, 130, 190, 250]);
    assert!(on_node.failed([2; 32], begun, &web).is_some(), "another volume");
    on_node.events.mounted(&VOLUME);
    assert!(on_node.failed(VOLUME, begun, &web).is_some(), "it begins anew");
}

#[tokio::test(start_paused = true)]
async fn event_that_finds_no_room_is_counted_and_written_at_the_next_failure() {
    let (mut on_node, web) = (OneNode::new(1), pod("web-1"));
    let begun = failing(3);
    advance(AFTER).await;
    on_node.events.queue.try_send(Event { path: String::new(), object: String::new() }).unwrap();
    let errors = Error::new(Reason::Throttled, "KMS throttles").into();
    let failure = Failure { mount: "1", pod: &web, class: "c", errors: &errors };
    on_node.events.failed(VOLUME, begun, &failure);
    assert!(on_node.events.metrics.text().contains("refresh_events_total{result=\"dropped\"} 1"));
    on_node.waiting.try_recv().unwrap();
    assert!(on_node.failed(VOLUME, begun, &web).is_some());
}

#[tokio::test(start_paused = true)]
async fn event_names_pod_class_time_and_cause_within_its_bounds() {
    let mut on_node = OneNode::new(8);
    let begun = failing(7);
    advance(AFTER).await;
    let long = "p".repeat(253);
    for name in ["web-1", &long] {
        let event = on_node.failed([name.len() as u8; 32], begun, &pod(name)).unwrap();
        assert_eq!(event["reason"], "SecretRefreshFailed");
        assert_eq!(event["type"], "Warning");
        let pod = json!({ "apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": name, "uid": "u-1" });
        assert_eq!(event["regarding"], pod);
        assert_eq!(event["series"]["count"], 7);
        assert!(event["metadata"]["name"].as_str().unwrap().len() <= limits::DNS_NAME);
        let time = |path: &str| event.pointer(path).unwrap().as_str().unwrap().to_owned();
        let [since, last] = ["/eventTime", "/series/lastObservedTime"].map(time);
        assert_eq!((since.len(), last.len()), (27, 27), "{since} {last}");
        let lasted = last.parse::<Timestamp>().unwrap().duration_since(since.parse().unwrap());
        assert_eq!(lasted.as_secs(), 300);
        let note = event["note"].as_str().unwrap();
        let start = format!(
            "SecretProviderClass shop/checkout: not refreshed since {}Z, 7 tries",
            since.get(..19).unwrap()
        );
        assert!(note.starts_with(&start) && note.len() < 900, "{note}");
        assert!(note.contains("Forbidden.NoPermission (request 0A1B2C3D-"), "{note}");
    }
    // A name that the driver did not take from Kubernetes leads nowhere.
    let foreign = Pod { namespace: "shop/../x".to_owned(), ..pod("web-1") };
    assert!(on_node.failed([3; 32], begun, &foreign).is_none());
}
