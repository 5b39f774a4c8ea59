//! Tables in `docs/` that say what the provider answers. A test makes each anew and fails where the
//! document differs; `UPDATE_DOCS=1` writes it.

use std::{fs, path::Path};

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

    pub fn words(&mut self, words: &str) {
        self.text.push_str(&format!("\n{words}"));
    }

    pub fn row(&mut self, cells: &[&str]) {
        let cells: Vec<String> =
            cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', "<br>")).collect();
        self.text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }

    pub fn holds(&self, document: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(document);
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

/// Request ids differ from run to run.
pub fn steady(message: &str) -> String {
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
