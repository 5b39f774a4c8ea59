//! SecretSyncs: their class, and files that they take from it.

use super::{classes::unmatched, workloads};
use crate::{
    check::{
        finding::Finding,
        mount::text,
        rule::Rule,
        set::{Named, Of, Set},
    },
    error::Reason,
    limits,
    manifests::secret_sync::{SecretSync, is_source_path},
    spc::{Spec, mode::Mode},
    text::quoted,
};

pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for of in set.syncs() {
        complete(of, findings);
        let Some(name) = &of.body.class else {
            entries(of, None, findings);
            continue;
        };
        let named = set.class(&name.text, of.manifest);
        let spec = match &named {
            Named::Class(class) => class.verdict.as_ref().and_then(|verdict| verdict.spec.as_ref()),
            _ => None,
        };
        entries(of, spec, findings);
        workloads::not_beside(of, name, &named, findings);
        if let Named::Class(class) = &named
            && let Some(decision) = class.verdict.as_ref().and_then(|verdict| verdict.decision)
            && decision.mode == Mode::NodePublishSecret
        {
            let message = format!(
                "identity {} cannot be used: a SecretSync brings no Secret with an access key",
                decision.mode
            );
            let finding =
                Finding::new(Rule::Mount(Reason::NoAccessKey), of.place(name.at), message);
            of.found(findings, finding.hint("use a class with identity pod"));
        }
    }
}

fn complete(of: Of<'_, SecretSync>, findings: &mut Vec<Finding>) {
    let sync = of.body;
    let needed = [
        ("secretProviderClassName", text(sync.class.as_ref()).is_empty()),
        ("serviceAccountName", text(sync.service_account.as_ref()).is_empty()),
        ("secretObject.type", text(sync.secret_type.as_ref()).is_empty()),
        ("secretObject.data", sync.data.is_empty()),
    ];
    let missing: Vec<_> = needed.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        let message = format!("there is no {}", missing.join(" and no "));
        of.found(findings, Finding::new(Rule::SyncIncomplete, of.at_name(), message));
    }
}

fn entries(of: Of<'_, SecretSync>, spec: Option<&Spec>, findings: &mut Vec<Finding>) {
    for entry in &of.body.data {
        if entry.key.is_none() || entry.source.is_none() {
            let missing = if entry.source.is_none() { "sourcePath" } else { "targetKey" };
            let message = format!("an entry of data has no {missing}");
            of.found(findings, Finding::new(Rule::SyncIncomplete, of.place(entry.at), message));
        }
        let Some(source) = &entry.source else { continue };
        let name = quoted(&source.text);
        let unmatched = spec.and_then(|spec| unmatched(spec, &source.text));
        if unmatched.is_none() && !is_source_path(&source.text) {
            let message = format!("sourcePath {name} is not of the form that SecretSyncs accept");
            let finding = Finding::new(Rule::SourcePathPattern, of.place(source.at), message);
            let hint =
                "give the object an objectAlias of letters, digits and hyphens, and write that";
            of.found(findings, finding.hint(hint));
        }
        if let Some((_, hint)) = unmatched {
            let class = text(of.body.class.as_ref());
            let message = format!("sourcePath {name} is no file of SecretProviderClass {class}");
            let finding = Finding::new(Rule::SourcePathUnmatched, of.place(source.at), message);
            of.found(findings, finding.hint(hint));
        }
    }
    let most = of.body.data.len().saturating_mul(limits::SECRET_VALUE);
    if most > limits::KUBERNETES_SECRET {
        let message = format!(
            "{} values of up to {} KiB can be more than the 1 MiB of a Secret",
            of.body.data.len(),
            limits::SECRET_VALUE >> 10
        );
        of.found(findings, Finding::new(Rule::SecretMayBeTooLarge, of.at_name(), message));
    }
}
