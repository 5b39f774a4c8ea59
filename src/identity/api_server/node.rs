//! A node's taints: which there are, and one that goes.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiServer, Question, Refused, object};
use crate::retry::retry_nearby;

/// How removing a taint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    Removed,
    /// There was none.
    Absent,
}

/// The right that was used, as RBAC names it.
type Verb = &'static str;

impl ApiServer {
    /// Removes a node's taints with this key, whatever their effects, and no other. Others who change the
    /// node's taints at the same time lose nothing: what they changed is then looked at anew. `node` is a
    /// Kubernetes name, and so needs no encoding.
    pub async fn remove_taint(&self, node: &str, key: &str) -> Result<Removal, (Verb, Refused)> {
        let url = format!("{}/api/v1/nodes/{node}", self.url);
        let outdated = |ended: &Result<_, _>| {
            // The patch did not fit, or the node changed too often for the API server to apply it.
            matches!(ended, Err(("patch", Refused::Status(409 | 422))))
        };
        retry_nearby(|| self.try_to_remove(&url, key), outdated).await
    }

    async fn try_to_remove(&self, url: &str, key: &str) -> Result<Removal, (Verb, Refused)> {
        let found = self.get(url).await.and_then(|answer| object::<Node>(&answer));
        let taints = found.map_err(|refused| ("get", refused))?.spec.taints.unwrap_or_default();
        let keys: Vec<_> = taints.iter().map(|taint| taint.key.as_str()).collect();
        let Some(patch) = without(&keys, key) else { return Ok(Removal::Absent) };
        let patched = self.insist(&Question { url, patch: Some(patch) }).await;
        let patched = patched.and_then(|answer| object::<Node>(&answer));
        patched.map(|_| Removal::Removed).map_err(|refused| ("patch", refused))
    }
}

/// The patch that takes the taints with this key out of a node that has taints with these keys. It fails
/// as a whole where another taint is at such a place by then.
fn without(taints: &[&str], key: &str) -> Option<Bytes> {
    let places = taints.iter().enumerate().filter(|(_, taint)| **taint == key);
    // From the last on: removing one moves those behind it.
    let operations: Vec<Value> = places
        .rev()
        .flat_map(|(at, _)| {
            let path = format!("/spec/taints/{at}");
            let test = json!({ "op": "test", "path": format!("{path}/key"), "value": key });
            [test, json!({ "op": "remove", "path": path })]
        })
        .collect();
    (!operations.is_empty()).then(|| Value::from(operations).to_string().into())
}

#[derive(Deserialize)]
struct Node {
    spec: Spec,
}

#[derive(Deserialize)]
struct Spec {
    taints: Option<Vec<Taint>>,
}

#[derive(Deserialize)]
struct Taint {
    key: String,
}

#[cfg(test)]
mod tests {
    use super::{super::tests::Fake, *};

    const KEY: &str = "secrets-store.csi.k8s.io/agent-not-ready";

    fn patch(taints: &[&str]) -> Option<Value> {
        without(taints, KEY).map(|patch| serde_json::from_slice(&patch).unwrap())
    }

    #[test]
    fn patch_removes_each_taint_with_the_key_from_the_last_on_and_tests_for_it() {
        assert_eq!(patch(&[]), None);
        assert_eq!(patch(&["a", "secrets-store.csi.k8s.io/agent"]), None);
        let step = |at: usize| {
            let path = format!("/spec/taints/{at}");
            [
                json!({ "op": "test", "path": format!("{path}/key"), "value": KEY }),
                json!({ "op": "remove", "path": path }),
            ]
        };
        assert_eq!(patch(&["a", KEY]), Some(Value::from(step(1).to_vec())));
        assert_eq!(patch(&[KEY, "a", KEY]), Some(Value::from([step(2), step(0)].concat())));
    }

    #[tokio::test]
    async fn answer_that_is_no_node_is_no_node_without_taints() {
        for body in ["{}", "[]", r#"{"spec":{"taints":[{}]}}"#] {
            let fake = Fake::answering(200, body).await;
            let ended = fake.api().remove_taint("node-1", KEY).await;
            assert_eq!(ended, Err(("get", Refused::Foreign(200))), "{body}");
        }
        let fake = Fake::answering(200, r#"{"spec":{}}"#).await;
        assert_eq!(fake.api().remove_taint("node-1", KEY).await, Ok(Removal::Absent));
        let [asked] = &fake.asked()[..] else { panic!("asked more than once") };
        assert!(asked.starts_with("GET /api/v1/nodes/node-1 HTTP/1.1\r\n"), "{asked}");
    }
}
