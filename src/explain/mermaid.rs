//! Mermaid: a flow chart, which GitHub and GitLab draw in Markdown.

use super::{
    Explanation,
    picture::{Column, Picture, short},
};

const LONGEST: usize = 60;

pub(crate) fn render(all: &[Explanation]) -> String {
    let picture = Picture::of(all);
    let mut text = String::from(
        "flowchart LR\n  accTitle: Who reads which secrets\n  accDescr: From pods by way of their \
         ServiceAccount and RAM role to secrets and files\n",
    );
    for column in Column::ALL {
        for (number, one) in
            picture.boxes.iter().enumerate().filter(|(_, one)| one.column == column)
        {
            let (open, close) = match column {
                Column::Workload | Column::ServiceAccount => ("[", "]"),
                Column::Role => ("([", "])"),
                Column::Secret => ("[(", ")]"),
                Column::File => (">", "]"),
            };
            let second = match one.second.is_empty() {
                true => String::new(),
                false => format!("<br>{}", quoted(&one.second)),
            };
            let title = match column {
                Column::ServiceAccount => "ServiceAccount ",
                _ => "",
            };
            let first = quoted(&one.first);
            text.push_str(&format!("  n{number}{open}\"{title}{first}{second}\"{close}\n"));
        }
    }
    for (from, to) in &picture.lines {
        text.push_str(&format!("  n{from} --> n{to}\n"));
    }
    text
}

/// For a text in double quotes, where Mermaid reads HTML's entities.
fn quoted(text: &str) -> String {
    let escaped = short(text, LONGEST).replace('#', "#35;");
    let escaped = escaped.replace('&', "#amp;").replace('"', "#quot;");
    escaped.replace('<', "#lt;").replace('>', "#gt;").replace('`', "#96;")
}
