//! SecretProviderClasses: what a mount would refuse, the provider's name, and the Secrets that the driver is
//! to make of the files.

use std::collections::BTreeSet;

use crate::{
    check::{
        finding::Finding,
        foreign,
        mount::{Written, text},
        rule::Rule,
        set::{KnownClass, PROVIDER, Set},
    },
    limits,
    manifests::class::{Entry, SecretObject},
    spc::{Spec, hints, names::PARAMETERS, objects::Object, source::Source},
    text::{accident, quoted},
};

/// Names that providers have of which we know. Others may exist, and be meant.
const PROVIDERS: [&str; 12] = [
    "aws",
    "azure",
    "gcp",
    "vault",
    "openbao",
    "akeyless",
    "conjur",
    "oci",
    "infisical",
    "bitwarden",
    "e2e-provider",
    "mock_provider",
];

pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for class in &set.classes {
        provider(class, findings);
        if !class.is_ours {
            continue;
        }
        let of = class.given;
        for key in &of.body.unknown {
            let message = format!("spec has no field {}", quoted(&key.text));
            let meant = hints::near(&key.text, &["provider", "parameters", "secretObjects"]);
            let parameter = PARAMETERS.contains(&&*key.text);
            let hint = match meant {
                Some(meant) => format!("did you mean {meant}?"),
                None if parameter => "it belongs into parameters".to_owned(),
                None => "there are provider, parameters and secretObjects".to_owned(),
            };
            let finding = Finding::new(Rule::UnknownSpecField, of.name_only(key.at), message);
            of.found(findings, finding.hint(hint));
        }
        let Some(verdict) = &class.verdict else { continue };
        let written =
            Written::of(vec![(of.index, of.file, &of.body.parameters)], of.at_parameters());
        let mut refused = verdict.errors.as_ref().map_or(vec![], |errors| written.findings(errors));
        if let Some(first) = refused.first_mut() {
            first.notes.extend(foreign::ours(of.body));
        }
        refused.into_iter().for_each(|finding| of.found(findings, finding));
        for object in &of.body.secret_objects {
            secret_object(class, object, verdict.spec.as_ref(), findings);
        }
        if let Some(spec) = &verdict.spec {
            pins(class, spec, &written, findings);
        }
    }
}

fn provider(class: &KnownClass<'_>, findings: &mut Vec<Finding>) {
    let of = class.given;
    let Some(provider) = &of.body.provider else {
        let finding = Finding::new(Rule::UnknownProvider, of.at_name(), "spec.provider is missing");
        return of.found(findings, finding.hint(format!("write provider: {PROVIDER}")));
    };
    let name = &*provider.text;
    let placeholder = accident::placeholder(name).is_some();
    if class.is_ours || placeholder || PROVIDERS.contains(&name) {
        return;
    }
    let message =
        format!("spec.provider {} is no provider's name that is known here", quoted(name));
    let lower = name.to_ascii_lowercase();
    let ours = ["ali", "ack", "kms", "csi-secrets-store"].iter().any(|part| lower.contains(part))
        || hints::near(name, &[PROVIDER]).is_some();
    let hint = match ours {
        true => format!("write {PROVIDER}"),
        false => format!("write {PROVIDER} if secrets of Alibaba Cloud are meant"),
    };
    let finding = Finding::new(Rule::UnknownProvider, of.place(provider.at), message);
    of.found(findings, finding.hint(hint));
}

fn secret_object(
    class: &KnownClass<'_>,
    object: &SecretObject,
    spec: Option<&Spec>,
    findings: &mut Vec<Finding>,
) {
    let of = class.given;
    let incomplete = |at, what: &str, findings: &mut Vec<Finding>| {
        of.found(findings, Finding::new(Rule::SecretObjectIncomplete, of.place(at), what));
    };
    let mut missing = Vec::new();
    if text(object.name.as_ref()).is_empty() {
        missing.push("secretName");
    }
    if text(object.secret_type.as_ref()).is_empty() {
        missing.push("type");
    }
    if object.data.is_empty() {
        missing.push("data");
    }
    if !missing.is_empty() {
        let what = format!("an entry of secretObjects has no {}", missing.join(" and no "));
        incomplete(object.at, &what, findings);
    }
    let subject = format!("secretObjects {}", quoted(text(object.name.as_ref())));
    for Entry { at, object: name, key } in &object.data {
        let name = match (name, key) {
            (Some(name), Some(_)) => name,
            (None, _) => {
                incomplete(
                    *at,
                    &format!("{subject}: an entry of data has no objectName"),
                    findings,
                );
                continue;
            }
            (Some(name), None) => {
                incomplete(*at, &format!("{subject}: an entry of data has no key"), findings);
                name
            }
        };
        if let Some(mismatch) = spec.and_then(|spec| unmatched(spec, name.text.trim())) {
            let message = format!("{subject}: objectName {} {}", quoted(&name.text), mismatch.0);
            let finding = Finding::new(Rule::SecretObjectUnmatched, of.place(name.at), message);
            of.found(findings, finding.hint(mismatch.1));
        }
    }
    let most = object.data.len().saturating_mul(limits::SECRET_VALUE);
    if most > limits::KUBERNETES_SECRET {
        let message = format!(
            "{subject}: {} values of up to {} KiB can be more than the 1 MiB of a Secret",
            object.data.len(),
            limits::SECRET_VALUE >> 10
        );
        of.found(findings, Finding::new(Rule::SecretMayBeTooLarge, of.place(object.at), message));
    }
}

/// What to say of a file that a class does not make, and what to write.
pub(super) fn unmatched(spec: &Spec, name: &str) -> Option<(String, String)> {
    let files: BTreeSet<&str> = spec.objects.iter().flat_map(files).collect();
    if files.contains(name) {
        return None;
    }
    let object = spec.objects.iter().find(|object| object.read.source.facts().name() == name);
    let all: Vec<&str> = files.iter().copied().collect();
    let hint = match (object, hints::near(name, &all)) {
        (Some(object), _) => {
            format!("it is an objectName; its file is {}", quoted(object.file.as_str()))
        }
        (None, Some(near)) => format!("did you mean {}?", quoted(near)),
        (None, None) => {
            const SHOWN: usize = 8;
            let shown: Vec<String> = all.iter().take(SHOWN).map(|file| quoted(file)).collect();
            let more = all.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("there are {}{more}", shown.join(", "))
        }
    };
    Some(("is no file of the volume".to_owned(), hint))
}

fn files(object: &Object) -> impl Iterator<Item = &str> {
    let extracts = object.extracts.iter().map(|extract| extract.file.as_str());
    extracts.chain([object.file.as_str()])
}

/// Labels that an author may take for a version.
fn pins(class: &KnownClass<'_>, spec: &Spec, written: &Written<'_>, findings: &mut Vec<Finding>) {
    for object in spec.objects.iter() {
        let Source::Kms(secret) = &object.read.source else { continue };
        let Some(label) = secret.stage.as_deref().filter(|label| *label != "ACSCurrent") else {
            continue;
        };
        let message = format!(
            "{}, field objectVersionLabel: label {} can move to another version and pins none",
            object.label,
            quoted(label)
        );
        let place = written.of_field(object.at, "objectVersionLabel");
        class.given.found(findings, Finding::new(Rule::MutablePin, place, message));
    }
}
