use std::time::{Duration, Instant};

use json_event_parser::{JsonEvent, SliceJsonParser};
use proptest::prelude::*;
use rust_yaml::parser::{BasicParser, EventType, Parser as _};

use super::*;
use crate::document::jmespath::Expression;

fn search(path: &str, document: &[u8]) -> Result<String, String> {
    let document = Document::parse(document).map_err(|unread| unread.message)?;
    let end = Instant::now() + Duration::from_secs(60);
    let found = Expression::parse(path)?.search(&document, end)?;
    Ok(String::from_utf8(found.into_bytes()).unwrap())
}

fn wrong(document: &str) -> String {
    match Document::parse(document.as_bytes()) {
        Ok(read) => panic!("{document:?} is read as {:?}", events(read.root())),
        Err(unread) => unread.message,
    }
}

#[test]
fn what_to_do_depends_on_whether_there_is_a_document() {
    for (text, what, fix) in [
        ("hunter2", "it is a single text", "jmesPath needs a JSON or YAML secret"),
        ("{\"a\": hunter2 b: c}", "is not valid JSON", "correct the secret's value"),
        ("a: b\n\tc: hunter2\n", "is not a JSON or YAML document", "correct the secret's value"),
        (
            "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n",
            "is PEM",
            "remove jmesPath",
        ),
        ("-----BEGIN CERTIFICATE-----", "is PEM", "remove jmesPath"),
    ] {
        let error = Document::parse(text.as_bytes()).err().unwrap();
        assert!(error.message.contains(what) && error.hint == fix, "{error:?}");
        assert!(!error.message.contains("hunter2"), "{error:?}");
    }
}

#[test]
fn json_scalars_keep_their_text() {
    let document = r#"{"iccid": 89860012345678901234, "limit": 100.00, "rate": 0.10, "n": 1e5,
        "big": 1E+400, "zero": -0.0, "seed": 123456789012345678901234567890, "t": true,
        "cfg": {"z": 1.50, "seed": 123456789012345678901234567890, "a": [1.0, 2e0, {"b": "ü\n\""}]}}"#;
    for (path, expected) in [
        ("iccid", "89860012345678901234"),
        ("limit", "100.00"),
        ("rate", "0.10"),
        ("n", "1e5"),
        ("big", "1E+400"),
        ("zero", "-0.0"),
        ("seed", "123456789012345678901234567890"),
        ("t", "true"),
        ("cfg.a[2].b", "ü\n\""),
        ("cfg", r#"{"z":1.50,"seed":123456789012345678901234567890,"a":[1.0,2e0,{"b":"ü\n\""}]}"#),
        ("to_string(cfg.z)", "1.50"),
        ("[iccid, limit]", "[89860012345678901234,100.00]"),
    ] {
        assert_eq!(search(path, document.as_bytes()).as_deref(), Ok(expected), "{path}");
    }
}

#[test]
fn yaml_scalars_keep_their_text() {
    let document = "phone: +4915112345678\npin: 0e48213\nrelease: 1.10\nwifi: 20261130.\ndevice: \
                    0xdeadbeefcafe0001\nbuild: 7853e10\numask: 0o640\ninf: .inf\nhex: \
                    5631e17759586923\nday: 2026-11-30\nyes: yes\ntrue: True\nlist: [True, 0x10, \
                    1.10, ~]\nblock: |\n  a\n   b\nfolded: >-\n  a\n  b\nquoted: \"a\\tb\"\n";
    for (path, expected) in [
        ("phone", "+4915112345678"),
        ("pin", "0e48213"),
        ("release", "1.10"),
        ("wifi", "20261130."),
        ("device", "0xdeadbeefcafe0001"),
        ("build", "7853e10"),
        ("umask", "0o640"),
        ("inf", ".inf"),
        ("hex", "5631e17759586923"),
        ("day", "2026-11-30"),
        ("yes", "yes"),
        ("true", "True"),
        ("list", r#"[true,"0x10",1.10,null]"#),
        ("block", "a\n b\n"),
        ("folded", "a b"),
        ("quoted", "a\tb"),
    ] {
        assert_eq!(search(path, document.as_bytes()).as_deref(), Ok(expected), "{path}");
        // Line ends of Windows are line ends; a mark of the byte order is none of the text.
        let windows = format!("\u{feff}{}", document.replace('\n', "\r\n"));
        assert_eq!(search(path, windows.as_bytes()).as_deref(), Ok(expected), "{path}");
    }
    assert!(search("list[3]", document.as_bytes()).unwrap_err().contains("or null"));
}

#[test]
fn broken_json_is_not_read_as_yaml() {
    for (text, part, at) in [
        (
            "{\"user\": \"app\", \"key\": \"-----BEGIN\nhunter2\n-----END\"}",
            "a line break",
            "line 1",
        ),
        (
            "{user: app, key: \"-----BEGIN\nhunter2\"}",
            "a key without double quotes",
            "line 1, column 2",
        ),
        ("{user: app, key: hunter2\n hunter2}", "a key without double quotes", "line 1"),
        (
            "{\"user\": \"u\" \"password\": \"hunter2\"}",
            "a comma or a closing }",
            "line 1, column 14",
        ),
        ("{\"a\":1 \"hunter2\":2}", "a comma or a closing }", "line 1, column 8"),
        ("{\"a\":hunter2 b:2}", "has no double quotes", "line 1"),
        ("{\n  \"a\": 1,\n  \"a\": \"hunter2\"\n}", "the same key twice", "line 3"),
        ("{\"a\": \"hunter2", "a double quote is not closed", "line 1"),
        ("{\"a\": [\"hunter2\"}", "a comma or a closing ]", "line 1"),
        ("{\"a\": \"\\ud800\"}", "escape", "line 1"),
        ("{\"a\":\n \"hunter2\\q\"}", "escape", "line 2"),
        ("{\"hunter2\": 1} {\"b\": 2}", "text after its end", "line 1"),
        ("{\"a\":\"hunter2\\admin\"}", "a single \\ in a string", "line 1, column 15"),
        (
            "{\"n\": 01, \"a\": \"hunter2\\admin\"}",
            "single \\ in double quotes",
            "line 1, column 16",
        ),
        ("{n: 1, \"a\\x41\": hunter2}", "single \\ in double quotes", "line 1, column 8"),
        ("{\"a\": p@ss,hunter2}", "a key without a value", "line 1, column 12"),
        ("{a: b, password:hunter2}", "a key without a value", "line 1, column 8"),
        ("{\"a\": , \"hunter2\"}", "a key without a value", "line 1"),
        ("{\"a\": abc #hunter2\n}", "a mark that JSON does not have", "line 1, column 11"),
        (
            "{\n  a: b, # hunter2\n  \"c\": d\n}",
            "a mark that JSON does not have",
            "line 2, column 9",
        ),
        ("{\"a\": &abc hunter2}", "a mark that JSON does not have", "line 1, column 7"),
        ("{a: &abc b, c: *abc}", "a mark that JSON does not have", "line 1, column 5"),
        ("{\"a\": ! hunter2}", "a mark that JSON does not have", "line 1, column 7"),
        ("{\"a\": !!str hunter2}", "a mark that JSON does not have", "line 1, column 7"),
        ("{? a : hunter2}", "a mark that JSON does not have", "line 1, column 2"),
        ("{'a': 'hunter2\\nb'}", "a \\ outside double quotes", "line 1, column 7"),
        ("{\"a\": hunter2\\\\x}", "a \\ outside double quotes", "line 1, column 7"),
        ("{<<: {a: hunter2}}", "a merge key", "line 1, column 2"),
        ("[a: hunter2]", "a colon in a list", "line 1, column 2"),
        ("{\"a\": [true, hunter2,x, 1]}", "an item of a list", "line 1, column 14"),
        ("{a: b, note: it's hunter2}", "a quote in a value", "line 1, column 14"),
        ("{a: b, c: at 12:30}", "a colon in a value", "line 1, column 11"),
        ("[hunter2] [", "", "line 1"),
    ] {
        let error = wrong(text);
        assert!(error.starts_with("is not valid JSON: "), "{text}: {error}");
        assert!(error.contains(part) && error.contains(at), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    assert!(wrong(&deep).contains("deeply nested"), "{}", wrong(&deep));
}

#[test]
fn json_that_lost_its_first_bracket_is_refused() {
    for text in [
        "\"a\": hunter2}",
        "!!str \"a\": 1}",
        "- \"a\": [b]\n  c: hunter2]",
        "\"a\": hunter2,\n\"b\": 1",
    ] {
        let error = wrong(text);
        assert!(error.contains("its first bracket is missing (line "), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    for text in ["a: b}", "\"a\": [b]", "\"a\": {b: c}", "\"a\": 'b}'"] {
        search("@", text.as_bytes()).unwrap();
    }
}

#[test]
fn what_only_yaml_can_write_is_read_where_it_is_certain() {
    for (text, path, expected) in [
        ("{a: b, c: http://x/y}", "c", "http://x/y"),
        ("{'a': 'b'}", "a", "b"),
        ("{\"a\": 01,}", "a", "01"),
        ("[a, b c]", "[1]", "b c"),
        ("{\n  a: b,\n  \"c\": d\n}", "c", "d"),
        ("{a: b} # note\n---\n", "a", "b"),
        ("{'a': 'say \"b\"', c: [d,e f]}", "a", "say \"b\""),
        ("{a: \"b\\u0041\\n\\/\"}", "a", "bA\n/"),
        ("\"a\": it's\n\"c\": say \"hi\"\n", "a", "it's"),
        ("\"a\": at 12:30 today # note\n", "a", "at 12:30 today"),
        ("\"a\": one\n  two\n", "a", "one two"),
        ("\"a\": b\n\"c\": |\n  d\n  e\n", "c", "d\ne\n"),
        ("{\"a\": True}", "a", "True"),
        ("{\"a\": \"b\tc\"}", "a", "b\tc"),
    ] {
        assert_eq!(search(path, text.as_bytes()).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn bytes_that_are_no_text_are_named() {
    for (bytes, part) in [
        (&b"\xff\xfea\0:\0"[..], "is UTF-16"),
        (b"\xfe\xff\0a\0:", "is UTF-16"),
        (b"a: \xff\n", "byte 4 is not UTF-8"),
        (b"a: b\n\tc: d\n", "a tab"),
        (b"a: b\na: c\n", "the same key twice (line 2, column 1)"),
        (b"a: b\n---\nc: d\n", "more than one YAML document (line 3"),
    ] {
        let error = Document::parse(bytes).err().unwrap().message;
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(search("a", b"a: b\n---\n").as_deref(), Ok("b"));
    assert_eq!(search("a", b"x: &x {a: b}\n<<: *x\n").as_deref(), Ok("b"));
}

/// What a generated document holds.
#[derive(Clone, Debug)]
enum Tree {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    fn map(fields: Vec<(String, Tree)>) -> Self {
        let mut seen = std::collections::BTreeSet::new();
        Self::Map(fields.into_iter().filter(|(key, _)| seen.insert(key.clone())).collect())
    }

    /// With blanks, or without.
    fn json(&self, blank: &str) -> String {
        let list = |open, items: Vec<String>, close| {
            format!("{open}{blank}{}{close}", items.join(&format!(",{blank}")))
        };
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Number(text) => text.clone(),
            Self::Text(text) => quoted(text),
            Self::List(items) => {
                list('[', items.iter().map(|item| item.json(blank)).collect(), ']')
            }
            Self::Map(fields) => {
                let field = |(key, value): &(String, Tree)| {
                    format!("{}:{blank}{}", quoted(key), value.json(blank))
                };
                list('{', fields.iter().map(field).collect(), '}')
            }
        }
    }

    /// Every scalar's path and text; null has none.
    fn scalars(&self, path: &str, found: &mut Vec<(String, Option<String>)>) {
        match self {
            Self::Null => found.push((path.to_owned(), None)),
            Self::Bool(value) => found.push((path.to_owned(), Some(value.to_string()))),
            Self::Number(text) | Self::Text(text) => {
                found.push((path.to_owned(), Some(text.clone())))
            }
            Self::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.scalars(&format!("{path}[{index}]"), found);
                }
            }
            Self::Map(fields) => {
                for (key, value) in fields {
                    value.scalars(&format!("{path}.{}", quoted(key)), found);
                }
            }
        }
    }
}

/// A document as it is written, and where each scalar of it is.
#[derive(Default)]
struct Written {
    text: String,
    /// With its path and value.
    scalars: Vec<(std::ops::Range<usize>, String, String)>,
}

impl Written {
    fn add(&mut self, tree: &Tree, path: &str, blank: &str) {
        let start = self.text.len();
        match tree {
            Tree::List(items) => {
                self.text.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.text.push_str(if index > 0 { "," } else { "" });
                    self.text.push_str(blank);
                    self.add(item, &format!("{path}[{index}]"), blank);
                }
                self.text.push(']');
            }
            Tree::Map(fields) => {
                self.text.push('{');
                for (index, (key, value)) in fields.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    self.text.push_str(&format!("{comma}{blank}{}:{blank}", quoted(key)));
                    self.add(value, &format!("{path}.{}", quoted(key)), blank);
                }
                self.text.push('}');
            }
            scalar => {
                self.text.push_str(&scalar.json(""));
                let mut found = Vec::new();
                scalar.scalars(path, &mut found);
                let (path, value) = found.remove(0);
                let value = value.unwrap_or_default();
                self.scalars.push((start..self.text.len(), path, value));
            }
        }
    }
}

/// What a person or a tool does to a document, with the bytes that it goes over.
#[derive(Clone, Debug)]
enum Edit {
    Delete,
    Insert(&'static str),
    Replace(&'static str),
    /// Of one string.
    Unquote,
}

fn edit() -> impl Strategy<Value = Edit> {
    let text = prop::sample::select(vec![
        ",", ":", "{", "}", "[", "]", "\"", "'", "#", "\\", " ", "\n", "\t", "&", "*", "!", "|",
        ">", "?", "-", "%", "@", "`", "<<", " #c\n", "//c\n", ": ", ", ", "a", "0", "null",
        "\u{a0}", "\u{feff}", "\u{85}", "\u{2028}", "---", "\n---\n", "&a ", "*a", "!!str ", "? ",
        "- ",
    ]);
    prop_oneof![
        2 => Just(Edit::Delete),
        3 => text.clone().prop_map(Edit::Insert),
        2 => text.prop_map(Edit::Replace),
        2 => Just(Edit::Unquote),
    ]
}

impl Edit {
    /// The edited text, and which of its scalars are as they were.
    fn apply<'a>(
        &self,
        to: &'a Written,
        at: prop::sample::Index,
    ) -> (String, Vec<(&'a str, &'a str)>) {
        let mut text = to.text.clone();
        let starts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let start = starts[at.index(starts.len())];
        let end = start + text.get(start..).unwrap().chars().next().unwrap().len_utf8();
        let range = match self {
            Self::Insert(more) => {
                text.insert_str(start, more);
                start..start
            }
            Self::Delete => {
                text.replace_range(start..end, "");
                start..end
            }
            Self::Replace(more) => {
                text.replace_range(start..end, more);
                start..end
            }
            Self::Unquote => {
                let strings = to.scalars.iter().map(|(range, ..)| range.clone());
                let strings: Vec<_> = strings
                    .filter(|range| text.get(range.clone()).unwrap().starts_with('"'))
                    .collect();
                if strings.is_empty() {
                    return (text, Vec::new());
                }
                let range = strings[at.index(strings.len())].clone();
                text.remove(range.end - 1);
                text.remove(range.start);
                range
            }
        };
        // A blank next to it is no boundary.
        let before = to.text.get(..range.start).unwrap().trim_end().len();
        let after = to.text.len() - to.text.get(range.end..).unwrap().trim_start().len();
        let range = before..after;
        let untouched = to
            .scalars
            .iter()
            .filter(|(scalar, ..)| range.start > scalar.end || range.end < scalar.start);
        (text, untouched.map(|(_, path, value)| (&**path, &**value)).collect())
    }
}

/// With what YAML has for signs in its strings.
fn document_to_break() -> impl Strategy<Value = Tree> {
    let text = prop::sample::select(vec![
        "p@ss,w0rd",
        "abc",
        "CORP\\admin",
        "a b: c",
        "x#y",
        "x #y",
        "it's",
        "1.10",
        "{x}",
        "[y]",
        "&amp z",
        "*star",
        "!bang",
        "%p",
        "true",
        "null",
        "q\"q",
        "a:b",
        "http://h/p?a=b#f",
        "tab\tx",
        "nl\nx",
        "é",
        "- x",
        "? y",
        "|x",
        ">x",
        "@a",
        "`b",
        "~",
        "",
        "y', c: d",
        ", b: c",
        "a\\nb",
    ]);
    let scalar = prop_oneof![
        1 => Just(Tree::Null),
        2 => any::<bool>().prop_map(Tree::Bool),
        3 => number().prop_map(Tree::Number),
        6 => text.prop_map(|text| Tree::Text(text.to_owned())),
    ];
    let nested = scalar.prop_recursive(2, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
            prop::collection::vec(("[abc'#:, ]{1,3}", inner), 0..4).prop_map(Tree::map),
        ]
    });
    prop::collection::vec(("[abc'#:, ]{1,3}", nested), 1..5).prop_map(Tree::map)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,5})?"
}

fn tree() -> impl Strategy<Value = Tree> {
    let scalar = prop_oneof![
        1 => Just(Tree::Null),
        1 => any::<bool>().prop_map(Tree::Bool),
        4 => number().prop_map(Tree::Number),
        4 => "\\PC{0,20}".prop_map(Tree::Text),
        1 => ".{0,5}".prop_map(Tree::Text),
    ];
    let nested = scalar.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
            prop::collection::vec((".{0,4}", inner), 0..4).prop_map(Tree::map),
        ]
    });
    prop::collection::vec((".{0,4}", nested), 0..5).prop_map(Tree::map)
}

/// A scalar of YAML as it is written, its text, and whether it is plain.
fn scalar() -> impl Strategy<Value = (String, String)> {
    let plain = prop_oneof![
        "[A-Za-z0-9+./_=-][A-Za-z0-9 +.:/_=@%,#'\"!&*?|>~^$(){}\\[\\]-]{0,14}",
        "[+-]?[0-9][0-9_.eExob+-]{0,24}",
        "(0x[0-9a-f]{1,16}|0o?[0-7]{1,6}|[0-9]{1,25}|\\.inf|\\.nan|yes|no|on|[0-9]{2}:[0-9]{2})",
    ];
    let plain =
        plain.prop_filter("plain", |text| is_plain(text)).prop_map(|text| (text.clone(), text));
    let single =
        "[ -~é€😀]{0,16}".prop_map(|text| (format!("'{}'", text.replace('\'', "''")), text));
    let double = "[ -~\n\té€😀]{0,16}".prop_map(|text| (quoted(&text), text));
    let literal = prop::collection::vec("[!-~é][ -~é]{0,10}", 1..4).prop_map(|lines| {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        (format!("|\n  {}", lines.join("\n  ")) + "\n", text)
    });
    prop_oneof![4 => plain, 1 => single, 1 => double, 1 => literal]
}

/// As a value of a block mapping, and neither null nor a boolean.
fn is_plain(text: &str) -> bool {
    let odd = [
        "-", "---", "...", "<<", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False",
        "FALSE",
    ];
    !odd.contains(&text)
        && text.trim() == text
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with(':')
        && !text.starts_with("- ")
        && !text.starts_with("--- ")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn every_scalar_of_a_json_document_is_its_text(tree in tree(), blank in "[ \n\r\t]{0,2}") {
        let document = tree.json(&blank);
        let mut scalars = Vec::new();
        tree.scalars("@", &mut scalars);
        for (path, text) in scalars {
            match text {
                Some(text) => prop_assert_eq!(search(&path, document.as_bytes()), Ok(text)),
                None => prop_assert!(search(&path, document.as_bytes()).is_err()),
            }
        }
        prop_assert_eq!(search("@", document.as_bytes()), Ok(tree.json("")));
    }

    #[test]
    fn broken_json_is_refused_or_all_else_is_as_it_was(
        tree in document_to_break(),
        blank in "( |\n  )?",
        edits in prop::collection::vec((edit(), any::<prop::sample::Index>()), 24),
    ) {
        let mut written = Written::default();
        written.add(&tree, "@", &blank);
        for (edit, at) in edits {
            let (broken, untouched) = edit.apply(&written, at);
            if json::parse(&broken).is_ok() {
                continue;
            }
            for (path, value) in untouched {
                if let Ok(found) = search(path, broken.as_bytes()) {
                    prop_assert_eq!(found, value, "{} of {:?}, was {:?}", path, broken, &written.text);
                }
            }
        }
    }

    /// As Python prints a document, or with half of its backslashes.
    #[test]
    fn documents_in_single_quotes_or_without_escapes_are_refused_or_unchanged(
        tree in document_to_break(),
        blank in "( |\n  )?",
    ) {
        let mut written = Written::default();
        written.add(&tree, "@", &blank);
        for broken in [written.text.replace('"', "'"), written.text.replace("\\\\", "\\")] {
            if json::parse(&broken).is_ok() {
                continue;
            }
            for (_, path, value) in &written.scalars {
                if let Ok(found) = search(path, broken.as_bytes()) {
                    prop_assert_eq!(&found, value, "{} of {:?}", path, broken);
                }
            }
        }
    }

    #[test]
    fn two_other_readers_of_json_find_the_same(tree in tree(), blank in "[ \n\r\t]{0,2}") {
        let document = tree.json(&blank);
        let Value::Map(_) = &**Document::parse(document.as_bytes()).unwrap().root() else {
            panic!("{document}");
        };
        let ours = events(Document::parse(document.as_bytes()).unwrap().root());
        let mut reader = SliceJsonParser::new(document.as_bytes());
        let mut theirs = Vec::new();
        loop {
            theirs.push(match reader.parse_next().unwrap() {
                JsonEvent::Eof => break,
                JsonEvent::String(text) => format!("text {text}"),
                JsonEvent::Number(text) => format!("number {text}"),
                JsonEvent::Boolean(value) => format!("bool {value}"),
                JsonEvent::Null => "null".to_owned(),
                JsonEvent::ObjectKey(key) => format!("key {key}"),
                JsonEvent::StartArray => "[".to_owned(),
                JsonEvent::EndArray => "]".to_owned(),
                JsonEvent::StartObject => "{".to_owned(),
                JsonEvent::EndObject => "}".to_owned(),
            });
        }
        prop_assert_eq!(ours, theirs);
        let tiny: tinyjson::JsonValue = document.parse().unwrap();
        prop_assert!(same(Document::parse(document.as_bytes()).unwrap().root(), &tiny));
    }

    #[test]
    fn every_scalar_of_a_yaml_document_is_its_text(scalars in prop::collection::vec(scalar(), 1..8)) {
        let document: String = scalars
            .iter()
            .enumerate()
            .map(|(index, (written, _))| format!("k{index}: {}\n", written.trim_end_matches('\n')))
            .collect();
        for (index, (_, text)) in scalars.iter().enumerate() {
            let found = search(&format!("k{index}"), document.as_bytes());
            prop_assert_eq!(found.as_ref(), Ok(text), "{}", document);
        }
    }

    #[test]
    fn two_other_readers_of_yaml_find_the_same(scalars in prop::collection::vec(scalar(), 1..8)) {
        let document: String = scalars
            .iter()
            .enumerate()
            .map(|(index, (written, _))| format!("k{index}: {}\n", written.trim_end_matches('\n')))
            .collect();
        let ours: Vec<String> = scalars.into_iter().map(|(_, text)| text).collect();
        let libyaml: indexmap::IndexMap<String, String> = serde_yaml_ng::from_str(&document).unwrap();
        prop_assert_eq!(&ours, &libyaml.into_values().collect::<Vec<_>>(), "{}", &document);
        let mut parser = BasicParser::new_eager(document.clone());
        let mut theirs = Vec::new();
        while let Some(event) = parser.get_event().unwrap() {
            if let EventType::Scalar { value, .. } = event.event_type {
                theirs.push(value);
            }
        }
        let values: Vec<String> = theirs.into_iter().skip(1).step_by(2).collect();
        prop_assert_eq!(&ours, &values, "{}", &document);
    }
}

fn events(value: &Value) -> Vec<String> {
    match value {
        Value::Null => vec!["null".to_owned()],
        Value::Bool(value, _) => vec![format!("bool {value}")],
        Value::Number(text) => vec![format!("number {text}")],
        Value::Text(text) => vec![format!("text {text}")],
        Value::List(items) => {
            let inner = items.iter().flat_map(|item| events(item));
            ["[".to_owned()].into_iter().chain(inner).chain(["]".to_owned()]).collect()
        }
        Value::Map(fields) => {
            let inner = fields.iter().flat_map(|(key, value)| {
                [format!("key {key}")].into_iter().chain(events(value)).collect::<Vec<_>>()
            });
            ["{".to_owned()].into_iter().chain(inner).chain(["}".to_owned()]).collect()
        }
    }
}

fn same(ours: &Value, theirs: &tinyjson::JsonValue) -> bool {
    use tinyjson::JsonValue as Tiny;
    match (ours, theirs) {
        (Value::Null, Tiny::Null) => true,
        (Value::Bool(a, _), Tiny::Boolean(b)) => a == b,
        (Value::Number(a), Tiny::Number(b)) => a.parse::<f64>().unwrap() == *b,
        (Value::Text(a), Tiny::String(b)) => **a == **b,
        (Value::List(a), Tiny::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), Tiny::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(&**key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}
