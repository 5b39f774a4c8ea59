//! Strict mode: what may be broken JSON is read as YAML only where it has one meaning. Keys and values
//! may lack quotes; all that JSON does not have otherwise is refused with its place.

use granit_parser::{Event, ScalarStyle, Span};

use super::{Malformed, Position, position};

const MARKS: &str = "not certain as YAML: a mark that JSON does not have (a value with # or & * ! ? - \
                     at its start needs double quotes)";
const LINES: &str = "not certain as YAML: a value over several lines";
const BACKSLASH: &str = "not certain as YAML: a \\ outside double quotes";
const ESCAPE: &str = "not certain as YAML: a single \\ in double quotes (write \\\\)";
const QUOTE: &str = "not certain as YAML: a quote in a value without double quotes";
const COLON: &str = "not certain as YAML: a colon in a value without double quotes";
const NO_VALUE: &str = "not certain as YAML: a key without a value (a colon needs a blank after it, a \
                        value with a comma needs double quotes)";
const PAIR: &str = "not certain as YAML: a colon in a list";
const MERGE: &str = "not certain as YAML: a merge key (<<)";
const ITEM: &str = "not certain as YAML: an item of a list without double quotes, where other texts \
                    have them";

enum Open {
    List,
    /// Whether a key comes next.
    Map(bool),
}

/// Follows the parser's events with the text that they come from.
#[derive(Default)]
pub(super) struct Strict {
    open: Vec<Open>,
    /// All bytes before it were looked at.
    reached: usize,
    /// Where the last key is.
    key: Position,
    /// A key or an item in double quotes: what broke was JSON.
    was_json: bool,
    /// The first item of a list that is neither quoted nor JSON.
    item: Option<Malformed>,
}

impl Strict {
    pub(super) fn check(
        &mut self,
        text: &str,
        event: &Event<'_>,
        span: &Span,
    ) -> Result<(), Malformed> {
        let wrong = |reason| Malformed { reason, at: position(&span.start) };
        let range = span.byte_range().unwrap_or_default();
        let source = text.get(range.clone()).unwrap_or_default();
        match event {
            // A `---` at the end.
            Event::Scalar(..) if self.open.is_empty() => {}
            Event::Scalar(value, style, ..) => {
                self.gap(text, range.start)?;
                self.reached = range.end;
                let is_key = self.next();
                if is_key {
                    self.key = position(&span.start);
                }
                if *style == ScalarStyle::Plain && source.is_empty() {
                    return Err(Malformed { reason: NO_VALUE, at: self.key });
                }
                if let Some(reason) = uncertain(value, *style, source, span) {
                    return Err(wrong(reason));
                }
                let in_list = matches!(self.open.last(), Some(Open::List));
                match style {
                    ScalarStyle::DoubleQuoted if is_key || in_list => self.was_json = true,
                    ScalarStyle::Plain if is_key && value == "<<" => return Err(wrong(MERGE)),
                    ScalarStyle::Plain if in_list && !is_json(value) => {
                        self.item.get_or_insert(wrong(ITEM));
                    }
                    _ => {}
                }
            }
            Event::SequenceStart(..) | Event::MappingStart(..) => {
                self.gap(text, range.start)?;
                self.next();
                let map = matches!(event, Event::MappingStart(..));
                if !text.get(range.start..).is_some_and(|at| at.starts_with(['{', '['])) {
                    return Err(wrong(if map { PAIR } else { MARKS }));
                }
                self.open.push(if map { Open::Map(true) } else { Open::List });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.gap(text, range.start)?;
                self.open.pop();
                // An item more or less would move all after it.
                if self.open.is_empty() && self.was_json {
                    return self.item.take().map_or(Ok(()), Err);
                }
            }
            Event::Alias(_) => return Err(wrong(MARKS)),
            _ => {}
        }
        Ok(())
    }

    /// Whether the node that starts is a key.
    fn next(&mut self) -> bool {
        let Some(Open::Map(key)) = self.open.last_mut() else { return false };
        *key = !*key;
        !*key
    }

    /// Between the values there is nothing but JSON's own marks.
    fn gap(&mut self, text: &str, end: usize) -> Result<(), Malformed> {
        let gap = text.get(self.reached..end).unwrap_or_default();
        let other = gap.find(|c: char| !" \t\r\n,:{}[]".contains(c));
        if let Some(at) = other.filter(|_| !self.open.is_empty()) {
            let before = text.get(..self.reached + at).unwrap_or_default();
            return Err(Malformed { reason: MARKS, at: Position::after(before) });
        }
        self.reached = self.reached.max(end);
        Ok(())
    }
}

fn uncertain(text: &str, style: ScalarStyle, source: &str, span: &Span) -> Option<&'static str> {
    if span.start.line() != span.end.line() {
        return Some(LINES);
    }
    let within = |quote: char| {
        let inside = source.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
        inside.filter(|_| source.len() > 1)
    };
    match style {
        ScalarStyle::DoubleQuoted => match within('"') {
            Some(inside) if only_json_escapes(inside) => None,
            _ => Some(ESCAPE),
        },
        ScalarStyle::SingleQuoted => match within('\'') {
            Some(inside) if !inside.contains('\\') => None,
            _ => Some(BACKSLASH),
        },
        ScalarStyle::Plain if text.contains('\\') => Some(BACKSLASH),
        ScalarStyle::Plain if text.contains(['"', '\'']) => Some(QUOTE),
        ScalarStyle::Plain if text.starts_with(':') => Some(COLON),
        ScalarStyle::Plain if text.contains(':') && text.contains([' ', '\t']) => Some(COLON),
        ScalarStyle::Plain if text == source => None,
        // Not in brackets.
        _ => Some(MARKS),
    }
}

/// YAML has more, which would make other characters of a \ that was meant as itself.
fn only_json_escapes(inside: &str) -> bool {
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        if c == '\\' && !chars.next().is_some_and(|c| "\"\\/bfnrtu".contains(c)) {
            return false;
        }
    }
    true
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
