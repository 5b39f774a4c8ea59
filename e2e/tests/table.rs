//! Tables in `docs/` that say what the provider answers. A test makes each anew and fails where the
//! document differs; `UPDATE_DOCS=1` writes it.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// What messages about the driver double's volumes begin with.
pub const CLASS: &str = "SecretProviderClass shop/secrets: ";

/// A document with a table for each of its sections, which tests of their own make.
pub struct Document {
    pub name: &'static str,
    pub intro: &'static str,
    pub sections: &'static [&'static str],
}

/// Tests run side by side, and each writes its section.
static WRITING: Mutex<()> = Mutex::new(());

pub struct Table {
    text: String,
}

impl Table {
    pub fn new(intro: &str, columns: &[&str]) -> Self {
        let rule = "|---".repeat(columns.len());
        Self { text: format!("{intro}\n\n| {} |\n{rule}|\n", columns.join(" | ")) }
    }

    pub fn another(&mut self, intro: &str, columns: &[&str]) {
        let Self { text } = Self::new(intro, columns);
        self.text.push_str(&format!("\n{text}"));
    }

    pub fn append(&mut self, other: &Table) {
        self.words(&other.text);
    }

    pub fn words(&mut self, words: &str) {
        self.text.push_str(&format!("\n{words}"));
    }

    pub fn row(&mut self, cells: &[&str]) {
        let of = |cell: &&str| visible(cell).replace('|', "\\|").replace('\n', "<br>");
        let cells: Vec<String> = cells.iter().map(of).collect();
        self.text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }

    pub fn holds_section(&self, document: &Document, section: &str) {
        let _one = WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let path = path(document.name);
        let mut committed = fs::read_to_string(&path).unwrap_or_default();
        let table = self.text.trim_start();
        let heading = |section: &str| format!("\n## {section}\n\n");
        let of = |text: &str, section: &str| {
            let (_, after) = text.split_once(&heading(section))?;
            Some(after.split("\n## ").next().unwrap_or_default().to_owned())
        };
        assert!(document.sections.contains(&section), "{section} has no place");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let sections = document.sections.iter().map(|name| {
                let old = || of(&committed, name).unwrap_or_default();
                let text = if *name == section { table.to_owned() } else { old() };
                heading(name) + &text
            });
            committed = document.intro.to_owned() + &sections.collect::<String>();
            fs::write(&path, &committed).unwrap();
        }
        assert!(committed.starts_with(document.intro), "another intro of docs/{}", document.name);
        assert!(
            of(&committed, section).as_deref() == Some(table),
            "docs/{}, section {section}, is not what the provider answers; UPDATE_DOCS=1 writes \
             this:\n{table}",
            document.name,
        );
    }

    pub fn holds(&self, document: &str) {
        let path = path(document);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, &self.text).unwrap();
        }
        let committed = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == self.text,
            "docs/{document} is not what the provider answers; UPDATE_DOCS=1 writes this:\n{}",
            self.text
        );
    }
}

/// Outside of code, Markdown would take `<your-secret>` for an element and show nothing.
fn visible(cell: &str) -> String {
    let mut out = String::new();
    for (at, part) in cell.split('`').enumerate() {
        out.push_str(if at > 0 { "`" } else { "" });
        for (nth, piece) in part.split('<').enumerate() {
            let kept =
                at % 2 == 1 || ["br>", "a id=", "/a>"].iter().any(|of| piece.starts_with(of));
            out.push_str(if nth == 0 {
                ""
            } else if kept {
                "<"
            } else {
                "&lt;"
            });
            out.push_str(piece);
        }
    }
    out
}

fn path(document: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(document)
}

/// Without the SecretProviderClass in front, which is the same in all of them, and without what differs
/// from run to run: request ids, numbers of attempts (a connection may break by chance), and ports of
/// this machine.
pub fn steady(message: &str) -> String {
    let mut text = without_request_ids(message.strip_prefix(CLASS).unwrap_or(message));
    for (before, after, name) in [("127.0.0.1:", "", "PORT"), ("", " attempts", "N")] {
        text = without_number(&text, before, after, name);
    }
    for (attempts, none) in [(", N attempts", ""), ("(N attempts, ", "("), (" (N attempts)", "")] {
        text = text.replace(attempts, none);
    }
    text
}

/// `name` in place of each number that stands between these two texts, one of which may be empty.
fn without_number(text: &str, before: &str, after: &str, name: &str) -> String {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut out = String::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let number = digits(&text[at..]);
        if number > 0 && out.ends_with(before) && text[at + number..].starts_with(after) {
            out.push_str(name);
            at += number;
        } else {
            let plain = number.max(c.len_utf8());
            out.push_str(&text[at..at + plain]);
            at += plain;
        }
    }
    out
}

fn without_request_ids(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once("request ") {
        let id =
            after.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(after.len());
        out.push_str(before);
        out.push_str(if id > 20 { "request REQUEST-ID" } else { "request " });
        rest = if id > 20 { &after[id..] } else { after };
    }
    out + rest
}
