//! ServiceAccounts: the RAM role that their annotations name, and whether those who need one have it.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    check::{
        finding::Finding,
        mount::{Verdict, text},
        rule::Rule,
        set::{Named, Of, Set, same_namespace},
    },
    error::{Error, Location, Reason},
    manifests::{Body, Manifest, service_account::ServiceAccount, value::Text},
    names::{RoleArn, account},
    policy::Policy,
    role::{Annotations, ROLE_ARN, ROLE_NAME},
    spc::mode::Mode,
};

pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    let policy = &set.settings.policy;
    let mut accounts: BTreeMap<&str, Vec<Of<'_, ServiceAccount>>> = BTreeMap::new();
    for of in set.manifests() {
        let (Body::ServiceAccount(account), Some(name)) = (of.body, &of.manifest.name) else {
            continue;
        };
        accounts.entry(&name.text).or_default().push(of.with(account));
        // Whether it needs one is for who uses it.
        judge(of.with(account), None, policy, findings, |error| error.reason != Reason::NoRole);
    }
    // Once for all who use one.
    let mut reported: BTreeSet<*const Manifest> = BTreeSet::new();
    let users = set.volumes().filter_map(|(of, volume)| {
        Some((of.manifest, volume.class.as_ref()?, of.body.service_account.as_ref()))
    });
    let syncs = set.syncs().filter_map(|of| {
        Some((of.manifest, of.body.class.as_ref()?, of.body.service_account.as_ref()))
    });
    for (user, class, name) in users.chain(syncs) {
        let Named::Class(class) = set.class(&class.text, user) else { continue };
        let Some(Verdict { spec: Some(spec), decision: Some(decision), .. }) = &class.verdict
        else {
            continue;
        };
        if decision.mode != Mode::Pod {
            continue;
        }
        let name = name.map_or("default", |name| &name.text);
        let beside = |of: &&Of<'_, ServiceAccount>| {
            same_namespace(of.manifest.namespace.as_ref(), user.namespace.as_ref())
        };
        let Some(account) = accounts.get(name).and_then(|all| all.iter().find(beside)) else {
            continue;
        };
        let role = spec.role.as_ref();
        if reported.contains(&std::ptr::from_ref(account.manifest)) {
            continue;
        }
        let before = findings.len();
        let alone = |error: &Error| error.reason == Reason::NoRole || role.is_some();
        judge(*account, role, policy, findings, alone);
        if findings.len() > before {
            reported.insert(std::ptr::from_ref(account.manifest));
        }
    }
}

fn judge(
    of: Of<'_, ServiceAccount>,
    parameter: Option<&RoleArn>,
    policy: &Policy,
    findings: &mut Vec<Finding>,
    counts: impl Fn(&Error) -> bool,
) {
    let all =
        of.body.annotations.iter().filter_map(|pair| {
            Some((pair.name.text.to_string(), pair.value.text()?.text.to_string()))
        });
    let annotations = Annotations::of(all.collect());
    // The cluster's account is not known here; roles by name and by ARN are compared as if in one.
    let arn = annotations.role_arn.as_deref().map(str::trim).or(parameter.map(RoleArn::as_str));
    let id = arn.and_then(account).unwrap_or("1");
    let judged = annotations.role(&of.manifest.full_name(), parameter, id, true);
    let namespace = of.manifest.namespace.as_ref().map(|name| &*name.text);
    // A finding about a role that a parameter alone names is the class's.
    let by_annotation = annotations.name_a_role() && arn.is_some();
    let allowed = judged.and_then(|role| match namespace.filter(|_| by_annotation) {
        Some(namespace) => policy.check_role(namespace, &role),
        None => Ok(()),
    });
    let Err(error) = allowed else { return };
    if !counts(&error) {
        return;
    }
    let annotation = match error.location.as_deref() {
        Some(Location::Annotation(name)) => Some(&**name),
        _ => [ROLE_ARN, ROLE_NAME].into_iter().find(|name| value(of, name).is_some()),
    };
    let at = annotation.and_then(|name| value(of, name)).map(|text| of.place(text.at));
    let bare = Error { hint: Box::default(), ..error.clone() };
    let place = at.unwrap_or_else(|| of.at_name());
    let finding = Finding::new(Rule::Mount(error.reason), place, bare.to_string());
    of.found(findings, finding.hint(&*error.hint));
}

fn value<'a>(of: Of<'a, ServiceAccount>, name: &str) -> Option<&'a Text> {
    let pair = of.body.annotations.iter().find(|pair| text(Some(&pair.name)) == name)?;
    pair.value.text()
}
