//! Texts: placeholders that nothing replaced, and what Kubernetes does not take for a text.

use crate::{
    check::{
        finding::{Finding, Place, Show},
        rule::Rule,
        set::{Of, PROVIDER, Set},
    },
    manifests::{
        Body,
        value::{Given, Pair, ScalarKind, Text},
    },
    spc::names::PARAMETERS,
    text::{accident, quoted, shown},
};

pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for of in set.manifests() {
        let mut texts = Texts { of, findings };
        texts.named("metadata.name", of.manifest.name.as_ref());
        texts.named("metadata.namespace", of.manifest.namespace.as_ref());
        match of.body {
            Body::Class(class) => {
                texts.named("spec.provider", class.provider.as_ref());
                let ours = class.provider.as_ref().is_none_or(|name| &*name.text == PROVIDER);
                for pair in class.parameters.iter().filter(|_| ours) {
                    texts.pair("parameter", pair);
                }
                for object in &class.secret_objects {
                    texts.named("secretName", object.name.as_ref());
                    for entry in &object.data {
                        texts.named("objectName", entry.object.as_ref());
                        texts.named("key", entry.key.as_ref());
                    }
                }
            }
            Body::Sync(sync) => {
                texts.named("secretProviderClassName", sync.class.as_ref());
                texts.named("serviceAccountName", sync.service_account.as_ref());
                for entry in &sync.data {
                    texts.named("sourcePath", entry.source.as_ref());
                    texts.named("targetKey", entry.key.as_ref());
                }
            }
            Body::ServiceAccount(account) => {
                for pair in &account.annotations {
                    texts.pair("annotation", pair);
                }
            }
            Body::Workload(workload) => {
                texts.named("serviceAccountName", workload.service_account.as_ref());
                for volume in &workload.volumes {
                    for pair in &volume.attributes {
                        texts.pair("volumeAttributes", pair);
                    }
                }
            }
            Body::CsiDriver(_) => {}
        }
    }
}

struct Texts<'a, 'f> {
    of: Of<'a, Body>,
    findings: &'f mut Vec<Finding>,
}

impl Texts<'_, '_> {
    /// A name that Kubernetes or the driver looks up.
    fn named(&mut self, what: &str, text: Option<&Text>) {
        let Some(text) = text else { return };
        if let Some(accident) = placeholder(&text.text) {
            let message = format!("{what} {} {accident}", quoted(&text.text));
            let place = self.of.place(text.at);
            self.of.found(self.findings, Finding::new(Rule::Placeholder, place, message));
        } else {
            self.is_text(what, text, true);
        }
    }

    /// A parameter's value is judged by its own parser, unless it is no text.
    fn pair(&mut self, what: &str, Pair { name, value }: &Pair) {
        let known = PARAMETERS.contains(&&*name.text) || &*name.text == "secretProviderClass";
        let subject = format!("{what} {}", shown(&name.text));
        match value {
            Given::Text(text) if &*name.text == "secretProviderClass" => {
                self.named(&subject, Some(text));
            }
            Given::Text(text) => self.is_text(&subject, text, known),
            Given::Nothing => {}
            Given::Other(_, kind) => {
                let message = format!("{subject}: is {kind}; Kubernetes accepts only a text here");
                let hint = match &*name.text {
                    "objects" => "write objects: | and indent the list below it",
                    _ => "write a text",
                };
                let place = match known {
                    true => self.of.place(name.at),
                    false => self.of.name_only(name.at),
                };
                self.of
                    .found(self.findings, Finding::new(Rule::NotAText, place, message).hint(hint));
            }
        }
    }

    fn is_text(&mut self, subject: &str, text: &Text, is_known: bool) {
        let kind = match text.kind {
            ScalarKind::Text => return,
            ScalarKind::Boolean => "true or false",
            ScalarKind::Number => "a number",
        };
        let message =
            format!("{subject}: is {kind} without quotes; Kubernetes accepts only a text here");
        let place = self.of.place(text.at);
        let (place, hint) = match is_known {
            true => (place, format!("write \"{}\"", shown(&text.text))),
            false => (Place { show: Show::Nothing, ..place }, "put it in quotes".to_owned()),
        };
        self.of.found(self.findings, Finding::new(Rule::NotAText, place, message).hint(hint));
    }
}

fn placeholder(text: &str) -> Option<&'static str> {
    let marked = text.len() > 4 && text.starts_with("__") && text.ends_with("__");
    accident::placeholder(text).or(marked.then_some("is a placeholder that is to be replaced"))
}
