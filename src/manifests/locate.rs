//! Places within a scalar: where in the file a character of its text is.
//!
//! Blocks, folded or not, quoted and plain texts are all followed alike: line breaks, blanks and indentation
//! come and go, and every other character of the text is one in the file, or an escape.

use super::{source::Source, value::Text};
use crate::yaml::Position;

/// Where a position of a scalar's text is in its file; `None` where the text is not to be found there
/// character for character.
pub fn locate(source: &Source, scalar: &Text, inner: Position) -> Option<Position> {
    let start = source.offset(scalar.at)?;
    let written = source.text.get(start..)?;
    let target = offset(&scalar.text, inner)?;
    let [raw, double, single] = [Style::Raw, Style::Double, Style::Single];
    [raw, double, single].into_iter().find_map(|style| {
        let found = follow(&scalar.text, target, written, style)?;
        let at = source.position(start + found.offset);
        let column = i64::from(at.column).checked_sub(found.before)?;
        Some(Position { column: u32::try_from(column).ok().filter(|column| *column > 0)?, ..at })
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    /// A block or a plain text: characters stand for themselves.
    Raw,
    Double,
    Single,
}

struct Found {
    /// Of a character of the same line, in what is written.
    offset: usize,
    /// How many characters before it the target is; negative where it is behind it.
    before: i64,
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// The byte of a text that a position names.
fn offset(text: &str, at: Position) -> Option<usize> {
    let index = usize::try_from(at.line).ok()?.checked_sub(1)?;
    let start = *super::source::starts(text).get(index)?;
    let rest = text.get(start..)?;
    let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let line = rest.split(['\n', '\r']).next().unwrap_or_default();
    let within = line.char_indices().nth(column).map_or(line.len(), |(within, _)| within);
    Some(start + within)
}

/// The character at `target`, or the nearest on its line that is no blank.
fn follow(text: &str, target: usize, written: &str, style: Style) -> Option<Found> {
    let (before, after) = text.split_at_checked(target)?;
    let line_break = |c: char| matches!(c, '\n' | '\r');
    let ahead = after.chars().take_while(|c| !line_break(*c)).position(|c| !is_blank(c));
    let behind = before.chars().rev().take_while(|c| !line_break(*c)).position(|c| !is_blank(c));
    let shown = |text: &str| text.chars().filter(|c| !is_blank(*c)).count();
    let count = |at: usize| i64::try_from(at).unwrap_or(i64::MAX);
    // How many characters are before the one to find.
    let (index, before) = match (ahead, behind) {
        (Some(ahead), _) => (shown(before), count(ahead)),
        (None, Some(behind)) => (shown(before).checked_sub(1)?, -count(behind) - 1),
        (None, None) => (shown(before), 0),
    };
    let mut expected = text.chars().filter(|c| !is_blank(*c));
    let mut found = characters(written, style).filter(|character| match character {
        Ok((_, c)) => !is_blank(*c),
        Err(Unknown) => true,
    });
    for _ in 0..index {
        let (_, c) = found.next()?.ok()?;
        if expected.next()? != c {
            return None;
        }
    }
    let (offset, c) = found.next()?.ok()?;
    match expected.next() {
        Some(same) if same != c => None,
        _ => Some(Found { offset, before }),
    }
}

/// An escape that stands for no character.
struct Unknown;

/// What is written, as the characters that it stands for, each with the byte where it is.
fn characters(written: &str, style: Style) -> impl Iterator<Item = Result<(usize, char), Unknown>> {
    let mut at = 0;
    if style != Style::Raw {
        let quote = if style == Style::Double { '"' } else { '\'' };
        at = if written.starts_with(quote) { 1 } else { written.len() };
    }
    std::iter::from_fn(move || {
        let rest = written.get(at..)?;
        let c = rest.chars().next()?;
        let (length, meant) = match (style, c) {
            (Style::Double, '\\') => match escape(rest) {
                Some(escape) => escape,
                None => {
                    at = written.len();
                    return Some(Err(Unknown));
                }
            },
            (Style::Single, '\'') if rest.starts_with("''") => (2, '\''),
            (Style::Double, '"') | (Style::Single, '\'') => return None,
            (_, c) => (c.len_utf8(), c),
        };
        let start = at;
        at += length;
        Some(Ok((start, meant)))
    })
}

/// The length of an escape of double quotes, and what it stands for.
fn escape(rest: &str) -> Option<(usize, char)> {
    let mut chars = rest.chars().skip(1);
    let c = chars.next()?;
    let digits = match c {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        _ => {
            let meant = match c {
                '0' => '\0',
                'a' => '\u{7}',
                'b' => '\u{8}',
                't' | '\t' => '\t',
                'n' => '\n',
                'v' => '\u{b}',
                'f' => '\u{c}',
                'r' => '\r',
                'e' => '\u{1b}',
                'N' => '\u{85}',
                '_' => '\u{a0}',
                'L' => '\u{2028}',
                'P' => '\u{2029}',
                // A line goes on.
                ' ' | '\n' | '\r' => ' ',
                '"' | '/' | '\\' => c,
                _ => return None,
            };
            return Some((1 + c.len_utf8(), meant));
        }
    };
    let code = |at: usize| u32::from_str_radix(rest.get(at..at + digits)?, 16).ok();
    let first = code(2)?;
    match char::from_u32(first) {
        Some(meant) => Some((2 + digits, meant)),
        // JSON has two for a character beyond U+FFFF.
        None => {
            let second = rest.get(6..)?.strip_prefix("\\u").and_then(|_| code(8))?;
            let (high, low) = (first.checked_sub(0xd800)?, second.checked_sub(0xdc00)?);
            let meant = char::from_u32(0x10000 + high.checked_mul(0x400)?.checked_add(low)?)?;
            (high < 0x400 && low < 0x400).then_some((12, meant))
        }
    }
}
