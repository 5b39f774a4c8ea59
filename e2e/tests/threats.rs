//! `docs/threat-model.md` and `docs/audit.md` name the test that guards each threat and shows each promise:
//! they have to be there.

use std::{collections::BTreeSet, fs, path::Path};

/// What runs: functions that Rust or pytest takes for tests.
fn tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests(&path, found);
            continue;
        }
        let kind = path.extension().and_then(|kind| kind.to_str());
        if !matches!(kind, Some("rs" | "py")) {
            continue;
        }
        let mut attributed = false;
        for line in fs::read_to_string(&path).unwrap().lines().map(str::trim) {
            let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            let name = match (function, line.strip_prefix("def ")) {
                (Some(name), _) if attributed => Some(name),
                (_, Some(name)) if name.starts_with("test_") => Some(name),
                _ => None,
            };
            found.extend(name.and_then(|name| Some(name.split_once('(')?.0.to_owned())));
            let is_one = line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            attributed = is_one || attributed && (line.starts_with("#[") || line.starts_with("//"));
        }
    }
}

fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Of a document, each line of the table whose first column has that head.
fn every_line_names_a_test(document: &str, head: &str, least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join(document)).unwrap();
    let mut tests_found = BTreeSet::new();
    for folder in ["src", "e2e/tests", "e2e/cluster/tests"] {
        tests(&root.join(folder), &mut tests_found);
    }
    assert!(tests_found.len() > 300, "{}", tests_found.len());
    let is_test = |name: &str| tests_found.contains(name);
    let lines = text.lines().skip_while(|line| !line.starts_with(&format!("| {head} |"))).skip(2);
    let lines: Vec<&str> = lines.take_while(|line| line.starts_with('|')).collect();
    assert!(lines.len() >= least, "{}", lines.len());
    for line in &lines {
        let guards = line.trim_end().trim_end_matches('|').rsplit('|').next().unwrap();
        assert!(quoted(guards).any(is_test), "{line}");
    }
    let like_a_test = |name: &&str| {
        name.matches('_').count() >= 3
            && name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric())
    };
    let named = lines.iter().flat_map(|line| quoted(line)).filter(like_a_test);
    let missing: Vec<_> = named.filter(|name| !is_test(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_threat_names_tests_that_exist() {
    every_line_names_a_test("docs/threat-model.md", "threat", 20);
}

#[test]
fn every_promise_of_the_audit_record_names_the_test_that_breaks_it() {
    every_line_names_a_test("docs/audit.md", "done to the record", 12);
}
