//! Write: a manifest as YAML that every reader understands alike.

use crate::{
    text::{is_invisible, is_private_use},
    yaml::{Node, Value},
};

/// What is written, in its order.
#[derive(Clone)]
pub(super) enum Tree {
    Text(String),
    /// As it stands, without quotes.
    Raw(String),
    /// A text of several lines.
    Block(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    pub(super) fn map<const N: usize>(entries: [(&str, Tree); N]) -> Self {
        Tree::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    pub(super) fn texts(pairs: &[(String, String)]) -> Self {
        let text = |(key, value): &(String, String)| (key.clone(), Tree::Text(value.clone()));
        Tree::Map(pairs.iter().map(text).collect())
    }

    /// As it was written: what has no quotes gets none.
    pub(super) fn of(node: &Node) -> Self {
        match &node.value {
            Value::Scalar(scalar) if scalar.plain && is_raw(&scalar.text) => {
                Tree::Raw(scalar.text.to_string())
            }
            Value::Scalar(scalar) if scalar.is_null() => Tree::Raw("null".to_owned()),
            Value::Scalar(scalar) => Tree::Text(scalar.text.to_string()),
            Value::Sequence(items) => Tree::List(items.iter().map(Tree::of).collect()),
            Value::Mapping(entries) => {
                let entry =
                    |entry: &crate::yaml::Entry| (entry.key.to_string(), Tree::of(&entry.value));
                Tree::Map(entries.iter().map(entry).collect())
            }
        }
    }

    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    /// From where a value starts on its own line.
    fn write(&self, out: &mut String, indent: usize) {
        let pad = " ".repeat(indent);
        match self {
            Tree::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    out.push_str(&pad);
                    out.push_str(&scalar(key));
                    out.push(':');
                    value.after(out, indent, indent + 2);
                }
            }
            Tree::List(items) if !items.is_empty() => {
                for item in items {
                    let mut inner = String::new();
                    item.write(&mut inner, indent + 2);
                    out.push_str(&pad);
                    out.push_str("- ");
                    out.push_str(inner.trim_start_matches(' '));
                }
            }
            _ => {
                out.push_str(&pad);
                let mut inner = String::new();
                self.after(&mut inner, indent, indent + 2);
                out.push_str(inner.trim_start_matches(' '));
            }
        }
    }

    /// Behind a key.
    fn after(&self, out: &mut String, indent: usize, inner: usize) {
        match self {
            Tree::Map(entries) if !entries.is_empty() => {
                out.push('\n');
                self.write(out, inner);
            }
            Tree::List(items) if !items.is_empty() => {
                out.push('\n');
                self.write(out, indent + 2);
            }
            Tree::Map(_) => out.push_str(" {}\n"),
            Tree::List(_) => out.push_str(" []\n"),
            Tree::Text(text) => {
                out.push(' ');
                out.push_str(&scalar(text));
                out.push('\n');
            }
            Tree::Raw(text) => {
                out.push(' ');
                out.push_str(text);
                out.push('\n');
            }
            Tree::Block(text) => {
                out.push_str(" |\n");
                for line in text.lines() {
                    out.push_str(&" ".repeat(inner));
                    out.push_str(line);
                    out.push('\n');
                }
            }
        }
    }
}

/// Of letters that mean nothing to YAML.
fn is_raw(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_/.-".contains(&b);
    let starts = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/');
    starts && text.bytes().all(plain)
}

/// In quotes where it could be anything but a text.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 10] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan"];
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic());
    let word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    if starts && !word && is_raw(text) {
        return text.to_owned();
    }
    let mut out = "\"".to_owned();
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if is_invisible(c) || is_private_use(c) => {
                out.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of every kind are read again as they were, by the reader of a mount.
    #[test]
    fn texts_are_read_again_as_they_were() {
        let texts = [
            "a",
            "",
            "yes",
            "NO",
            "~",
            "null",
            "1",
            "0400",
            "1e3",
            "a b",
            " a",
            "a:",
            "a: b",
            "#a",
            "-",
            "é",
            "\u{202e}",
            "\u{7f}",
            "\u{feff}",
            "a\nb\n",
            "\t",
            "\r",
            "\"\\",
            "{{ .a }}",
            "*a",
            "&a",
            "\u{e000}",
            "\u{10ffff}",
            "acs:ram::1:role/a",
            "2026-01-01",
            "/a/b",
            "@a",
            "`a",
            "%a",
            "!a",
        ];
        let tree = Tree::Map(vec![
            ("list".to_owned(), Tree::List(texts.map(|text| Tree::Text(text.to_owned())).into())),
            ("block".to_owned(), Tree::Block("- a: b\n\n  c\n".to_owned())),
            ("empty".to_owned(), Tree::List(vec![Tree::Map(vec![]), Tree::List(vec![])])),
        ]);
        let read = Node::parse(&tree.render()).unwrap();
        let list = read.get("list").unwrap().items().unwrap();
        assert_eq!(list.len(), texts.len());
        for (node, text) in list.iter().zip(texts) {
            assert!(!node.is_null());
            assert_eq!(node.text(), Some(text));
        }
        assert_eq!(read.get("block").unwrap().text(), Some("- a: b\n\n  c\n"));
        assert_eq!(read.get("empty").unwrap().items().unwrap().len(), 2);
    }
}
