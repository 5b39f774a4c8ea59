//! `audit who`.

use std::collections::BTreeMap;

use super::{
    Cell, Table,
    report::identity,
    short, text,
    text::{Side, columns, span, times},
};
use crate::{
    audit::analysis::who::{Had, Reader},
    text::shown,
};

/// So many versions are listed to people.
const MOST_VERSIONS: usize = 3;

/// Of a uid people are shown the start.
const SHORT_UID: usize = 8;

type Readers<'a> = BTreeMap<Reader<'a>, Had<'a>>;

pub(crate) fn table<'a>(readers: &Readers<'a>) -> Table<'a> {
    let rows = readers.iter().map(|(reader, had)| {
        let texts = [
            reader.secret,
            reader.namespace,
            reader.pod,
            reader.uid,
            reader.service_account,
            reader.node,
            reader.class,
            reader.identity,
            reader.role,
            reader.access_key_id,
        ];
        let mut row = texts.map(text).to_vec();
        let codes = had.refusals.iter().flat_map(|(outcome, code)| [*outcome, *code]);
        row.extend([
            Cell::List(had.via.iter().copied().collect()),
            Cell::Number(had.handed.times),
            Cell::Time(had.handed.first()),
            Cell::Time(had.handed.last()),
            Cell::List(had.versions.clone()),
            Cell::Number(had.stale),
            Cell::Number(had.kept),
            Cell::Number(had.missing),
            Cell::Number(had.refused.times),
            Cell::Time(had.refused.first()),
            Cell::Time(had.refused.last()),
            Cell::List(codes.filter(|text| !text.is_empty()).collect()),
        ]);
        row
    });
    Table {
        name: "who",
        columns: &[
            "secret",
            "namespace",
            "pod",
            "uid",
            "service_account",
            "node",
            "secret_provider_class",
            "identity",
            "role",
            "access_key_id",
            "via",
            "handed_out",
            "first",
            "last",
            "versions",
            "stale",
            "not_handed_out",
            "missing",
            "refused",
            "refused_first",
            "refused_last",
            "refused_with",
        ],
        rows: rows.collect(),
    }
}

pub(crate) fn render(wanted: &str, readers: &Readers<'_>) -> String {
    if readers.is_empty() {
        return format!("\n{}: no record of a read\n", shown(wanted));
    }
    let mut out = String::new();
    let all: Vec<(&Reader<'_>, &Had<'_>)> = readers.iter().collect();
    for of_secret in all.chunk_by(|(a, _), (b, _)| a.secret == b.secret) {
        let Some((reader, _)) = of_secret.first() else { continue };
        out.push_str(&format!("\n{}\n", shown(reader.secret)));
        let group = |reader: &Reader<'_>| {
            let Reader { namespace, service_account, identity, role, access_key_id, class, .. } =
                *reader;
            [namespace, service_account, identity, role, access_key_id, class].map(str::to_owned)
        };
        for alike in of_secret.chunk_by(|(a, _), (b, _)| group(a) == group(b)) {
            out.push_str(&account(alike));
        }
    }
    out
}

/// Pods of a StatefulSet have the same name again and again.
fn named(reader: &Reader<'_>) -> String {
    let start: String = reader.uid.chars().take(SHORT_UID).collect();
    shown(&format!("{} ({start})", reader.pod)).into_owned()
}

/// Pods of one ServiceAccount, class and identity.
fn account(alike: &[(&Reader<'_>, &Had<'_>)]) -> String {
    let Some((first, _)) = alike.first() else { return String::new() };
    let mut out = format!(
        "  {}, class {}, as {}\n",
        shown(&format!("{}/{}", first.namespace, first.service_account)),
        shown(first.class),
        identity(first.identity, first.role, first.access_key_id),
    );
    let handed = alike.iter().filter(|(_, had)| had.handed.times > 0);
    let rows: Vec<Vec<String>> = handed
        .map(|(reader, had)| {
            vec![
                named(reader),
                had.handed.times.to_string(),
                short(had.handed.first),
                short(had.handed.last),
                versions(&had.versions),
            ]
        })
        .collect();
    if !rows.is_empty() {
        let heads = [
            ("POD", Side::Left),
            ("HANDED OUT", Side::Right),
            ("FIRST", Side::Left),
            ("LAST", Side::Left),
            ("VERSIONS", Side::Left),
        ];
        out.push_str(&columns(4, &heads, &rows));
    }
    for (reader, had) in alike {
        let pod = named(reader);
        if had.via.contains("sync") {
            out.push_str(&format!(
                "    {pod}: the sync controller, for a Secret; who reads that is in no record\n"
            ));
        }
        if had.refused.times > 0 {
            let code =
                |(outcome, code): &(&str, &str)| format!("{outcome} {code}").trim_end().to_owned();
            let codes: Vec<String> = had.refusals.iter().map(code).collect();
            out.push_str(&format!(
                "    {pod}: refused {}, {}\n      {}\n",
                times(had.refused.times),
                span(&had.refused),
                shown(&codes.join(", "))
            ));
        }
        if had.kept > 0 {
            out.push_str(&format!(
                "    {pod}: read {} and not handed out, since the mount failed\n",
                times(had.kept)
            ));
        }
        if had.missing > 0 {
            out.push_str(&format!("    {pod}: optional, and not there {}\n", times(had.missing)));
        }
    }
    out
}

fn versions(versions: &[&str]) -> String {
    let skipped = versions.len().saturating_sub(MOST_VERSIONS);
    let last: Vec<_> = versions.iter().skip(skipped).map(|version| shown(version)).collect();
    let before = if skipped > 0 { format!("{skipped} before, ") } else { String::new() };
    format!("{before}{}", last.join(", "))
}
