//! The figures beside their targets: on the screen, and in docs/performance.md with the curves.

use std::{fs, path::Path};

use crate::{Fault, curves::Picture, page::Page};

const FROM: &str = "<!-- `make bench` writes from here -->\n";
const TO: &str = "<!-- to here -->\n";

pub(crate) struct Figure {
    pub(crate) what: String,
    /// Empty for what is told beside the others.
    pub(crate) target: String,
    pub(crate) seen: String,
    /// The same of the naive mode, where it has it.
    pub(crate) naive: String,
    pub(crate) met: Option<bool>,
}

#[derive(Default)]
pub(crate) struct Report {
    figures: Vec<Figure>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn target(&mut self, what: &str, target: &str, seen: String, met: bool) {
        self.add(what, target, seen, Some(met));
    }

    pub(crate) fn told(&mut self, what: &str, seen: String) {
        self.add(what, "", seen, None);
    }

    /// What the figure before was with the program of 2026-11-25, in the column of the naive mode.
    pub(crate) fn before(&mut self, seen: &str) {
        self.naive(format!("(was {seen})"));
    }

    /// What the naive mode took for the figure before.
    pub(crate) fn naive(&mut self, seen: String) {
        if let Some(figure) = self.figures.last_mut() {
            figure.naive = seen;
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    fn add(&mut self, what: &str, target: &str, seen: String, met: Option<bool>) {
        let (what, target) = (what.to_owned(), target.to_owned());
        self.figures.push(Figure { what, target, seen, naive: String::new(), met });
    }

    pub(crate) fn print(&self, page: &Page) -> Result<(), Fault> {
        page.line(&format!("\n{}{}", self.table(), self.remarks()))
    }

    fn table(&self) -> String {
        let head = ["figure", "target", "seen", "", "naive"].map(str::to_owned);
        let mut rows = vec![head];
        rows.extend(self.figures.iter().map(|figure| {
            let Figure { what, target, seen, naive, met } = figure;
            let verdict = met.map_or("", |met| if met { "ok" } else { "**missed**" });
            [what.clone(), target.clone(), seen.clone(), verdict.to_owned(), naive.clone()]
        }));
        let mut widths = [0; 5];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.chars().count().max(*width).max(3);
            }
        }
        let mut table = String::new();
        for (number, row) in rows.iter().enumerate() {
            let cells: Vec<String> =
                row.iter().zip(widths).map(|(cell, width)| format!(" {cell:width$} ")).collect();
            table.push_str(&format!("|{}|\n", cells.join("|")));
            if number == 0 {
                let rules = widths.map(|width| "-".repeat(width + 2));
                table.push_str(&format!("|{}|\n", rules.join("|")));
            }
        }
        table
    }

    fn remarks(&self) -> String {
        self.notes.iter().map(|note| format!("\n{note}\n")).collect()
    }

    /// Replaces what an earlier run wrote.
    pub(crate) fn publish(&self, docs: &Path, pictures: &[Picture]) -> Result<(), Fault> {
        let folder = docs.join("bench");
        fs::create_dir_all(&folder)?;
        let mut text = format!("\n{}{}", self.table(), self.remarks());
        for (name, about, svg) in pictures {
            fs::write(folder.join(format!("{name}.svg")), svg)?;
            text.push_str(&format!("\n![{about}](bench/{name}.svg)\n"));
        }
        let page = docs.join("performance.md");
        let old = fs::read_to_string(&page)?;
        let (before, rest) =
            old.split_once(FROM).ok_or("docs/performance.md has no place for it")?;
        let (_, after) =
            rest.split_once(TO).ok_or("docs/performance.md has no end of its place")?;
        Ok(fs::write(page, format!("{before}{FROM}{text}\n{TO}{after}"))?)
    }
}

/// What others ask of the machine, before this does.
pub(crate) fn load_average() -> Result<String, Fault> {
    let averages = fs::read_to_string("/proc/loadavg")?;
    Ok(averages.split(' ').next().unwrap_or_default().to_owned())
}

/// What this ran on.
pub(crate) fn machine() -> Result<String, Fault> {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let of = |name: &str| {
        let line = cpus.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map_or("an unknown CPU", |(_, model)| model.trim())
    };
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    Ok(format!("{cores} cores of {}, Linux {}, {date}", of("model name"), kernel.trim()))
}
