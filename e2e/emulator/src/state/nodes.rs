//! Nodes of the Kubernetes cluster: their taints, and JSON patches of these.

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::state::sync::lock;

/// A taint of a node: its key, and its effect.
pub type Taint = (String, String);

#[derive(Debug, Default)]
pub(crate) struct Nodes(Mutex<BTreeMap<String, Vec<Taint>>>);

/// Why a patch changes nothing.
#[derive(Debug)]
pub(crate) enum Unpatched {
    NoNode,
    Malformed,
    /// What it tests for, or a place that it names, is not there.
    DoesNotFit,
}

/// The operations of RFC 6902 that a provider sends.
#[derive(Debug, Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Operation {
    Test { path: String, value: Value },
    Remove { path: String },
}

impl Nodes {
    pub(crate) fn set(&self, node: &str, taints: Vec<Taint>) {
        lock(&self.0).insert(node.to_owned(), taints);
    }

    pub(crate) fn taints(&self, node: &str) -> Option<Vec<Taint>> {
        lock(&self.0).get(node).cloned()
    }

    /// All of its operations, or none.
    pub(crate) fn patch(&self, node: &str, patch: &[u8]) -> Result<(), Unpatched> {
        let mut nodes = lock(&self.0);
        let taints = nodes.get_mut(node).ok_or(Unpatched::NoNode)?;
        let operations: Vec<Operation> =
            serde_json::from_slice(patch).map_err(|_| Unpatched::Malformed)?;
        let mut patched = taints.clone();
        for operation in operations {
            match operation {
                Operation::Test { path, value } => {
                    let node = json!({ "spec": spec(&patched) });
                    let found = node.pointer(&path).cloned();
                    if found != Some(value) {
                        return Err(Unpatched::DoesNotFit);
                    }
                }
                Operation::Remove { path } => {
                    let at = path.strip_prefix("/spec/taints/").and_then(|at| at.parse().ok());
                    let at = at.filter(|at: &usize| *at < patched.len());
                    patched.remove(at.ok_or(Unpatched::DoesNotFit)?);
                }
            }
        }
        *taints = patched;
        Ok(())
    }
}

/// As a node has them.
pub(crate) fn spec(taints: &[Taint]) -> Value {
    let taints: Vec<_> =
        taints.iter().map(|(key, effect)| json!({ "key": key, "effect": effect })).collect();
    match taints.is_empty() {
        true => json!({}),
        false => json!({ "taints": taints }),
    }
}
