//! Parts: what a SecretProviderClass of any provider is taken apart into, and what all of them have.

use super::{
    class::{Entry, Parameter},
    ledger::Ledger,
    write::Tree,
};
use crate::yaml::Node;

/// What a provider's parameters and objects become.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub(super) parameters: Vec<Parameter<'a>>,
    pub(super) entries: Vec<Entry<'a>>,
}

/// Reads each object of a list, or of Azure's `array`.
pub(super) fn each_item<'a>(
    node: &'a Node,
    ledger: &mut Ledger,
    mut read: impl FnMut(&'a Node, &mut Ledger),
) {
    let list = node.get("array").unwrap_or(node);
    for item in list.items().unwrap_or_default() {
        read(item, ledger);
    }
    if node.scalar().is_some() {
        ledger.by_hand(node, "is no list of objects that can be read", "correct the YAML in it");
    }
}

/// A field that is carried as it is, if it is given.
pub(super) fn field(
    item: &Node,
    from: &str,
    to: &'static str,
    ledger: &mut Ledger,
) -> Option<(&'static str, Tree)> {
    let node = item.get(from)?;
    if node.text().is_none_or(str::is_empty) {
        ledger.not_needed(node, "is empty");
        return None;
    }
    ledger.carried(node, to);
    Some((to, Tree::of(node)))
}
