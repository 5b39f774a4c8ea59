//! What holds for objects of every kind: apiVersion, a name, and that no two are the same.

use std::collections::BTreeMap;

use crate::{
    check::{
        finding::Finding,
        rule::Rule,
        set::{Of, Set},
    },
    manifests::Body,
    text::quoted,
};

const CLASS: &str = "secrets-store.csi.x-k8s.io/v1";
const OLD_CLASS: &str = "secrets-store.csi.x-k8s.io/v1alpha1";
const SYNC: &str = "secret-sync.x-k8s.io/v1alpha1";

pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let mut seen: BTreeMap<(&str, &str, &str), Of<'_, Body>> = BTreeMap::new();
    for of in set.manifests() {
        api_version(of, findings);
        let Some(name) = &of.manifest.name else {
            if !of.manifest.generate_name {
                let what = "metadata.name is missing";
                of.found(findings, Finding::new(Rule::MissingName, of.place(of.manifest.at), what));
            }
            continue;
        };
        let namespace = of.manifest.namespace.as_ref().map_or("", |namespace| &namespace.text);
        match seen.entry((&of.manifest.kind.text, namespace, &name.text)) {
            std::collections::btree_map::Entry::Occupied(first) => {
                let what = format!("there are two of {}", of.title());
                let finding = Finding::new(Rule::DuplicateManifest, of.at_name(), what);
                let first = first.get().at_name();
                of.found(findings, finding.related(first, "the first is here"));
            }
            std::collections::btree_map::Entry::Vacant(vacant) => drop(vacant.insert(of)),
        }
    }
}

fn api_version(of: Of<'_, Body>, findings: &mut Vec<Finding>) {
    let right: &[&str] = match of.body {
        Body::Class(_) => &[CLASS, OLD_CLASS],
        Body::Sync(_) => &[SYNC],
        Body::ServiceAccount(_) => &["v1"],
        Body::CsiDriver(_) => &["storage.k8s.io/v1"],
        Body::Workload(_) => match &*of.manifest.kind.text {
            "Pod" | "ReplicationController" => &["v1"],
            "Job" | "CronJob" => &["batch/v1"],
            _ => &["apps/v1"],
        },
    };
    let first = right.first().copied().unwrap_or_default();
    let finding = match &of.manifest.api_version {
        Some(version) if &*version.text == OLD_CLASS => Finding::new(
            Rule::OldApiVersion,
            of.place(version.at),
            format!("{OLD_CLASS} is deprecated"),
        )
        .hint(format!("write {first}")),
        Some(version) if right.contains(&&*version.text) => return,
        Some(version) => {
            let what =
                format!("{} has no apiVersion {}", of.manifest.kind.text, quoted(&version.text));
            Finding::new(Rule::WrongApiVersion, of.place(version.at), what)
                .hint(format!("write {first}"))
        }
        None => {
            Finding::new(Rule::WrongApiVersion, of.place(of.manifest.at), "apiVersion is missing")
                .hint(format!("write apiVersion: {first}"))
        }
    };
    of.found(findings, finding);
}
