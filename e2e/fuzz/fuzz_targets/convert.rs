//! Files through `convert`: every field has one fate, what is written passes `check`, both lists are made, and no
//! value of a Secret is in any of it.
//!
//! The first octet of an input chooses what makes Secrets; the rest is a file, beside one with a Secret.

#![no_main]

use fuzz::{CANARY, check_text, choices, endpoints, policy};
use libfuzzer_sys::{Corpus, fuzz_target};
use provider::{
    check::{Settings, check, rule::Severity},
    convert::{Input, Options, Secrets, convert, ledger::Fate, output},
    manifests::File,
    policy::Share,
};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([choice], rest)) = choices(input) else { return Corpus::Reject };
    let Ok(text) = std::str::from_utf8(rest) else { return Corpus::Reject };
    // What stands there is no Secret's value.
    if text.contains(CANARY) {
        return Corpus::Reject;
    }
    let secrets = Secrets::ALL[usize::from(choice) % Secrets::ALL.len()];
    let secret = format!("apiVersion: v1\nkind: Secret\nstringData: {{a: \"{CANARY}\"}}\n---\n");
    let inputs = [Input::read("a.yaml".to_owned(), secret + text)];
    let settings = Settings { endpoints: endpoints(), policy: policy(Share::Pod) };
    let options = Options { secrets, region: None, service_account: None };
    let conversion = convert(&inputs, &options, &settings);
    assert_eq!(conversion.objects.len(), inputs[0].tree.objects.len());
    for object in &conversion.objects {
        for field in &object.ledger.fields {
            assert!(field.fate != Fate::Open, "{} of {}", field.path, object.title);
        }
    }
    let written = conversion.manifests.iter().filter(|manifest| manifest.kind != "values");
    let written: Vec<&str> = written.map(|manifest| &*manifest.text).collect();
    let report = check(&[File::read("out".to_owned(), written.join("---\n"))], &settings);
    for finding in &report.findings {
        assert!(finding.severity() != Severity::Error, "{}", finding.sentence());
    }
    let list = output::text::render(&conversion);
    let json = output::json::render(&conversion);
    serde_json::from_str::<serde_json::Value>(&json).unwrap();
    for text in [list, json].iter().chain(conversion.manifests.iter().map(|one| &one.text)) {
        check_text(text);
    }
    Corpus::Keep
});
