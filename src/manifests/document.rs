//! One document: its objects, or why it cannot be read.

use super::{
    BUDGET, Body, Document, File, Manifest, Unreadable, class::Class, csi_driver::CsiDriver,
    secret_sync::SecretSync, service_account::ServiceAccount, split, split::Part, value::At,
    workload, workload::Workload,
};
use crate::yaml::{Malformed, Node, Position};

const CLASS: &str = "SecretProviderClass";
const SYNC: &str = "SecretSync";
const SERVICE_ACCOUNT: &str = "ServiceAccount";
const CSI_DRIVER: &str = "CSIDriver";

pub(super) fn read(part: &Part<'_>, file: &mut File) {
    let breaks = super::source::starts(part.text).len();
    let lines = if part.text.ends_with(['\n', '\r']) { breaks - 1 } else { breaks };
    let lines = u32::try_from(lines).unwrap_or(u32::MAX);
    let last_line = part.line.saturating_add(lines).saturating_sub(1);
    file.documents.push(Document { first_line: part.line, last_line });
    if part.text.trim_start_matches('-').trim_ascii().is_empty() {
        return;
    }
    if split::kind(part.text).is_some_and(|kind| !is_read(kind) && !is_list(kind)) {
        file.passed_over += 1;
        return;
    }
    match Node::parse_within(part.text, BUDGET) {
        Ok(node) => object(At { node: &node, line: part.line }, file),
        Err(malformed) => file.unreadable.push(unreadable(part, malformed)),
    }
}

pub(super) fn unreadable(part: &Part<'_>, Malformed { reason, at }: Malformed) -> Unreadable {
    const NAMES: [&str; 4] = ["secrets-store", "secret-sync.x-k8s.io", CLASS, SYNC];
    // Each kind that is named anywhere in it, since the mark between two documents may be what is missing.
    let kinds = part.text.match_indices("kind").filter_map(|(start, word)| {
        let rest = part.text.get(start + word.len()..)?.trim_start_matches('"');
        Some(rest.strip_prefix(':')?.trim_start_matches([' ', '"', '\'']))
    });
    let ours = |kind: &str| {
        [CLASS, SYNC].iter().any(|ours| {
            kind.strip_prefix(ours).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
        })
    };
    Unreadable {
        at: Position { line: at.line.saturating_add(part.line).saturating_sub(1), ..at },
        reason,
        concerns_us: NAMES.iter().any(|name| part.text.contains(name)),
        may_hold_values: part.text.contains("stringData") || !{ kinds }.all(ours),
    }
}

pub(super) fn is_list(kind: &str) -> bool {
    kind.ends_with("List")
}

fn is_read(kind: &str) -> bool {
    matches!(kind, CLASS | SYNC | SERVICE_ACCOUNT | CSI_DRIVER)
        || workload::pod_spec(kind).is_some()
}

/// Whether it is of an API group that is not Kubernetes' own: other projects have kinds of the same names.
fn is_foreign(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    group.contains('.') && !group.ends_with("k8s.io")
}

/// An object, or a List of objects.
fn object(at: At<'_>, file: &mut File) {
    if at.node.is_null() {
        return;
    }
    let Some(kind) = at.text("kind") else {
        file.passed_over += 1;
        return;
    };
    let items = at.get("items").filter(|_| is_list(&kind.text));
    if let Some(items) = items {
        items.items().for_each(|item| object(item, file));
        return;
    }
    let api_version = at.text("apiVersion");
    if api_version.as_ref().is_some_and(|version| is_foreign(&version.text)) {
        file.passed_over += 1;
        return;
    }
    let body = match &*kind.text {
        CLASS => Body::Class(Class::of(at)),
        SYNC => Body::Sync(SecretSync::of(at)),
        SERVICE_ACCOUNT => Body::ServiceAccount(ServiceAccount::of(at)),
        CSI_DRIVER => Body::CsiDriver(CsiDriver::of(at)),
        other => match workload::pod_spec(other) {
            Some(path) => Body::Workload(Workload::of(at, path)),
            None => {
                file.passed_over += 1;
                return;
            }
        },
    };
    let metadata = |key: &str| at.get("metadata").and_then(|metadata| metadata.text(key));
    file.manifests.push(Manifest {
        at: at.position(),
        api_version,
        name: metadata("name"),
        namespace: metadata("namespace"),
        generate_name: metadata("generateName").is_some(),
        kind,
        body,
    });
}
