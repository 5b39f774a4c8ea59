//! Typing accidents in names: what no name of the cloud holds, and how it mostly got there. Said
//! before any call, since the cloud would answer with a bare 400.

use crate::text::{is_invisible, quoted};

/// Placeholders that a template or a person should have replaced.
pub fn placeholder(text: &str) -> Option<&'static str> {
    let between = |open: &str, close: &str| {
        text.split_once(open).is_some_and(|(_, rest)| rest.contains(close))
    };
    if between("{{", "}}") {
        Some("holds {{ }}: a template that was not rendered")
    } else if between("${", "}") || between("$(", ")") {
        Some("holds a variable that nothing has replaced")
    } else if between("<", ">") {
        Some("holds <...>: a placeholder that is to be replaced")
    } else {
        None
    }
}

/// What is wrong with a text that may hold `allowed` alone, which are ASCII characters, and the rule.
pub fn in_name(text: &str, allowed: impl Fn(char) -> bool, rule: &str) -> Option<String> {
    if let Some(placeholder) = placeholder(text) {
        return Some(placeholder.to_owned());
    }
    let (at, c) = text.chars().enumerate().find(|(_, c)| !allowed(*c))?;
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
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_apart() {
        for (text, part) in [
            ("${DB_SECRET}", "a variable"),
            ("$(DB_SECRET)", "a variable"),
            ("{{ .Values.secret }}", "a template"),
            ("a-{{x}}", "a template"),
            ("<your-secret>", "a placeholder"),
        ] {
            assert!(placeholder(text).is_some_and(|told| told.contains(part)), "{text}");
        }
        for name in ["a/b", "a>b<c", "$a", "{a}", "a{{b", "YOUR_SECRET_NAME"] {
            assert_eq!(placeholder(name), None, "{name}");
        }
    }

    #[test]
    fn characters_that_names_do_not_have_are_named_with_their_place() {
        let told = |text: &str| in_name(text, |c| c.is_ascii_alphanumeric(), "rule");
        assert_eq!(told("plain1"), None);
        assert_eq!(told("${X}").as_deref(), Some("holds a variable that nothing has replaced"));
        for (text, part) in [
            ("“db”", "holds a typographic quote (write plain ones, or none), at character 1"),
            ("'db'", "holds a quote as part of the text, at character 1"),
            ("db\u{200b}", "holds an invisible character (U+200B), at character 3"),
            ("db\u{202e}x", "holds an invisible character (U+202E), at character 3"),
            ("d\tb", "holds a control character (U+0009), at character 2"),
            ("db ", "holds a blank at its start or end, at character 3"),
            ("d b", "holds a blank, at character 2"),
            ("d\u{a0}b", "holds a blank other than a space (U+00A0), at character 2"),
            ("dé", "holds \"é\", which it cannot, at character 2"),
            ("d#", "holds \"#\", which it cannot, at character 2"),
        ] {
            assert_eq!(told(text), Some(format!("{part}; rule")), "{text}");
        }
    }
}
