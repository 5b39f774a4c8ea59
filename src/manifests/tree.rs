//! Tree: objects of a text, each as a whole, for who has to account for every field. Kinds that nobody wants
//! are counted and not looked at: a Secret's values are not read.

use std::collections::BTreeMap;

use super::{BUDGET, Unreadable, document, source::Source, split};
use crate::yaml::{Node, Position};

#[derive(Debug)]
pub struct Tree {
    /// The file's path as given, or `stdin`.
    pub name: String,
    pub objects: Vec<Object>,
    pub unreadable: Vec<Unreadable>,
    /// Kinds of objects that were passed over, and how many there were of each.
    pub passed_over: BTreeMap<String, usize>,
}

/// A mapping, and on which line of the file its document starts.
#[derive(Clone, Debug)]
pub struct Object {
    pub line: u32,
    pub node: Node,
}

impl Tree {
    /// `wanted`: whether objects of a kind are to be read; `None` is one without a kind.
    pub fn read(name: String, text: String, wanted: impl Fn(Option<&str>) -> bool) -> Self {
        let source = Source::new(name, text);
        let mut tree = Self::empty(source.name);
        for part in split::documents(&source.text) {
            if part.text.trim_start_matches('-').trim_ascii().is_empty() {
                continue;
            }
            match split::kind(part.text) {
                Some(kind) if !wanted(Some(kind)) && !document::is_list(kind) => tree.pass(kind),
                _ => match Node::parse_within(part.text, BUDGET) {
                    Ok(node) => tree.take(part.line, node, &wanted),
                    Err(malformed) => {
                        tree.unreadable.push(document::unreadable(&part, malformed));
                    }
                },
            }
        }
        tree
    }

    /// One that is no text, or too large a one.
    pub fn unread(name: String, reason: &'static str) -> Self {
        let at = Position { line: 1, column: 1 };
        let unreadable = Unreadable { at, reason, concerns_us: true, may_hold_values: true };
        Self { unreadable: vec![unreadable], ..Self::empty(name) }
    }

    fn empty(name: String) -> Self {
        Self { name, objects: vec![], unreadable: vec![], passed_over: BTreeMap::new() }
    }

    fn pass(&mut self, kind: &str) {
        *self.passed_over.entry(kind.to_owned()).or_default() += 1;
    }

    fn take(&mut self, line: u32, node: Node, wanted: &impl Fn(Option<&str>) -> bool) {
        if node.is_null() {
            return;
        }
        let kind = node.get("kind").and_then(Node::text);
        if kind.is_some_and(document::is_list)
            && let Some(items) = node.get("items").and_then(Node::items)
        {
            items.iter().for_each(|item| self.take(line, item.clone(), wanted));
            return;
        }
        match kind {
            kind if wanted(kind) => self.objects.push(Object { line, node }),
            Some(kind) => self.pass(kind),
            None => self.pass("(no kind)"),
        }
    }
}
