//! Ledger: what became of each field of an object. A field that nobody speaks for is left for hand, so that
//! none can be lost.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    spc::hints,
    text::{cut, quoted},
    yaml::{Node, Position, Value},
};

/// A scalar, or a list or mapping that is empty.
#[derive(Debug)]
pub struct Field {
    /// Such as `spec.data[0].remoteRef.key`.
    pub path: String,
    pub at: Position,
    pub fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its text is in the output, there.
    Carried(String),
    /// It is in the output in another form: there, as what.
    Changed(String, String),
    /// Nothing has to be done, since.
    NotNeeded(String),
    /// It is not in the output: why, and what to do.
    ByHand(String, String),
    /// Nobody spoke for it yet.
    Open,
}

impl Fate {
    pub fn name(&self) -> &'static str {
        match self {
            Fate::Carried(_) => "carried",
            Fate::Changed(..) => "changed",
            Fate::NotNeeded(_) => "not-needed",
            Fate::ByHand(..) | Fate::Open => "by-hand",
        }
    }
}

#[derive(Debug)]
pub struct Ledger {
    pub fields: Vec<Field>,
    /// What is to be done beside all fields: why, and what.
    pub notes: Vec<(String, String)>,
    /// Which fields are below a node, by the node's address: the tree is not changed while it is read.
    below: BTreeMap<usize, Range<usize>>,
    line: u32,
}

/// Longer names are cut in paths.
const LONGEST_KEY: usize = 100;
/// Deeper than any object is.
const DEEPEST: usize = 100;

impl Ledger {
    pub(super) fn of(node: &Node, line: u32) -> Self {
        let mut ledger = Self { fields: vec![], notes: vec![], below: BTreeMap::new(), line };
        ledger.add(node, String::new(), 0);
        ledger
    }

    fn add(&mut self, node: &Node, path: String, depth: usize) {
        let start = self.fields.len();
        match &node.value {
            Value::Mapping(entries) if !entries.is_empty() && depth < DEEPEST => {
                for entry in entries {
                    let dot = if path.is_empty() { "" } else { "." };
                    let next = match is_plain(&entry.key) {
                        true => format!("{path}{dot}{}", entry.key),
                        false => format!("{path}[{}]", quoted(cut(&entry.key, LONGEST_KEY))),
                    };
                    self.add(&entry.value, next, depth + 1);
                }
            }
            Value::Sequence(items) if !items.is_empty() && depth < DEEPEST => {
                for (index, item) in items.iter().enumerate() {
                    self.add(item, format!("{path}[{index}]"), depth + 1);
                }
            }
            _ => {
                let line = node.at.line.saturating_add(self.line).saturating_sub(1);
                let at = Position { line, ..node.at };
                self.fields.push(Field { path, at, fate: Fate::Open });
            }
        }
        self.below.insert(address(node), start..self.fields.len());
    }

    /// All fields below a node.
    pub(super) fn mark(&mut self, node: &Node, fate: &Fate) {
        for field in self.fields_below(node) {
            field.fate = fate.clone();
        }
    }

    fn fields_below(&mut self, node: &Node) -> impl Iterator<Item = &mut Field> {
        let range = self.below.get(&address(node)).cloned().unwrap_or_default();
        self.fields.get_mut(range).into_iter().flatten()
    }

    /// A text. What is none is not in the output.
    pub(super) fn carried(&mut self, node: &Node, to: impl Into<String>) {
        self.text(node, Fate::Carried(to.into()));
    }

    /// With all that is in it.
    pub(super) fn carried_whole(&mut self, node: &Node, to: impl Into<String>) {
        self.mark(node, &Fate::Carried(to.into()));
    }

    pub(super) fn changed(&mut self, node: &Node, to: impl Into<String>, how: impl Into<String>) {
        self.text(node, Fate::Changed(to.into(), how.into()));
    }

    fn text(&mut self, node: &Node, fate: Fate) {
        match node.scalar() {
            Some(_) => self.mark(node, &fate),
            None => self.by_hand(
                node,
                "is a list or a mapping where a text belongs",
                "correct it and convert again",
            ),
        }
    }

    pub(super) fn not_needed(&mut self, node: &Node, why: impl Into<String>) {
        self.mark(node, &Fate::NotNeeded(why.into()));
    }

    pub(super) fn by_hand(&mut self, node: &Node, why: impl Into<String>, todo: impl Into<String>) {
        self.mark(node, &Fate::ByHand(why.into(), todo.into()));
    }

    pub(super) fn note(&mut self, why: impl Into<String>, todo: impl Into<String>) {
        let note = (why.into(), todo.into());
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// What is carried or changed would be in an output that is not written.
    pub(super) fn refused(&mut self, node: &Node, why: &str, todo: &str) {
        self.taken_back(node, &Fate::ByHand(why.to_owned(), todo.to_owned()));
    }

    /// Of what is in no output in the end.
    pub(super) fn taken_back(&mut self, node: &Node, fate: &Fate) {
        for field in self.fields_below(node) {
            if matches!(field.fate, Fate::Carried(_) | Fate::Changed(..) | Fate::Open) {
                field.fate = fate.clone();
            }
        }
    }

    /// Fields that nobody spoke for are none of the format's.
    pub(super) fn close(&mut self, known: &[&str]) {
        for field in &mut self.fields {
            if field.fate != Fate::Open {
                continue;
            }
            let key = field.path.rsplit('.').next().unwrap_or_default();
            let key = key.split('[').next().unwrap_or_default();
            let todo = match hints::near(key, known).filter(|near| *near != key) {
                Some(near) => format!("did you mean {near}? Correct it and convert again"),
                None => "find out what it was for".to_owned(),
            };
            field.fate = Fate::ByHand("is no field that is known here".to_owned(), todo);
        }
    }

    pub fn by_hand_count(&self) -> usize {
        self.fields.iter().filter(|field| field.fate.name() == "by-hand").count()
    }
}

fn is_plain(key: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    !key.is_empty() && key.len() <= LONGEST_KEY && key.bytes().all(plain)
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}
