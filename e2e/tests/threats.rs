//! `docs/threat-model.md` names the test that guards each threat: they have to be there.

use std::{collections::BTreeSet, fs, path::Path};

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|kind| kind == "rs" || kind == "py") {
            text.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let model = fs::read_to_string(root.join("docs/threat-model.md")).unwrap();
    let named: BTreeSet<&str> =
        model.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() >= 3).collect();
    assert!(named.len() > 30, "{}", named.len());
    let mut text = String::new();
    for folder in ["src", "e2e/tests", "e2e/cluster/tests"] {
        sources(&root.join(folder), &mut text);
    }
    let missing: Vec<_> = named
        .iter()
        .filter(|name| {
            !text.contains(&format!("fn {name}(")) && !text.contains(&format!("def {name}("))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    // Every threat has one.
    let threats = model.lines().skip_while(|line| !line.starts_with("| threat |")).skip(2);
    for threat in threats.take_while(|line| line.starts_with('|')) {
        assert!(threat.matches('`').count() >= 2, "{threat}");
    }
}
