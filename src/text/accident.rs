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
        for (text, part) in
            [("$DB_SECRET", "a variable"), ("#{db}#", "a placeholder"), ("[[ .db ]]", "a template")]
        {
            assert!(in_word(text).is_some_and(|told| told.contains(part)), "{text}");
            assert_eq!(in_text(text), None, "{text}");
            // Where they are allowed, they are part of the name.
            assert_eq!(in_name(text, |c| c == ' ' || c.is_ascii_graphic(), "rule"), None);
            let name = in_name(text, |c| c.is_ascii_alphanumeric(), "rule");
            assert!(name.is_some_and(|told| told.contains(part)), "{text}");
        }
        for word in ["$", "$1a", "a$B", "[a]", "#a", "{a}"] {
            assert_eq!(in_word(word), None, "{word}");
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
            ("d\nb", "holds a control character (U+000A), at character 2"),
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

    #[test]
    fn line_break_at_the_end_names_the_block() {
        let told =
            "holds a line break at its end: write it on the line of its field, with no | or >";
        assert_eq!(in_text("db\n"), Some(told));
        assert_eq!(in_name("db\n", |c| c.is_ascii_alphanumeric(), "rule").as_deref(), Some(told));
        assert_eq!(in_text("a\nb"), None);
        assert_eq!(in_text(" db "), None);
        assert_eq!(in_word("pod "), Some("holds a blank at its start or end"));
        assert_eq!(in_word("pod\t"), Some("holds a blank at its start or end"));
    }

    #[test]
    fn values_that_go_printed_are_no_list() {
        for text in ["map[objectName:a]", "[map[objectName:a objectAlias:b]]", " [map[a:b]]"] {
            assert!(is_go_value(text), "{text}");
        }
        for text in ["[{objectName: a}]", "- map[a]", "mapped", "map", ""] {
            assert!(!is_go_value(text), "{text}");
        }
    }
}
