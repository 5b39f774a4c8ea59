//! Pods and what makes them: the class that a volume names, and parameters that it sets over it.

use std::collections::BTreeSet;

use crate::{
    check::{
        finding::Finding,
        mount::{CLASS_NAME, Written, is_text, verdict},
        rule::Rule,
        set::{KnownClass, Named, Of, Set},
    },
    error::Reason,
    manifests::{
        value::{Pair, Text},
        workload::{Volume, Workload},
    },
    spc::{mode::Mode, names::PARAMETERS},
    text::{quoted, shown},
};

pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for (of, volume) in set.volumes() {
        if !volume.read_only {
            let what = "a volume of the driver without readOnly: true, which the driver refuses";
            let finding = Finding::new(Rule::VolumeNotReadOnly, of.place(volume.at), what);
            of.found(findings, finding.hint("write readOnly: true beside driver"));
        }
        let Some(name) = &volume.class else {
            let what = "a volume of the driver that names no SecretProviderClass";
            let finding = Finding::new(Rule::NoClassName, of.place(volume.at), what);
            let hint = format!("write volumeAttributes: {{{CLASS_NAME}: NAME}}");
            of.found(findings, finding.hint(hint));
            continue;
        };
        let named = set.class(&name.text, of.manifest);
        not_beside(of, name, &named, findings);
        if let Named::Class(class) = named
            && class.is_ours
        {
            overrides(set, of, volume, class, findings);
        }
    }
    for of in set.workloads() {
        for name in &of.body.sub_paths {
            let what = format!(
                "volume {} is mounted by subPath: its files never change",
                quoted(&name.text)
            );
            of.found(findings, Finding::new(Rule::SubPath, of.place(name.at), what));
        }
    }
    unused(set, findings);
}

/// A class that is not in the namespace of who names it.
pub(super) fn not_beside<T>(
    of: Of<'_, T>,
    name: &Text,
    named: &Named<'_, '_>,
    findings: &mut Vec<Finding>,
) {
    let finding = match named {
        Named::Class(_) => return,
        Named::NotGiven => {
            let what =
                format!("SecretProviderClass {} is not among these manifests", quoted(&name.text));
            Finding::new(Rule::ClassNotGiven, of.place(name.at), what)
        }
        Named::Elsewhere(other) => {
            let there = other.given.manifest.full_name();
            let what = format!(
                "SecretProviderClass {} is in another namespace: {there}",
                quoted(&name.text)
            );
            Finding::new(Rule::OtherNamespace, of.place(name.at), what)
                .hint("it serves pods of its own namespace alone")
                .related(other.given.at_name(), "the class is here")
        }
    };
    of.found(findings, finding);
}

fn overrides(
    set: &Set<'_>,
    of: Of<'_, Workload>,
    volume: &Volume,
    class: &KnownClass<'_>,
    findings: &mut Vec<Finding>,
) {
    let set_here: Vec<&Pair> = volume
        .attributes
        .iter()
        .filter(|pair| &*pair.name.text != CLASS_NAME && !pair.name.text.contains('/'))
        .collect();
    for Pair { name, .. } in &set_here {
        let known = PARAMETERS.contains(&&*name.text);
        let over = class.given.body.parameter(&name.text);
        let what = match over {
            Some(_) => "wins over the class's",
            None => "is set for this volume alone",
        };
        if known {
            let message = format!("volumeAttributes: parameter {} {what}", shown(&name.text));
            let finding = Finding::new(Rule::ParameterOverride, of.place(name.at), message);
            of.found(
                findings,
                match over {
                    Some(pair) => {
                        finding.related(class.given.place(pair.name.at), "the class's is here")
                    }
                    None => finding,
                },
            );
        }
    }
    let readable = volume.attributes.iter().all(|pair| is_text(&pair.value));
    let Some(alone) = class.verdict.as_ref().filter(|_| readable) else { return };
    let own;
    let verdict = match set_here.is_empty() {
        true => alone,
        false => {
            let namespaces = [of.manifest, class.given.manifest].map(|of| of.namespace.as_ref());
            let namespace = namespaces.into_iter().flatten().next().map(|text| &*text.text);
            own =
                verdict(class.given.body, &volume.attributes, namespace, set.settings, &set.cache);
            &own
        }
    };
    let Of { index, file, .. } = class.given;
    let written = Written::of(
        vec![(of.index, of.file, &volume.attributes), (index, file, &class.given.body.parameters)],
        of.place(volume.at),
    );
    // What is wrong with the class is the class's finding.
    let known: Vec<_> = alone.errors.iter().flat_map(|errors| errors.iter()).collect();
    for error in verdict.errors.iter().flat_map(|errors| errors.iter()) {
        if !known.contains(&error) {
            of.found(findings, written.finding(error));
        }
    }
    if verdict.decision.is_some_and(|decision| decision.mode == Mode::NodePublishSecret)
        && !volume.has_secret
    {
        let mode = Mode::NodePublishSecret;
        let message = format!("identity {mode} cannot be used: the mount brings no Secret");
        let finding =
            Finding::new(Rule::Mount(Reason::NoAccessKey), of.place(volume.at), message).hint(
                "the pod's volume needs a nodePublishSecretRef to a Secret with the entries access_key \
                 and access_secret",
            );
        of.found(findings, finding);
    }
}

/// Classes that none of the workloads names, where there are any.
fn unused(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let volumes =
        set.volumes().filter_map(|(of, volume)| Some((of.manifest, volume.class.as_ref()?)));
    let syncs = set.syncs().filter_map(|of| Some((of.manifest, of.body.class.as_ref()?)));
    let users: Vec<_> = volumes.chain(syncs).collect();
    if users.is_empty() && set.workloads().next().is_none() {
        return;
    }
    let used: BTreeSet<_> = users
        .iter()
        .filter_map(|(user, name)| match set.class(&name.text, user) {
            // That it is elsewhere is a finding of what names it.
            Named::Class(class) | Named::Elsewhere(class) => {
                Some(std::ptr::from_ref(class.given.manifest))
            }
            Named::NotGiven => None,
        })
        .collect();
    for class in &set.classes {
        let of = class.given;
        if class.is_ours && !used.contains(&std::ptr::from_ref(of.manifest)) {
            let what = format!("no workload or SecretSync given here uses {}", of.title());
            of.found(findings, Finding::new(Rule::UnusedClass, of.at_name(), what));
        }
    }
}
