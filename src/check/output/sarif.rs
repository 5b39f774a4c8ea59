//! SARIF 2.1.0, which GitHub's code scanning and others read: one run with its rules and results. No text of
//! the files is in it.

use serde_json::{Value, json};

use super::{json::name, token};
use crate::{
    check::{
        Report,
        finding::{Finding, Place},
        rule::{Rule, Severity},
    },
    manifests::File,
};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

pub fn render(report: &Report, files: &[File]) -> String {
    let found = report.findings.iter().map(|finding| (finding, None));
    let ignored = report.ignored.iter().map(|(finding, reason)| (finding, Some(&**reason)));
    let all: Vec<(&Finding, Option<&str>)> = found.chain(ignored).collect();
    let mut rules: Vec<Rule> = all.iter().map(|(finding, _)| finding.rule).collect();
    rules.sort();
    rules.dedup();
    let results = all.iter().map(|(finding, reason)| result(finding, *reason, &rules, files));
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": env!("CARGO_PKG_NAME"),
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|rule| descriptor(*rule)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results.collect::<Vec<_>>(),
        }],
    });
    format!("{log:#}\n")
}

fn level(severity: Severity) -> &'static str {
    severity.name()
}

fn descriptor(rule: Rule) -> Value {
    json!({
        "id": rule.code(),
        "shortDescription": { "text": rule.meaning().trim() },
        "help": { "text": rule.fix() },
        "defaultConfiguration": { "level": level(rule.severity()) },
    })
}

fn result(finding: &Finding, ignored: Option<&str>, rules: &[Rule], files: &[File]) -> Value {
    let mut text = finding.sentence();
    for note in &finding.notes {
        text = format!("{text} ({note})");
    }
    let mut result = json!({
        "ruleId": finding.rule.code(),
        "ruleIndex": rules.iter().position(|rule| *rule == finding.rule),
        "level": level(finding.severity()),
        "message": { "text": text },
        "locations": [location(&finding.place, files)],
    });
    if let (Some(all), Some((place, what))) = (result.as_object_mut(), &finding.related) {
        let mut related = location(place, files);
        if let Some(related) = related.as_object_mut() {
            related.insert("message".to_owned(), json!({ "text": what }));
        }
        all.insert("relatedLocations".to_owned(), json!([related]));
    }
    if let (Some(all), Some(reason)) = (result.as_object_mut(), ignored) {
        let suppression = json!([{ "kind": "inSource", "justification": reason }]);
        all.insert("suppressions".to_owned(), suppression);
    }
    result
}

fn location(place: &Place, files: &[File]) -> Value {
    let (line, column, end) = token::columns(place, files);
    json!({ "physicalLocation": {
        "artifactLocation": { "uri": uri(name(place, files)) },
        "region": { "startLine": line, "startColumn": column, "endColumn": end },
    } })
}

/// A path as a reference within a URI.
fn uri(path: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    let path = path.strip_prefix("./").unwrap_or(path);
    let mut uri = if path.starts_with('/') { "file://".to_owned() } else { String::new() };
    for byte in path.bytes() {
        match plain(byte) {
            true => uri.push(char::from(byte)),
            false => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::uri;

    #[test]
    fn uri_of_a_path_is_relative_where_the_path_is() {
        assert_eq!(uri("./deploy/a b.yaml"), "deploy/a%20b.yaml");
        assert_eq!(uri("/tmp/é:1.yaml"), "file:///tmp/%C3%A9%3A1.yaml");
    }
}
