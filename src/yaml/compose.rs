//! Composer: the parser's events become one tree, within a budget, with aliases and merge keys
//! resolved.

use std::collections::BTreeMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::{Entry, Malformed, Node, Position, Scalar, Value, position, reason, strict::Strict};

/// How much of a text is read at most.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    pub depth: usize,
    /// Each alias counts as all that it stands for.
    pub nodes: usize,
    pub bytes: usize,
}

impl Budget {
    /// Enough for any document that a person wrote.
    pub const DOCUMENT: Self = Self { depth: 32, nodes: 20_000, bytes: 1 << 20 };
}

const TOO_LARGE: &str = "too large, too deeply nested, or too many aliases";

pub(super) fn document(
    text: &str,
    strict: Option<Strict>,
    budget: Budget,
) -> Result<Node, Malformed> {
    if text.len() > budget.bytes {
        return Err(Malformed { reason: TOO_LARGE, at: Position { line: 1, column: 1 } });
    }
    let events = Parser::new_from_str_with_options(text, options(budget.depth));
    let mut composer =
        Composer { text, events, strict, anchors: BTreeMap::new(), budget, nodes: 0, bytes: 0 };
    let mut found: Option<Node> = None;
    loop {
        match composer.next()? {
            (Event::StreamEnd, span) => {
                let null = || scalar(position(&span.start), String::new(), true);
                return Ok(found.unwrap_or_else(null));
            }
            (event, span) if event.is_node() => {
                let at = position(&span.start);
                let node = composer.node(event, &span, 0)?;
                // A `---` at the end starts a document that holds nothing.
                if span.is_empty() && node.is_null() {
                    continue;
                }
                if found.is_some() {
                    return Err(Malformed { reason: "more than one YAML document", at });
                }
                found = Some(node);
            }
            _ => {}
        }
    }
}

fn options(depth: usize) -> Options {
    let mut options = Options::default();
    // Otherwise a line feed that is not in the document is added to a block at its end.
    options.block_scalar_eof_without_line_feed = true;
    options.set_emit_comments(false);
    // One more than is accepted, so that the composer says what is wrong.
    options.flow_nesting_limit = depth + 1;
    options.block_nesting_limit = depth + 1;
    options
}

struct Composer<'a> {
    text: &'a str,
    events: Parser<'a, StrInput<'a>>,
    strict: Option<Strict>,
    /// `None` while the node itself is being read.
    anchors: BTreeMap<usize, Option<Node>>,
    budget: Budget,
    nodes: usize,
    bytes: usize,
}

impl<'a> Composer<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Malformed> {
        match self.events.next() {
            Some(Ok((event, span))) => {
                if let Some(strict) = &mut self.strict {
                    strict.check(self.text, &event, &span)?;
                }
                Ok((event, span))
            }
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Malformed {
        reason::of(self.text, error.kind(), position(error.marker()))
    }

    fn node(&mut self, event: Event<'a>, span: &Span, depth: usize) -> Result<Node, Malformed> {
        let at = position(&span.start);
        self.spend(1, 0, depth, at)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.spend(0, text.len(), depth, at)?;
                if span.start.line() != span.end.line() && is_folded_pem(&text) {
                    let reason = "a PEM key or certificate over several lines, which YAML folds into one: \
                                  write it as a block with |";
                    return Err(Malformed { reason, at });
                }
                let plain = style == ScalarStyle::Plain && !means_text(tag.as_deref(), span)?;
                // The parser writes ~ for what is not there.
                let text = if plain && span.is_empty() { String::new() } else { text.into_owned() };
                (scalar(at, text, plain), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                collection(tag.as_deref(), "seq", span)?;
                self.anchors.insert(anchor, None);
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, &span, depth + 1)?),
                    }
                }
                (Node { at, value: Value::Sequence(items) }, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                collection(tag.as_deref(), "map", span)?;
                self.anchors.insert(anchor, None);
                (Node { at, value: Value::Mapping(self.entries(depth + 1)?) }, anchor)
            }
            Event::Alias(anchor) => {
                let Some(Some(node)) = self.anchors.get(&anchor).cloned() else {
                    return Err(Malformed { reason: "an alias within what it stands for", at });
                };
                self.spend_again(&node, depth, at)?;
                return Ok(node);
            }
            _ => return Err(Malformed { reason: reason::OTHER, at }),
        };
        if anchor != 0 {
            self.spend_again(&node, depth, at)?;
            self.anchors.insert(anchor, Some(node.clone()));
        }
        Ok(node)
    }

    fn entries(&mut self, depth: usize) -> Result<Vec<Entry>, Malformed> {
        let (mut entries, mut merged) = (Vec::new(), None);
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let at = position(&span.start);
            let key = self.node(event, &span, depth)?;
            let Value::Scalar(key) = key.value else {
                return Err(reason::complex_key(self.text, at));
            };
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth)?;
            if key.plain && &*key.text == "<<" {
                if merged.is_some() {
                    return Err(Malformed { reason: TWICE, at });
                }
                merged = Some((entries.len(), to_merge(value)?));
            } else {
                entries.push(Entry { key: key.text, at, value });
            }
        }
        unique(&entries)?;
        if let Some((index, more)) = merged {
            merge(&mut entries, index, more);
        }
        Ok(entries)
    }

    /// What a copy of the node takes.
    fn spend_again(&mut self, node: &Node, depth: usize, at: Position) -> Result<(), Malformed> {
        self.spend(1, 0, depth, at)?;
        match &node.value {
            Value::Scalar(scalar) => self.spend(0, scalar.text.len(), depth, at),
            Value::Sequence(items) => {
                items.iter().try_for_each(|item| self.spend_again(item, depth + 1, at))
            }
            Value::Mapping(entries) => entries.iter().try_for_each(|entry| {
                self.spend(1, entry.key.len(), depth, at)?;
                self.spend_again(&entry.value, depth + 1, at)
            }),
        }
    }

    fn spend(
        &mut self,
        nodes: usize,
        bytes: usize,
        depth: usize,
        at: Position,
    ) -> Result<(), Malformed> {
        self.nodes += nodes;
        self.bytes += bytes;
        let most = self.budget;
        if self.nodes > most.nodes || self.bytes > most.bytes || depth > most.depth {
            return Err(Malformed { reason: TOO_LARGE, at });
        }
        Ok(())
    }
}

/// Whether a line of `-----BEGIN X-----` goes on after a blank, where a line break was.
fn is_folded_pem(text: &str) -> bool {
    let first = text.split_once("-----BEGIN ").and_then(|(_, rest)| rest.split_once("-----"));
    first.is_some_and(|(_, after)| after.starts_with(' '))
}

const TWICE: &str = "the same key twice";

/// Two keys with one text would leave it open which value is meant.
fn unique(entries: &[Entry]) -> Result<(), Malformed> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| (&a.key, a.at).cmp(&(&b.key, b.at)));
    let again = sorted.windows(2).filter_map(|pair| match pair {
        [a, b] if a.key == b.key => Some(b.at),
        _ => None,
    });
    again.min().map_or(Ok(()), |at| Err(Malformed { reason: TWICE, at }))
}

/// The mappings of a merge key, the strongest first.
fn to_merge(value: Node) -> Result<Vec<Entry>, Malformed> {
    const WRONG: &str = "a merge key (<<) whose value is neither a mapping nor a list of mappings";
    let at = value.at;
    match value.value {
        Value::Mapping(entries) => Ok(entries),
        Value::Sequence(items) => {
            let mut all = Vec::new();
            for item in items {
                let Value::Mapping(entries) = item.value else {
                    return Err(Malformed { reason: WRONG, at: item.at });
                };
                all.extend(entries);
            }
            Ok(all)
        }
        Value::Scalar(_) => Err(Malformed { reason: WRONG, at }),
    }
}

/// Puts the keys that are not there yet where the merge key was.
fn merge(entries: &mut Vec<Entry>, index: usize, more: Vec<Entry>) {
    let mut seen: std::collections::BTreeSet<Box<str>> =
        entries.iter().map(|entry| entry.key.clone()).collect();
    let new: Vec<Entry> = more.into_iter().filter(|entry| seen.insert(entry.key.clone())).collect();
    entries.splice(index..index, new);
}

fn scalar(at: Position, text: String, plain: bool) -> Node {
    Node { at, value: Value::Scalar(Scalar { text: text.into(), plain }) }
}

/// Whether the tag makes a plain scalar a text. A tag that would change the value is refused.
fn means_text(tag: Option<&Tag>, span: &Span) -> Result<bool, Malformed> {
    match tag.map(|tag| (tag.core_suffix(), tag)) {
        None | Some((Some("int" | "float" | "bool"), _)) => Ok(false),
        Some((Some("str"), _)) => Ok(true),
        Some((None, tag)) if tag.handle().is_empty() && tag.suffix() == "!" => Ok(true),
        Some(_) => Err(tagged(span)),
    }
}

fn collection(tag: Option<&Tag>, kind: &str, span: &Span) -> Result<(), Malformed> {
    match tag.map(Tag::core_suffix) {
        None => Ok(()),
        Some(Some(suffix)) if suffix == kind => Ok(()),
        Some(_) => Err(tagged(span)),
    }
}

fn tagged(span: &Span) -> Malformed {
    let at = position(span.tag_start.as_ref().unwrap_or(&span.start));
    let reason = "a YAML tag that is not accepted (a value that starts with ! needs quotes)";
    Malformed { reason, at }
}
