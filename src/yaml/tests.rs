use super::{compose::Budget, *};

fn node(text: &str) -> Node {
    Node::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

fn wrong(text: &str) -> String {
    match Node::parse(text) {
        Ok(node) => panic!("{text:?} is read as {node:?}"),
        Err(error) => error.to_string(),
    }
}

/// The text of `a`.
fn of_a(text: &str) -> Option<String> {
    node(text).get("a").unwrap().text().map(str::to_owned)
}

#[test]
fn plain_scalars_keep_their_text() {
    for text in [
        "+4915112345678",
        "0e48213",
        "1.10",
        "20261130.",
        "0xdeadbeefcafe0001",
        "7853e10",
        "0o640",
        ".inf",
        ".nan",
        "5631e17759586923",
        "89860012345678901234",
        "0400",
        "1_000",
        "yes",
        "on",
        "2026-11-30",
        "12:30:45",
        "-.5",
        "True",
        "0.10",
        "-0",
        "!",
        "a b  c",
        "=",
        "a#b",
        "http://x",
    ] {
        let found = node(&format!("a: {text}\n"));
        let scalar = found.get("a").unwrap().scalar();
        if text == "!" {
            // A tag, and nothing after it.
            assert_eq!(scalar.map(|scalar| &*scalar.text), Some(""), "{text}");
            continue;
        }
        let expected = Scalar { text: text.into(), plain: true };
        assert_eq!(scalar, Some(&expected), "{text}");
        assert_eq!(scalar.map(|scalar| &*scalar.text), Some(text));
        assert_eq!(node(&format!("{text}: a")).get(text).and_then(Node::text), Some("a"), "{text}");
    }
}

#[test]
fn quoted_and_block_scalars_are_texts() {
    for (document, text) in [
        ("a: 'it''s'", "it's"),
        ("a: \"1\\n\\x41\\u00e9\\ud83d\\ude00\"", "1\nAé😀"),
        ("a: 'null'", "null"),
        ("a: ''", ""),
        ("a: |\n  x\n   y\n", "x\n y\n"),
        ("a: |\n  x", "x"),
        ("a: |-\n  x\n\n", "x"),
        ("a: |+\n  x\n\n", "x\n\n"),
        ("a: >\n  x\n  y\n", "x y\n"),
        ("a: !!str null", "null"),
        ("a: ! 5", "5"),
        ("a: !!str", ""),
    ] {
        let found = node(document);
        let scalar = found.get("a").unwrap().scalar().unwrap();
        assert_eq!((&*scalar.text, scalar.plain), (text, false), "{document}");
        assert!(!scalar.is_null());
    }
    assert_eq!(of_a("a: !!int 010").as_deref(), Some("010"));
}

#[test]
fn null_and_booleans_are_plain() {
    for text in ["", "~", "null", "Null", "NULL"] {
        assert!(node(&format!("a: {text}")).get("a").unwrap().is_null(), "{text}");
    }
    assert!(node("").is_null() && node("# nothing\n").is_null() && node("---\n...\n").is_null());
    for (text, expected) in [
        ("true", Some(true)),
        ("True", Some(true)),
        ("FALSE", Some(false)),
        ("yes", None),
        ("'true'", None),
        ("1", None),
    ] {
        assert_eq!(node(&format!("a: {text}")).get("a").unwrap().as_bool(), expected, "{text}");
    }
}

#[test]
fn nodes_keep_their_order_and_place() {
    let text = "b: 1\na:\n  - x\n  - {c: ü, d: y}\n";
    let found = node(text);
    let keys: Vec<&str> = found.entries().unwrap().iter().map(|entry| &*entry.key).collect();
    assert_eq!(keys, ["b", "a"]);
    let at = |line, column| Position { line, column };
    assert_eq!(found.entries().unwrap()[1].at, at(2, 1));
    let items = found.get("a").unwrap().items().unwrap();
    assert_eq!((items[0].at, items[1].at), (at(3, 5), at(4, 5)));
    assert_eq!(items[1].get("d").unwrap().at, at(4, 15));
    let shown = format!("{:?}", node("hunter2: {b: ü}"));
    assert!(!shown.contains('ü') && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn merge_keys_give_what_is_not_there_yet() {
    let document = "x: &x {p: 1, q: 2}\ny: &y {q: 3, r: 4}\n";
    let merged = |fields: &str| -> String {
        let found = node(&format!("{document}a: {fields}"));
        let entries = found.get("a").unwrap().entries().unwrap().iter();
        entries.map(|entry| format!("{}={} ", entry.key, entry.value.text().unwrap())).collect()
    };
    assert_eq!(merged("{<<: *x, s: 5}"), "p=1 q=2 s=5 ");
    assert_eq!(merged("{q: 0, <<: *x}"), "q=0 p=1 ");
    assert_eq!(merged("{<<: *x, q: 0}"), "p=1 q=0 ");
    assert_eq!(merged("{<<: [*x, *y]}"), "p=1 q=2 r=4 ");
    assert_eq!(merged("{<<: [*y, *x]}"), "q=3 r=4 p=1 ");
    assert_eq!(merged("{'<<': x}"), "<<=x ");
    for (text, part) in [
        ("a: {<<: x}", "merge key"),
        ("a: {<<: [{b: c}, x]}", "merge key"),
        ("a: {<<: {b: c}, <<: {d: e}}", "twice"),
    ] {
        assert!(wrong(text).contains(part), "{text}");
    }
}

#[test]
fn documents_that_hold_nothing_may_follow() {
    for text in [
        "a: b\n---\n",
        "a: b\n---",
        "a: b\n...\n",
        "---\na: b\n...\n---\n# end\n",
        "---\n---\na: b",
    ] {
        assert_eq!(of_a(text).as_deref(), Some("b"), "{text:?}");
    }
    assert_eq!(wrong("a: b\n---\nc: d"), "more than one YAML document (line 3, column 1)");
    assert!(wrong("a: b\n---\n~").starts_with("more than one"));
}

#[test]
fn errors_say_why_and_where_and_never_what() {
    for (text, part, at) in [
        ("a: hunter2\nb: 1\na: hunter2", "the same key twice", "line 3, column 1"),
        ("{a: 1, \"a\": hunter2}", "the same key twice", "line 1, column 8"),
        ("a: [hunter2", "is not closed", "line 1, column 4"),
        ("a: {hunter2: 1", "is not closed", "line 1, column 4"),
        ("a: 'hunter2\n", "quote is not closed", "line 1, column 4"),
        ("a: \"hunter2\nb: 1\n", "quote is not closed", "line 1, column 4"),
        ("a: \"hunter2\\q\"", "escape", "line 1"),
        ("db:\n\tuser: hunter2\n", "a tab", "line 2"),
        ("a:\n  b: 1\n\tc: hunter2\n", "a tab", "line 3"),
        ("a: hunter2\n---\nb: hunter2", "more than one", "line 3"),
        ("a: 1\npassword: %hunter2", "% @ or `", "line 2, column 11"),
        ("password: @hunter2", "% @ or `", "line 1, column 11"),
        ("a: \u{1b}hunter2", "a control character (U+001B)", "line 1"),
        ("a: \u{7f}hunter2", "a control character", "line 1"),
        ("a: \0hunter2", "a control character", "line 1"),
        ("password: `hunter2", "% @ or `", "line 1, column 11"),
        ("password: *hunter2", "alias", "line 1, column 11"),
        ("password: !hunter2 x", "tag", "line 1, column 11"),
        ("a: !!binary aHVudGVyMg==", "tag", "line 1, column 4"),
        ("a: !!null hunter2", "tag", "line 1, column 4"),
        ("a: !!set {hunter2: }", "tag", "line 1, column 4"),
        ("a: {{ .Values.hunter2 }}", "unrendered template", "line 1, column 4"),
        (
            "- a: b\n{{- if .hunter2 }}\n- c: d\n{{- end }}",
            "unrendered template",
            "line 2, column 1",
        ),
        ("a: hunter2: b", "\": \"", "line 1"),
        ("a: 'hunter2' b", "after a closing quote", "line 1"),
        ("a: b\n  c: hunter2", "indentation", "line 2"),
        ("a:\n    b: 1\n  c: hunter2", "indentation", "line 3"),
        ("- a\nhunter2: b", "", "line 2"),
        ("? [hunter2]\n: x", "a list or a mapping", "line 1"),
        ("a: &a [*a]", "alias", "line 1, column 8"),
        ("a: | hunter2\n", "| or >", "line 1"),
        ("a: [hunter2}", "", "line 1"),
        ("a: hunter2]\nb: [x]]\n", "", "line 2"),
    ] {
        let error = wrong(text);
        assert!(error.contains(part) && error.contains(at), "{text:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn bombs_are_refused() {
    let laughs = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        let aliases = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} [{aliases}]\n")
    });
    let merges = (1..9).fold("a0: &a0 {x: 1}\n".to_owned(), |text, n| {
        let aliases = vec![format!("*a{}", n - 1); 9].join(",");
        format!("{text}a{n}: &a{n} {{b: [{aliases}], <<: [{aliases}]}}\n")
    });
    let long = format!(
        "a: &a {}\n{}",
        "x".repeat(10_000),
        "- *a\n".repeat(0) + &(0..200).map(|n| format!("b{n}: *a\n")).collect::<String>()
    );
    let stairs = (1..40)
        .fold("a0: &a0 [x]\n".to_owned(), |text, n| format!("{text}a{n}: &a{n} [*a{}]\n", n - 1));
    let deep = format!("{}x", "- ".repeat(Budget::DOCUMENT.depth + 1));
    let flow = format!("{}x", "[".repeat(2_000));
    let wide = "- x\n".repeat(Budget::DOCUMENT.nodes + 1);
    let large = "x".repeat((1 << 20) + 1);
    for bomb in [laughs, merges, long, stairs, deep, flow, wide, large] {
        let error = wrong(&bomb);
        assert!(error.starts_with("too large"), "{error}");
    }
    node(&format!("{}x", "- ".repeat(Budget::DOCUMENT.depth)));
    node(&"- x\n".repeat(Budget::DOCUMENT.nodes - 1));
}

/// What folding makes of a key is no key.
#[test]
fn folded_pem_is_refused() {
    let pem = "-----BEGIN PRIVATE KEY-----\n  MIIhunter2\n  -----END PRIVATE KEY-----";
    for (document, line) in [
        (format!("a: {pem}\n"), "line 1"),
        (format!("b: c\na: \"{pem}\"\n"), "line 2"),
        (format!("a: '{pem}'\n"), "line 1"),
        (format!("a: >\n  {pem}\n"), "line 2"),
    ] {
        let error = wrong(&document);
        assert!(error.contains("a block with |") && error.contains(line), "{document}: {error}");
        assert!(!error.contains("hunter2"));
    }
    let block = of_a(&format!("a: |\n  {pem}\n"));
    assert_eq!(block, Some(format!("{}\n", pem.replace("  ", ""))));
    assert!(of_a("a: -----BEGIN KEY----- x").is_some());
    assert!(of_a("a: \"-----BEGIN KEY-----\\nx\\n\"").is_some());
}

#[test]
fn template_is_found_on_the_line_that_a_carriage_return_begins() {
    let error = wrong("a: 1\rb: 2\r\nc: x{{ .y }}: z: {{ .w }}\n");
    assert_eq!(error, "not valid YAML: an unrendered template ({{ }}) (line 3, column 5)");
}
