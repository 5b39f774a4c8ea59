//! JSON: for programs. `schema` changes when a reader would have to.

use serde::Serialize;

use super::Explanation;
use crate::preview::Preview;

#[derive(Serialize)]
struct Root<'a> {
    schema: u32,
    mounts: &'a [Explanation],
    unused: &'a [String],
    notes: &'a [String],
    refused: Vec<Refused<'a>>,
}

#[derive(Serialize)]
struct Refused<'a> {
    subject: &'a str,
    reasons: &'a [String],
}

const SCHEMA: u32 = 1;

pub(crate) fn render(all: &[Explanation], preview: &Preview) -> String {
    let refused =
        preview.refused.iter().map(|of| Refused { subject: &of.subject, reasons: &of.reasons });
    let root = Root {
        schema: SCHEMA,
        mounts: all,
        unused: &preview.unused,
        notes: &preview.missing,
        refused: refused.collect(),
    };
    let mut text = serde_json::to_string_pretty(&root).unwrap_or_default();
    text.push('\n');
    text
}
