//! Whether a startup taint is removed from the node, and which.

use super::{
    flag::{Flag, OPERATION, flag},
    settings::Settings,
};
use crate::text::quoted;

pub(super) const FLAGS: &[Flag] = &[flag(
    OPERATION,
    FLAG,
    "KEY",
    "Once mounts can be served, remove the taints with this key from the pod's node (NODE_NAME), such as \
     secrets-store.csi.k8s.io/agent-not-ready; the provider's ServiceAccount needs get and patch on nodes \
     [default: none]",
)];

const FLAG: &str = "remove-startup-taint";

/// Kubernetes sets and removes these itself, and what they say is not the provider's to say.
const NOT_OURS: [&str; 3] =
    ["node.kubernetes.io", "node-role.kubernetes.io", "node.cloudprovider.kubernetes.io"];

/// A taint, and the node that has it.
pub(super) struct Wanted {
    pub(super) node: String,
    pub(super) key: String,
}

impl Settings<'_> {
    pub(super) fn startup_taint(&mut self) -> Option<Wanted> {
        let node = self.env(&["NODE_NAME"]);
        let key = self.checked(FLAG, &[], key)?;
        let Some(node) = node.filter(|name| is_node_name(name)) else {
            self.wrong(format!(
                "--{FLAG} needs the variable NODE_NAME, the name of this pod's node (fieldRef spec.nodeName)"
            ));
            return None;
        };
        Some(Wanted { node, key })
    }
}

/// A qualified name: PREFIX/NAME, or NAME alone.
fn key(text: &str) -> Result<String, String> {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || name.len() > 63 || !name.bytes().all(plain) {
        return Err(format!("{} is not the key of a taint", quoted(text)));
    }
    match prefix {
        Some(prefix) if !is_node_name(prefix) => {
            Err(format!("{} is not the key of a taint", quoted(text)))
        }
        Some(prefix) if NOT_OURS.contains(&prefix) => {
            Err(format!("{text} is Kubernetes' own taint, which a provider must not remove"))
        }
        _ => Ok(text.to_owned()),
    }
}

/// A DNS subdomain, which the name of a node is, and the prefix of a key.
fn is_node_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let edges = ["-", "."].iter().any(|edge| text.starts_with(edge) || text.ends_with(edge));
    (1..=253).contains(&text.len()) && text.bytes().all(plain) && !text.contains("..") && !edges
}
