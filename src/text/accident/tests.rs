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
    let told = "holds a line break at its end: write it on the line of its field, with no | or >";
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
