//! JSON: one object with all findings and counts. `schema` changes when a reader would have to.

use serde::Serialize;

use super::token;
use crate::{
    check::{
        Report,
        finding::{Finding, Place},
        rule::Severity,
    },
    manifests::File,
};

#[derive(Serialize)]
struct Root<'a> {
    schema: u32,
    findings: Vec<Entry<'a>>,
    ignored: Vec<Ignored<'a>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Entry<'a> {
    code: &'static str,
    severity: &'static str,
    file: &'a str,
    line: u32,
    column: u32,
    end_column: u32,
    #[serde(skip_serializing_if = "str::is_empty")]
    object: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    hint: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    related: Option<Related<'a>>,
}

#[derive(Serialize)]
struct Related<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    message: &'static str,
}

#[derive(Serialize)]
struct Ignored<'a> {
    #[serde(flatten)]
    finding: Entry<'a>,
    reason: &'a str,
}

#[derive(Serialize)]
struct Summary {
    files: usize,
    secret_provider_classes: usize,
    objects: usize,
    passed_over: usize,
    errors: usize,
    warnings: usize,
    notes: usize,
    ignored: usize,
}

const SCHEMA: u32 = 1;

pub fn render(report: &Report, files: &[File]) -> String {
    let ignored = report
        .ignored
        .iter()
        .map(|(finding, reason)| Ignored { finding: entry(finding, files), reason });
    let counts = report.counts;
    let root = Root {
        schema: SCHEMA,
        findings: report.findings.iter().map(|finding| entry(finding, files)).collect(),
        ignored: ignored.collect(),
        summary: Summary {
            files: counts.files,
            secret_provider_classes: counts.classes,
            objects: counts.manifests,
            passed_over: counts.passed_over,
            errors: report.count(Severity::Error),
            warnings: report.count(Severity::Warning),
            notes: report.count(Severity::Note),
            ignored: report.ignored.len(),
        },
    };
    let mut text = serde_json::to_string_pretty(&root).unwrap_or_default();
    text.push('\n');
    text
}

fn entry<'a>(finding: &'a Finding, files: &'a [File]) -> Entry<'a> {
    let (line, column, end_column) = token::columns(&finding.place, files);
    Entry {
        code: finding.rule.code(),
        severity: finding.severity().name(),
        file: name(&finding.place, files),
        line,
        column,
        end_column,
        object: &finding.object,
        message: &finding.message,
        hint: &finding.hint,
        notes: &finding.notes,
        related: finding.related.as_ref().map(|(place, message)| Related {
            file: name(place, files),
            line: place.at.line,
            column: place.at.column,
            message,
        }),
    }
}

pub(super) fn name<'a>(place: &Place, files: &'a [File]) -> &'a str {
    files.get(place.file).map_or("", |file| &file.source.name)
}
