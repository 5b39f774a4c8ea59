//! Foreign text: what pod authors, the driver or the cloud wrote, made fit for messages, logs and the
//! audit record. Characters that hide, reorder or end what stands around them are escaped.

pub mod accident;

use std::borrow::Cow;

/// The text with escapes such as `\u{202e}` in place of characters that are not seen as themselves:
/// control, bidirectional and zero-width characters, separators, unassigned and private code points,
/// and combining marks beyond two in a row.
pub fn shown(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(text);
    }
    let mut marks = MOST_MARKS;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push(&mut out, c, &mut marks);
    }
    Cow::Owned(out)
}

/// A name as its author wrote it, short, on one line and in quotes.
pub fn quoted(name: &str) -> String {
    const LONGEST: usize = 80;
    let mut marks = MOST_MARKS;
    let mut out = "\"".to_owned();
    for c in name.chars() {
        let before = out.len();
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c => push(&mut out, c, &mut marks),
        }
        if out.len() > LONGEST {
            out.truncate(before);
            out.push_str("...");
            break;
        }
    }
    out.push('"');
    out
}

/// An identifier that came from outside, such as a cloud's error code: only what such a thing can
/// look like gets through, so that nothing can be smuggled into an error by way of it.
pub fn identifier(text: &str) -> Option<&str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '*');
    (!text.is_empty() && text.len() <= 64 && text.chars().all(plain)).then_some(text)
}

/// A character that cannot be seen where it stands, or that changes how others are: control
/// characters, line separators, and what Unicode calls default ignorable (bidirectional controls,
/// zero-width characters, soft hyphens, variation selectors, tags, fillers).
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// A character that no standard gives a form: for private use, or none at all.
pub fn is_private_use(c: char) -> bool {
    let plane_end = u32::from(c) & 0xfffe == 0xfffe;
    plane_end || matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fdd0}'..='\u{fdef}' | '\u{f0000}'..)
}

/// The start of a text, not longer than so many bytes.
pub fn cut(text: &str, longest: usize) -> &str {
    let end = (0..=longest.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Combining marks on one character: enough for any language's names. At the start of a text they
/// would change what stands before it.
const MOST_MARKS: u32 = 2;

/// `marks` counts the combining marks before it.
fn push(out: &mut String, c: char, marks: &mut u32) {
    *marks = if is_mark(c) { *marks + 1 } else { 0 };
    if is_plain(c) && *marks <= MOST_MARKS {
        out.push(c);
    } else {
        out.extend(c.escape_default());
    }
}

/// The standard library escapes what it knows not to be printable: of the general categories C and Z
/// all but the space.
fn is_plain(c: char) -> bool {
    match c {
        ' '..='~' => true,
        // As in the middle of a text, where combining marks are left as they are.
        c => !is_invisible(c) && String::from_iter(['x', c]).escape_debug().eq(['x', c]),
    }
}

fn is_mark(c: char) -> bool {
    !c.is_ascii() && c.escape_debug().len() > 1 && is_plain(c)
}

#[cfg(test)]
mod tests;
