//! `docs/threat-model.md` names the test that guards each threat: they have to be there.

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

#[test]
fn every_threat_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let mut tests_found = BTreeSet::new();
    for folder in ["src", "e2e/tests", "e2e/cluster/tests"] {
        tests(&root.join(folder), &mut tests_found);
    }
    assert!(tests_found.len() > 300, "{}", tests_found.len());
    let is_test = |name: &str| tests_found.contains(name);
    let missing: Vec<_> =
        quoted(&model).filter(|name| name.matches('_').count() >= 3 && !is_test(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let threats = model.lines().skip_while(|line| !line.starts_with("| threat |")).skip(2);
    let threats: Vec<&str> = threats.take_while(|line| line.starts_with('|')).collect();
    assert!(threats.len() > 20, "{}", threats.len());
    for threat in threats {
        let guards = threat.trim_end().trim_end_matches('|').rsplit('|').next().unwrap();
        assert!(quoted(guards).any(is_test), "{threat}");
    }
}
