//! `audit report`.

use super::{
    Cell, Table, count, short, text,
    text::{Side, columns, times},
};
use crate::{
    audit::analysis::{
        access::Kind,
        report::{Refused, Report, Sum},
    },
    text::{cut, shown},
};

/// What a report can be listed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Secret,
    Pod,
    Identity,
    Refusal,
}

impl By {
    pub(crate) const ALL: [Self; 4] = [Self::Secret, Self::Pod, Self::Identity, Self::Refusal];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Pod => "pod",
            Self::Identity => "identity",
            Self::Refusal => "refusal",
        }
    }
}

/// So much of a reason is shown to people.
const LONGEST_REASON: usize = 240;

pub(crate) fn table<'a>(report: &Report<'a>, by: By) -> Table<'a> {
    match by {
        By::Secret => Table {
            name: "by_secret",
            columns: &[
                "secret",
                "handed_out",
                "stale",
                "not_handed_out",
                "missing",
                "refused",
                "pods",
                "first",
                "last",
            ],
            rows: report
                .by_secret
                .iter()
                .map(|(secret, sum)| {
                    let pods = Cell::Number(count(sum.pods.len()));
                    [vec![text(secret)], counts(sum), vec![pods], between(sum)].concat()
                })
                .collect(),
        },
        By::Pod => Table {
            name: "by_pod",
            columns: &[
                "namespace",
                "pod",
                "uid",
                "service_account",
                "node",
                "handed_out",
                "stale",
                "not_handed_out",
                "missing",
                "refused",
                "secrets",
                "first",
                "last",
            ],
            rows: report
                .by_pod
                .iter()
                .map(|(pod, sum)| {
                    let secrets = Cell::Number(count(sum.secrets.len()));
                    let names = pod.iter().map(|name| text(name)).collect();
                    [names, counts(sum), vec![secrets], between(sum)].concat()
                })
                .collect(),
        },
        By::Identity => Table {
            name: "by_identity",
            columns: &[
                "identity",
                "role",
                "access_key_id",
                "handed_out",
                "stale",
                "not_handed_out",
                "missing",
                "refused",
                "secrets",
                "pods",
                "first",
                "last",
            ],
            rows: report
                .by_identity
                .iter()
                .map(|(identity, sum)| {
                    let names = identity.iter().map(|name| text(name)).collect();
                    let [secrets, pods] =
                        [&sum.secrets, &sum.pods].map(|of| Cell::Number(count(of.len())));
                    [names, counts(sum), vec![secrets, pods], between(sum)].concat()
                })
                .collect(),
        },
        By::Refusal => Table {
            name: "refusals",
            columns: &[
                "namespace",
                "service_account",
                "secret_provider_class",
                "identity",
                "role",
                "access_key_id",
                "secret",
                "outcome",
                "code",
                "endpoint",
                "times",
                "pods",
                "first",
                "last",
                "reason",
            ],
            rows: report.refusals.iter().map(|(kind, of)| refusal(report, kind, of)).collect(),
        },
    }
}

fn counts<'a>(sum: &Sum) -> Vec<Cell<'a>> {
    let counts = [sum.handed.times, sum.stale, sum.kept, sum.missing, sum.refused.times];
    counts.map(Cell::Number).to_vec()
}

/// When anything was handed out.
fn between<'a>(sum: &Sum) -> Vec<Cell<'a>> {
    vec![Cell::Time(sum.handed.first()), Cell::Time(sum.handed.last())]
}

fn refusal<'a>(report: &Report<'a>, kind: &Kind, of: &Refused) -> Vec<Cell<'a>> {
    let accesses = report.accesses;
    let names = &accesses.names;
    let identity = names.identity_of(kind.identity);
    let texts = [
        kind.namespace,
        kind.service_account,
        kind.class,
        identity.mode,
        identity.role,
        identity.key,
        kind.resource,
        kind.outcome,
        kind.code,
        kind.endpoint,
    ];
    let mut row = texts.map(|of| text(names.of(of))).to_vec();
    row.extend([
        Cell::Number(of.span.times),
        Cell::Number(count(of.pods.len())),
        Cell::Time(of.span.first()),
        Cell::Time(of.span.last()),
        text(accesses.reason(kind)),
    ]);
    row
}

/// As whom: `pod acs:ram::...`, `access-key LTAI...`, `ecs-role`.
pub(super) fn identity(mode: &str, role: &str, key: &str) -> String {
    if mode.is_empty() {
        return "no identity".to_owned();
    }
    let owner = if role.is_empty() { key } else { role };
    shown(&format!("{mode} {owner}")).trim_end().to_owned()
}

pub(super) fn pod(namespace: &str, pod: &str, uid: &str) -> String {
    match pod {
        "" => "no pod named".to_owned(),
        pod => shown(&format!("{namespace}/{pod}, uid {uid}")).into_owned(),
    }
}

pub(crate) fn render(report: &Report<'_>, by: &[By]) -> String {
    let parts = by.iter().map(|by| match by {
        By::Secret => section(
            "by secret",
            ("SECRET", &["PODS"]),
            report
                .by_secret
                .iter()
                .map(|(name, sum)| (shown(name).into_owned(), vec![count(sum.pods.len())], sum)),
        ),
        By::Pod => section(
            "by pod",
            ("POD", &["SECRETS"]),
            report.by_pod.iter().map(|([namespace, name, uid, ..], sum)| {
                (pod(namespace, name, uid), vec![count(sum.secrets.len())], sum)
            }),
        ),
        By::Identity => section(
            "by identity",
            ("IDENTITY", &["SECRETS", "PODS"]),
            report.by_identity.iter().map(|([mode, role, key], sum)| {
                let counts = vec![count(sum.secrets.len()), count(sum.pods.len())];
                (identity(mode, role, key), counts, sum)
            }),
        ),
        By::Refusal => refusals(report),
    });
    parts.map(|part| format!("\n{part}")).collect()
}

fn section<'a>(
    title: &str,
    (name, counts): (&'static str, &[&'static str]),
    rows: impl Iterator<Item = (String, Vec<u64>, &'a Sum)>,
) -> String {
    let mut heads = vec![(name, Side::Left), ("HANDED OUT", Side::Right), ("REFUSED", Side::Right)];
    heads.extend(counts.iter().map(|head| (*head, Side::Right)));
    heads.extend([("FIRST", Side::Left), ("LAST", Side::Left)]);
    let rows = rows.map(|(name, counts, sum)| {
        let mut row = vec![name, sum.handed.times.to_string(), sum.refused.times.to_string()];
        row.extend(counts.iter().map(u64::to_string));
        let none = || "never".to_owned();
        row.push(sum.handed.first().map_or_else(none, short));
        row.push(sum.handed.last().map(short).unwrap_or_default());
        row
    });
    let rows: Vec<Vec<String>> = rows.collect();
    match rows.is_empty() {
        true => format!("{title}: none\n"),
        false => format!("{title}\n{}", columns(2, &heads, &rows)),
    }
}

fn refusals(report: &Report<'_>) -> String {
    if report.refusals.is_empty() {
        return "refusals: none\n".to_owned();
    }
    let names = &report.accesses.names;
    let mut out = "refusals\n".to_owned();
    for (kind, of) in &report.refusals {
        let named = |number| shown(names.of(number)).into_owned();
        let by = names.identity_of(kind.identity);
        let pods = super::text::number(count(of.pods.len()), "pod", "pods");
        let code = [named(kind.outcome), named(kind.code)].join(" ");
        let from = match &*named(kind.endpoint) {
            "" => "no host was asked".to_owned(),
            host => format!("from {host}"),
        };
        let what = match &*named(kind.resource) {
            "" => "the whole mount".to_owned(),
            resource => resource.to_owned(),
        };
        let reason = shown(report.accesses.reason(kind));
        let dots = if reason.len() > LONGEST_REASON { "..." } else { "" };
        out.push_str(&format!(
            "  {}, {pods}, {}\n    {}, {from}\n    {}/{}, class {}, {}\n    {what}\n    {}{dots}\n",
            times(of.span.times),
            super::text::span(&of.span),
            code.trim_end(),
            named(kind.namespace),
            named(kind.service_account),
            named(kind.class),
            identity(names.of(by.mode), names.of(by.role), names.of(by.key)),
            cut(&reason, LONGEST_REASON),
        ));
    }
    out
}
