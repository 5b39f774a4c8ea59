//! `audit kpi`.

use std::collections::BTreeMap;

use super::{Cell, Table, count, text};
use crate::{audit::analysis::kpi::Kpi, text::shown};

/// One number. `of` says of what, where there are several of a kind.
struct Row {
    kpi: &'static str,
    of: String,
    value: Value,
    share: Option<f64>,
    label: String,
    depth: usize,
}

enum Value {
    Count(u64),
    /// Microseconds.
    Time(Option<u64>),
}

const MICROS: f64 = 1e6;

#[expect(clippy::cast_precision_loss, reason = "a share is shown with four digits")]
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "a lag is shown in microseconds at most")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / MICROS
}

/// In the order in which they are shown.
#[derive(Default)]
struct Rows(Vec<Row>);

impl Rows {
    /// A number by itself.
    fn one(
        &mut self,
        kpi: &'static str,
        depth: usize,
        label: &str,
        value: u64,
        share: Option<f64>,
    ) {
        self.add(kpi, "", depth, label, Value::Count(value), share);
    }

    fn add(
        &mut self,
        kpi: &'static str,
        of: &str,
        depth: usize,
        label: &str,
        value: Value,
        share: Option<f64>,
    ) {
        self.0.push(Row { kpi, of: of.to_owned(), value, share, label: label.to_owned(), depth });
    }

    /// One of a kind each.
    fn each(
        &mut self,
        kpi: &'static str,
        depth: usize,
        all: &BTreeMap<String, u64>,
        label: impl Fn(&str) -> String,
        whole: u64,
    ) {
        for (of, number) in all {
            self.add(kpi, of, depth, &label(of), Value::Count(*number), share(*number, whole));
        }
    }
}

fn rows(kpi: &Kpi) -> Vec<Row> {
    let mut rows = Rows::default();
    let of_mounts = |part| share(part, kpi.mounts);
    let named =
        |name: &str, none: &str| if name.is_empty() { none.to_owned() } else { name.to_owned() };
    let failed = kpi.mounts - kpi.succeeded;
    rows.one("mounts", 0, "mounts", kpi.mounts, None);
    rows.one("mounts_succeeded", 1, "succeeded", kpi.succeeded, of_mounts(kpi.succeeded));
    rows.one("mounts_failed", 1, "failed", failed, of_mounts(failed));
    rows.each("mounts_failed_with", 2, &kpi.by_outcome, str::to_owned, kpi.mounts);
    rows.one("mounts_denied", 1, "denied", kpi.denied, of_mounts(kpi.denied));
    for (by, label, mounts) in [
        ("cloud", "by the cloud", kpi.denied_by_cloud),
        ("provider", "by the provider", kpi.denied_here),
    ] {
        rows.add("mounts_denied_by", by, 2, label, Value::Count(mounts), of_mounts(mounts));
    }
    rows.one(
        "mounts_stale",
        1,
        "with a stale value",
        kpi.stale_mounts,
        of_mounts(kpi.stale_mounts),
    );
    let identity = |mode: &str| format!("identity {}", named(mode, "none"));
    rows.each("mounts_by_identity", 1, &kpi.by_identity, identity, kpi.mounts);
    let shared = of_mounts(kpi.shared);
    rows.one("mounts_shared_identity", 1, "by a shared identity", kpi.shared, shared);
    let choice = |choice: &str| format!("chosen by {}", named(choice, "nobody"));
    rows.each("mounts_by_choice", 1, &kpi.by_choice, choice, kpi.mounts);

    rows.one("values_handed_out", 0, "values handed out", kpi.handed, None);
    rows.one("secrets", 1, "secrets", kpi.secrets, None);
    rows.one("pods", 1, "pods", kpi.pods, None);
    rows.one("values_stale", 1, "stale", kpi.stale, share(kpi.stale, kpi.handed));
    let source = |source: &str| format!("from {}", named(source, "nowhere"));
    rows.each("values_by_source", 1, &kpi.sources, source, kpi.handed);
    rows.one("reads_refused", 0, "reads refused", kpi.refused_reads, None);

    let lag = &kpi.lag;
    rows.one("rotations", 0, "new versions", count(lag.rotations), None);
    rows.one("rotation_moves", 1, "taken up by pods", count(lag.moves.len()), None);
    rows.one("rotation_behind", 1, "not taken up at the last record", count(lag.behind), None);
    for (of, label, rank) in [
        ("p50", "lag at least, median", 50),
        ("p95", "lag at least, 95 %", 95),
        ("max", "lag at least, longest", 100),
    ] {
        rows.add("rotation_lag_seconds", of, 1, label, Value::Time(lag.percentile(rank)), None);
    }

    if let Some(unused) = &kpi.unused {
        rows.one("grants_never_used", 0, "grants never used", count(unused.len()), None);
        for (from, action, resource) in unused {
            let of = format!("{action} on {resource} ({from})");
            rows.add("grant_never_used", &of, 1, &of, Value::Count(1), None);
        }
    }
    rows.0
}

pub(crate) fn table(kpi: &Kpi) -> Table<'static> {
    let rows = rows(kpi).into_iter().map(|row| {
        let value = match row.value {
            Value::Count(of) => Cell::Number(of),
            Value::Time(of) => Cell::Fraction(of.map(seconds)),
        };
        vec![text(row.kpi), Cell::Text(row.of.into()), value, Cell::Fraction(row.share)]
    });
    Table { name: "kpi", columns: &["kpi", "of", "value", "share"], rows: rows.collect() }
}

pub(crate) fn render(kpi: &Kpi) -> String {
    let mut out = String::new();
    for row in rows(kpi) {
        let label = format!("{}{}", "  ".repeat(row.depth), shown(&row.label));
        if row.kpi == "grant_never_used" {
            out.push_str(&format!("{label}\n"));
            continue;
        }
        if row.depth == 0 {
            out.push('\n');
        }
        let value = match row.value {
            Value::Count(of) => of.to_string(),
            Value::Time(Some(of)) => format!("{:.1} s", seconds(of)),
            Value::Time(None) => "-".to_owned(),
        };
        let share = row.share.map(|of| format!("{:>7.1} %", of * 100.0)).unwrap_or_default();
        out.push_str(format!("{label:<36}{value:>10}{share}").trim_end());
        out.push('\n');
    }
    out
}
