//! Coverage: which lines there are, and which are missing, so that nobody takes an answer for more than it is.

use std::collections::{BTreeMap, BTreeSet};

use super::Span;
use crate::records::{Broken, Event, Record};

/// Findings that are listed one by one; the rest is counted.
const MOST_LISTED: usize = 100;

/// Which records count.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    /// From this time on.
    pub(crate) since: Option<i64>,
    /// Before this time.
    pub(crate) until: Option<i64>,
    /// In one of these, or in any.
    pub(crate) namespaces: Vec<String>,
}

impl Filter {
    fn takes(&self, record: &Record<'_>) -> bool {
        self.since.is_none_or(|since| record.at >= since)
            && self.until.is_none_or(|until| record.at < until)
            && (self.namespaces.is_empty()
                || self.namespaces.iter().any(|of| **of == *record.namespace))
    }

    pub(crate) fn is_of_time(&self) -> bool {
        self.since.is_some() || self.until.is_some()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) filter: Filter,
    /// Lines that are not empty.
    pub(crate) lines: u64,
    pub(crate) files: BTreeSet<String>,
    pub(crate) nodes: BTreeSet<String>,
    /// Of all lines that are understood.
    pub(crate) all: Span,
    /// Of reads and refusals that the filter takes.
    pub(crate) taken: Span,
    pub(crate) broken: Vec<(String, u64, Broken)>,
    pub(crate) broken_lines: u64,
    /// Lines that were here already, under the same run and number.
    pub(crate) repeated: u64,
    /// Records that could not be written, as lines say.
    pub(crate) lost: u64,
    runs: BTreeMap<String, Run>,
}

/// Which numbers of a run's lines are here: the first and the last of each stretch.
#[derive(Debug, Default)]
struct Run(BTreeMap<u64, u64>);

impl Run {
    /// Whether it was not here yet.
    fn add(&mut self, seq: u64) -> bool {
        let below = self.0.range(..=seq).next_back().map(|(from, to)| (*from, *to));
        if below.is_some_and(|(_, to)| to >= seq) {
            return false;
        }
        let from = match below {
            Some((from, to)) if to.checked_add(1) == Some(seq) => from,
            _ => seq,
        };
        let to = seq.checked_add(1).and_then(|next| self.0.remove(&next)).unwrap_or(seq);
        self.0.insert(from, to);
        true
    }

    /// The stretches that are missing between those that are here.
    fn gaps(&self) -> impl Iterator<Item = (u64, u64)> {
        let next = self.0.keys().skip(1);
        self.0.values().zip(next).map(|(to, from)| (to.saturating_add(1), from.saturating_sub(1)))
    }
}

/// Lines of a run that are not here, though lines before and after them are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gap<'a> {
    pub(crate) run: &'a str,
    pub(crate) from: u64,
    pub(crate) to: u64,
}

impl Coverage {
    pub(crate) fn new(filter: Filter) -> Self {
        Self { filter, ..Self::default() }
    }

    /// Takes note of a line, and gives the record back if it counts.
    pub(crate) fn take<'a>(
        &mut self,
        file: &str,
        number: u64,
        line: Result<Record<'a>, Broken>,
    ) -> Option<Record<'a>> {
        self.lines += 1;
        if !self.files.contains(file) {
            self.files.insert(file.to_owned());
        }
        let record = match line {
            Ok(record) => record,
            Err(broken) => {
                self.broken_lines += 1;
                if self.broken.len() < MOST_LISTED {
                    self.broken.push((file.to_owned(), number, broken));
                }
                return None;
            }
        };
        let is_new = match self.runs.get_mut(&*record.run) {
            Some(run) => run.add(record.seq),
            None => self.runs.entry(record.run.clone().into_owned()).or_default().add(record.seq),
        };
        if !is_new {
            self.repeated += 1;
            return None;
        }
        self.all.add(record.at);
        if !record.node.is_empty() && !self.nodes.contains(&*record.node) {
            self.nodes.insert(record.node.clone().into_owned());
        }
        if record.event == Event::Lost {
            self.lost = self.lost.saturating_add(record.lost);
        }
        let counts = record.is_of_a_mount() && self.filter.takes(&record);
        if counts {
            self.taken.add(record.at);
        }
        counts.then_some(record)
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Runs whose first line is not here: rotation gave it up, or it was left out.
    pub(crate) fn headless(&self) -> usize {
        self.runs.values().filter(|run| run.0.keys().next().is_some_and(|first| *first > 1)).count()
    }

    pub(crate) fn gaps(&self) -> impl Iterator<Item = Gap<'_>> {
        self.runs
            .iter()
            .flat_map(|(id, run)| run.gaps().map(|(from, to)| Gap { run: id, from, to }))
    }

    /// How many lines the gaps are.
    pub(crate) fn missing(&self) -> u64 {
        self.gaps()
            .fold(0, |sum: u64, gap| sum.saturating_add((gap.to - gap.from).saturating_add(1)))
    }

    /// Whether all that these files should have is here and understood. What stood before them is not known.
    pub(crate) fn is_whole(&self) -> bool {
        self.broken_lines == 0 && self.lost == 0 && self.gaps().next().is_none()
    }
}

#[cfg(test)]
mod tests;
