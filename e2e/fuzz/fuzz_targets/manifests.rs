//! Manifests through `check`: what is no manifest is named, every place is in the text, every output is made; and
//! of a class that an input is put into, `check` says what a mount says.
//!
//! The first octet of an input chooses: `o`, the rest is `objects` of a class, written in three forms; else it is
//! a file.

#![no_main]

use std::collections::BTreeSet;

use fuzz::{check_text, choices, endpoints, policy};
use libfuzzer_sys::{Corpus, fuzz_target};
use provider::{
    check::{
        Report, Settings, check,
        output::{github, json, sarif, text},
        rule::Rule,
    },
    manifests::File,
    policy::Share,
    request::NodePublishKeys,
    secret::Secret,
    spc::{Spec, file::FileMode, parameters::Parameters},
};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([kind], rest)) = choices(input) else { return Corpus::Reject };
    let Ok(text) = std::str::from_utf8(rest) else { return Corpus::Reject };
    let settings = Settings { endpoints: endpoints(), policy: policy(Share::Pod) };
    match kind {
        b'o' => of_class(text, &settings),
        _ => drop(checked(text.to_owned(), &settings)),
    }
    Corpus::Keep
});

/// Within bounds, the same each time, and in every form.
fn checked(text: String, settings: &Settings) -> Report {
    let files = [File::read("a.yaml".to_owned(), text.clone())];
    let report = check(&files, settings);
    let lines = text.split(['\n', '\r']).count();
    let [file] = &files;
    for finding in &report.findings {
        let at = finding.place.at;
        let line = usize::try_from(at.line).unwrap();
        let column = usize::try_from(at.column).unwrap();
        assert!((1..=lines + 1).contains(&line), "{at} of {lines} lines");
        let longest = file.source.line(at.line).chars().count() + 1;
        assert!((1..=longest).contains(&column), "{at} of {longest} columns: {finding:?}");
        check_text(&finding.sentence());
        assert!(!finding.rule.code().is_empty());
    }
    for text in [text::render(&report, &files, true), github::render(&report, &files)] {
        check_text(&text);
    }
    for text in [json::render(&report, &files), sarif::render(&report, &files)] {
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }
    report
}

fn of_class(objects: &str, settings: &Settings) {
    let mut parameters = Parameters::default();
    parameters.insert("objects", Secret::new(objects.to_owned()));
    let cache = Default::default();
    let spec = Spec::parse(&parameters, &settings.endpoints, FileMode::default(), &cache);
    let decided =
        spec.and_then(|spec| settings.policy.decide(&spec, &NodePublishKeys::Absent, None));
    let by_mount: BTreeSet<String> =
        decided.err().iter().flat_map(|errors| errors.iter()).map(ToString::to_string).collect();
    for objects in forms(objects) {
        let text = format!(
            "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\nmetadata: {{name: c}}\n\
             spec:\n  provider: alibabacloud\n  parameters:\n    objects: {objects}\n"
        );
        let report = checked(text, settings);
        // Characters that YAML does not have.
        if report.findings.iter().any(|finding| finding.rule == Rule::Unreadable) {
            continue;
        }
        // A comment in `objects` may ignore one.
        let ignored = report.ignored.iter().map(|(finding, _)| finding);
        let all = report.findings.iter().chain(ignored);
        let mounts = all.filter(|finding| matches!(finding.rule, Rule::Mount(_)));
        let said: BTreeSet<String> = mounts.map(|finding| finding.sentence()).collect();
        assert_eq!(said, by_mount, "{objects}");
    }
}

/// In double quotes as JSON has them, and as a block where that is the same text.
fn forms(objects: &str) -> Vec<String> {
    let mut forms = vec![serde_json::to_string(objects).unwrap()];
    let plain = |c: char| {
        c == '\n' || c == '\t' || (' '..='~').contains(&c) || ('\u{a1}'..='\u{d7ff}').contains(&c)
    };
    let as_block = objects.ends_with('\n')
        && !objects.ends_with("\n\n")
        && objects.chars().all(plain)
        && objects.lines().all(|line| !line.is_empty() && line.trim_end() == line);
    if as_block {
        let indented = objects.trim_end_matches('\n').replace('\n', "\n        ");
        forms.push(format!("|4\n        {indented}"));
    }
    if objects.chars().all(plain) && !objects.contains(['\n', '\t']) && !objects.is_empty() {
        forms.push(format!("'{}'", objects.replace('\'', "''")));
    }
    forms
}
