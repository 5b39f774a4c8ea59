//! The table of a run, for the terminal and as Markdown.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    Fault,
    figures::{Row, Sample, Traffic},
    matrix::Cell,
    options::{Options, Sharing},
};

const CONCLUSIONS: &str = include_str!("conclusions.md");

pub(crate) fn setting(options: &Options) -> String {
    let share = match options.share {
        Sharing::Pod => "pod",
        Sharing::ServiceAccount => "service-account",
    };
    let batch = if options.kms_batch.on() { "auto" } else { "off" };
    format!(
        "{} nodes x {} pods x {} secrets, --share={share} --kms-batch={batch} \
         --refresh-interval={}s; quotas: KMS {}/s, STS {}/s",
        options.nodes,
        options.pods,
        options.objects,
        options.refresh_interval,
        options.kms_quota,
        options.sts_quota
    )
}

/// Name and value of every figure, the same for all rows.
fn cells(row: &Row<'_>) -> Vec<(&'static str, String)> {
    let mut cells = vec![
        ("KMS calls/s: peak, mean, answered", rates(&row.kms)),
        ("KMS throttled", percent(row.kms.throttled)),
        ("STS calls/s: peak, mean, answered", rates(&row.sts)),
        ("STS throttled", percent(row.sts.throttled)),
        ("the cloud gave all of it after: p50, p90, p99, max", given(row)),
        ("all caught up after: p50, p90, p99, max", caught(row)),
        ("age of what is mounted: p50, p90, p99, max", times(row.ages)),
        ("first mounts waited: p50, p90, p99, max", times(&row.waited)),
        ("first mounts, failed tries", format!("{}, {}", row.waited.len(), row.failed_first)),
    ];
    let share = |count: u64| {
        let of = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        of(count) / of(row.mounts).max(1.0)
    };
    let failed = format!("{} of {} ({})", row.failed, row.mounts, percent(share(row.failed)));
    cells.push(("mounts that failed", failed));
    cells
}

pub(crate) fn text(rows: &[Row<'_>]) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = writeln!(text, "\n{}", row.title);
        for (name, value) in cells(row) {
            let _ = writeln!(text, "  {name:51} {value}");
        }
        for (reason, count) in &row.reasons {
            let _ = writeln!(text, "  {:44} {count} x {reason}", "");
        }
    }
    text
}

/// The conclusions, and after them the table of each setting that was run.
pub(crate) fn write(file: &Path, setting: &str, rows: &[Row<'_>]) -> Result<(), Fault> {
    add(file, setting, &markdown(setting, rows))
}

/// In place of what has that heading.
fn add(file: &Path, heading: &str, table: &str) -> Result<(), Fault> {
    const MARK: &str = "\n### ";
    let old = fs::read_to_string(file).unwrap_or_default();
    let others = old.split(MARK).skip(1).filter(|table| !table.starts_with(heading));
    let mut text = format!("{CONCLUSIONS}\n## Figures\n");
    for table in others.chain([table]) {
        let _ = writeln!(text, "{MARK}{}", table.trim_end());
    }
    Ok(fs::write(file, text)?)
}

const MATRIX: &str = "Sizes and neighbours";

/// Name and value of every figure of a cluster, the same for all.
fn matrix_cells(cell: &Cell) -> Vec<(&'static str, String)> {
    let waits = |sample: &Sample| {
        let at = |share| sample.at(share).map_or_else(|| "-".to_owned(), time);
        format!("{}, {}, {}", at(0.5), at(0.99), at(1.0))
    };
    let count = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    vec![
        ("nodes", cell.nodes.to_string()),
        ("neighbours use", cell.neighbours.to_owned()),
        ("wanted of the rest", format!("{:.0} %", cell.wanted * 100.0)),
        ("as ever", waits(&cell.as_ever)),
        ("right after one 429", waits(&cell.at_once)),
        ("5 s after it", waits(&cell.soon)),
        ("beside an always throttled pod", waits(&cell.beside)),
        ("age of values: p50, p99", {
            let at = |share| cell.ages.at(share).map_or_else(|| "-".to_owned(), time);
            format!("{}, {}", at(0.5), at(0.99))
        }),
        ("running pods' mounts that failed", {
            format!("{} of {}", count(cell.failed), count(cell.mounts))
        }),
        ("KMS throttled", percent(cell.throttled)),
    ]
}

pub(crate) fn matrix_text(cells: &[Cell]) -> String {
    let mut text = String::new();
    for cell in cells {
        let figures =
            matrix_cells(cell).into_iter().map(|(name, value)| format!("{name}: {value}"));
        let _ = writeln!(text, "{}", figures.collect::<Vec<_>>().join("; "));
    }
    text
}

pub(crate) fn write_matrix(file: &Path, setting: &str, cells: &[Cell]) -> Result<(), Fault> {
    let columns: Vec<_> = cells.iter().map(matrix_cells).collect();
    let heads = columns.first().map(Vec::as_slice).unwrap_or_default();
    let mut text = format!(
        "{MATRIX}\n\n{}. A pod that starts has 10 secrets of its own; what it waits is p50, p99, max. Reads take \
         90 to 150 ms, errors 1 to 3 ms.\n\n",
        setting.split_once(" nodes x ").map_or(setting, |(_, rest)| rest)
    );
    let heads: Vec<_> = heads.iter().map(|(name, _)| *name).collect();
    let _ = writeln!(text, "| {} |\n|{}", heads.join(" | "), "---|".repeat(heads.len()));
    for column in &columns {
        let values: Vec<_> = column.iter().map(|(_, value)| value.as_str()).collect();
        let _ = writeln!(text, "| {} |", values.join(" | "));
    }
    add(file, MATRIX, &text)
}

fn markdown(setting: &str, rows: &[Row<'_>]) -> String {
    let titles: Vec<_> = rows.iter().map(|row| row.title).collect();
    let mut text = format!("{setting}\n\n| | {} |\n", titles.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(rows.len()));
    let columns: Vec<_> = rows.iter().map(cells).collect();
    let names = columns.first().map(Vec::as_slice).unwrap_or_default();
    for (line, (name, _)) in names.iter().enumerate() {
        let values: Vec<_> = columns
            .iter()
            .filter_map(|column| column.get(line).map(|(_, value)| value.as_str()))
            .collect();
        let _ = writeln!(text, "| {name} | {} |", values.join(" | "));
    }
    text
}

fn rates(traffic: &Traffic) -> String {
    format!("{}, {:.0}, {:.0}", traffic.peak, traffic.mean, traffic.answered)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn caught(row: &Row<'_>) -> String {
    match &row.caught {
        None => "-".to_owned(),
        Some(sample) if row.left > 0 => {
            format!("{}; {} of {} not", times(sample), row.left, row.pods)
        }
        Some(sample) => times(sample),
    }
}

fn given(row: &Row<'_>) -> String {
    row.given.as_ref().map_or_else(|| "-".to_owned(), times)
}

fn times(sample: &Sample) -> String {
    let at = |share| sample.at(share).map_or_else(|| "-".to_owned(), time);
    format!("{}, {}, {}, {}", at(0.5), at(0.9), at(0.99), at(1.0))
}

fn time(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 100.0 => format!("{s:.0} s"),
        s => format!("{:.1} min", s / 60.0),
    }
}
