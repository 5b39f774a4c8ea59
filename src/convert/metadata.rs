//! Metadata of an object, and what else every object has.

use super::{class::Meta, external::plain_pairs, ledger::Ledger};
use crate::yaml::Node;

/// What the API server and others write into it.
const MADE: [&str; 9] = [
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// `None` where it has no name; then all of it is left for hand.
pub(super) fn read(root: &Node, ledger: &mut Ledger) -> Option<Meta> {
    for key in ["apiVersion", "kind"] {
        if let Some(node) = root.get(key) {
            ledger.not_needed(node, "says what it is");
        }
    }
    if let Some(status) = root.get("status") {
        ledger.not_needed(status, "is what happened");
    }
    let mut meta = Meta::default();
    for entry in root.get("metadata").and_then(Node::entries).unwrap_or_default() {
        let node = &entry.value;
        match &*entry.key {
            "name" => {
                ledger.carried(node, "metadata.name");
                meta.name = node.text().unwrap_or_default().to_owned();
            }
            "namespace" => {
                ledger.carried(node, "metadata.namespace");
                meta.namespace = node.text().filter(|text| !text.is_empty()).map(str::to_owned);
            }
            "labels" => meta.labels = plain_pairs(node, "metadata.labels", ledger),
            "annotations" => {
                meta.annotations = plain_pairs(node, "metadata.annotations", ledger);
                meta.annotations.retain(|(key, _)| key != APPLIED);
                if let Some(applied) = node.get(APPLIED) {
                    ledger.not_needed(applied, "is kubectl's");
                }
            }
            made if MADE.contains(&made) => {
                ledger.not_needed(node, "is made by Kubernetes or a controller");
            }
            _ => {}
        }
    }
    if meta.name.is_empty() {
        ledger.refused(root, "has no metadata.name", "give it one and convert again");
        return None;
    }
    Some(meta)
}
