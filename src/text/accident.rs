//! Typing accidents in names: what no name of the cloud holds, and how it mostly got there. Said
//! before any call, since the cloud would answer with a bare 400.

use crate::text::{is_invisible, quoted};

/// Placeholders that a template or a person should have replaced.
pub fn placeholder(text: &str) -> Option<&'static str> {
    if between(text, "{{", "}}") {
        Some("holds {{ }}: a template that was not rendered")
    } else if between(text, "${", "}") || between(text, "$(", ")") {
        Some("holds a variable that nothing has replaced")
    } else if between(text, "<", ">") {
        Some("holds <...>: a placeholder that is to be replaced")
    } else {
        None
    }
}

/// What happened to a text that may hold any character but a line break, such as a file's name.
pub fn in_text(text: &str) -> Option<&'static str> {
    let line_break = || {
        text.ends_with('\n').then_some(
            "holds a line break at its end: write it on the line of its field, with no | or >",
        )
    };
    placeholder(text).or_else(line_break)
}

/// What happened to a text that has no blanks and no signs, such as a host or a number with its unit.
pub fn in_word(text: &str) -> Option<&'static str> {
    let blank = || (text.trim() != text).then_some("holds a blank at its start or end");
    in_text(text).or_else(|| unusual_placeholder(text)).or_else(blank)
}

/// Placeholders in signs that a file's name or a version could have too.
fn unusual_placeholder(text: &str) -> Option<&'static str> {
    let is_variable = |name: &str| {
        let plain = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
        !name.is_empty() && name.bytes().all(plain)
    };
    if text.strip_prefix('$').is_some_and(is_variable) {
        Some("holds a variable that nothing has replaced")
    } else if between(text, "[[", "]]") {
        Some("holds [[ ]]: a template that was not rendered")
    } else if between(text, "#{", "}") {
        Some("holds #{}: a placeholder that is to be replaced")
    } else {
        None
    }
}

/// Whether a template wrote a value of Go's as Go prints it.
pub fn is_go_value(text: &str) -> bool {
    let text = text.trim_start();
    ["map[", "[map["].iter().any(|go| text.starts_with(go))
}

fn between(text: &str, open: &str, close: &str) -> bool {
    text.split_once(open).is_some_and(|(_, rest)| rest.contains(close))
}

/// What is wrong with a text that may hold `allowed` alone, which are ASCII characters, and the rule.
pub fn in_name(text: &str, allowed: impl Fn(char) -> bool, rule: &str) -> Option<String> {
    if let Some(accident) = in_text(text) {
        return Some(accident.to_owned());
    }
    let (at, c) = text.chars().enumerate().find(|(_, c)| !allowed(*c))?;
    if let Some(placeholder) = unusual_placeholder(text) {
        return Some(placeholder.to_owned());
    }
    let at = at + 1;
    let what = match c {
        '\u{2018}'..='\u{201f}' | '«' | '»' | '＂' | '＇' => {
            "a typographic quote (write plain ones, or none)".to_owned()
        }
        '"' | '\'' | '`' => "a quote as part of the text".to_owned(),
        c if c.is_control() => format!("a control character (U+{:04X})", u32::from(c)),
        c if is_invisible(c) => format!("an invisible character (U+{:04X})", u32::from(c)),
        ' ' if text.trim() != text => "a blank at its start or end".to_owned(),
        ' ' => "a blank".to_owned(),
        c if c.is_whitespace() => format!("a blank other than a space (U+{:04X})", u32::from(c)),
        c => format!("{}, which it cannot", quoted(c.encode_utf8(&mut [0; 4]))),
    };
    Some(format!("holds {what}, at character {at}; {rule}"))
}

#[cfg(test)]
mod tests;
