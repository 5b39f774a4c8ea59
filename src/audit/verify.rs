//! Reads records again and finds what was done to them: each line is held to its own hash, to the
//! number that it must have, and to the hash of the line before it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt,
    io::{self, BufRead},
};

use serde::Deserialize;

use super::{
    chain::{self, Digest},
    hash::Hash,
};

/// Findings that are listed one by one; the rest is counted.
const MOST_LISTED: usize = 100;

/// What verification came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) lines: u64,
    pub(crate) files: u64,
    pub(crate) runs: Vec<Run>,
    pub(crate) first_time: String,
    pub(crate) last_time: String,
    pub(crate) findings: Vec<Finding>,
    /// Beyond those that are listed.
    pub(crate) more: u64,
    pub(crate) last: Option<Hash>,
    /// Records that the writer itself says are missing.
    pub(crate) lost: u64,
    /// Some lines say that they are chained in another way than they are held to.
    pub(crate) other_digest: Option<String>,
}

/// The lines of one process.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) node: String,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) stopped: bool,
    hash: Hash,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) place: String,
    pub(crate) what: Wrong,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Not what was written: its hash is another, or it is no record at all.
    Changed,
    /// These of a run are not there.
    Removed {
        run: String,
        from: u64,
        to: u64,
    },
    /// What stood before the first line is not there.
    Headless,
    /// The line before it is not the one that it was written after.
    Follows {
        run: String,
        seq: u64,
    },
    Reordered {
        run: String,
        seq: u64,
    },
    Repeated {
        run: String,
        seq: u64,
    },
    Truncated,
    Empty,
    Unmet(Hash),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wrong::Changed => f.write_str("changed: the line is not as it was written"),
            Wrong::Removed { run, from, to } if from == to => {
                write!(f, "removed: line {from} of run {run} is missing before this one")
            }
            Wrong::Removed { run, from, to } => {
                write!(f, "removed: lines {from} to {to} of run {run} are missing before this one")
            }
            Wrong::Headless => {
                f.write_str("removed: this is no first line, and those before it are missing")
            }
            Wrong::Follows { run, seq } => write!(
                f,
                "line {seq} of run {run} was written after another line than the one before it: \
                 that one was put in its place, or lines between them are missing or moved"
            ),
            Wrong::Reordered { run, seq } => {
                write!(f, "reordered: line {seq} of run {run} stands after a later one")
            }
            Wrong::Repeated { run, seq } => {
                write!(f, "repeated: line {seq} of run {run} is here already")
            }
            Wrong::Truncated => f.write_str("truncated: the last line is not whole"),
            Wrong::Empty => f.write_str("truncated: there is no line at all"),
            Wrong::Unmet(hash) => write!(f, "removed: no line has the hash {hash}"),
        }
    }
}

/// What of a line matters here.
#[derive(Deserialize)]
struct Head {
    event: String,
    time: String,
    node: String,
    run: String,
    seq: u64,
    prev: Hash,
    #[serde(default)]
    first: bool,
    after: Option<Hash>,
    #[serde(default)]
    lost: u64,
}

/// As large as a line says, and no larger in memory than the line.
struct Gap {
    to: u64,
    at: u64,
    place: String,
}

pub(crate) struct Verifier {
    digest: Digest,
    /// Hashes that must occur.
    expected: HashSet<Hash>,
    runs: HashMap<String, usize>,
    /// Lines of a run passed over: the first and the last, and where that was seen.
    gaps: BTreeMap<(String, u64), Gap>,
    /// Lines of which it is not known whose they were.
    unknown: u64,
    /// Of the line before, as far as it is known.
    before: Option<Hash>,
    report: Report,
}

impl Verifier {
    pub(crate) fn new(digest: Digest, expected: impl IntoIterator<Item = Hash>) -> Self {
        Self {
            digest,
            expected: expected.into_iter().collect(),
            runs: HashMap::new(),
            gaps: BTreeMap::new(),
            unknown: 0,
            before: None,
            report: Report::default(),
        }
    }

    /// Takes the lines of the next file; all files are one sequence of lines.
    pub(crate) fn read(&mut self, name: &str, mut input: impl BufRead) -> io::Result<()> {
        self.report.files += 1;
        let mut number = 0_u64;
        let mut line = Vec::new();
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            number += 1;
            let place = format!("{name}:{number}");
            self.report.lines += 1;
            match line.strip_suffix(b"\n") {
                Some(line) => self.line(place, line),
                None => {
                    self.unknown += 1;
                    self.before = None;
                    self.found(place, Wrong::Truncated);
                }
            }
        }
    }

    pub(crate) fn report(mut self) -> Report {
        // Gaps that nothing filled, in the order in which they were seen.
        let mut gaps: Vec<_> = std::mem::take(&mut self.gaps).into_iter().collect();
        gaps.sort_by_key(|(_, gap)| gap.at);
        let mut removed: Vec<Finding> = Vec::new();
        for ((run, mut from), Gap { to, place, .. }) in gaps {
            // Lines of which it is not known whose they were may be these.
            let known = self.unknown.min((to - from).saturating_add(1));
            self.unknown -= known;
            if known > to - from {
                continue;
            }
            from += known;
            if let Some(Finding { place: last, what: Wrong::Removed { run: of, to: end, .. } }) =
                removed.last_mut()
                && (&*last, &*of, end.checked_add(1)) == (&place, &run, Some(from))
            {
                *end = to;
                continue;
            }
            removed.push(Finding { place, what: Wrong::Removed { run, from, to } });
        }
        for Finding { place, what } in removed {
            self.found(place, what);
        }
        if self.report.lines == 0 {
            self.found("input".to_owned(), Wrong::Empty);
        }
        let unmet: Vec<Hash> = self.expected.drain().collect();
        for hash in unmet {
            self.found("input".to_owned(), Wrong::Unmet(hash));
        }
        self.report
    }

    fn line(&mut self, place: String, line: &[u8]) {
        let Some((content, hash)) = std::str::from_utf8(line).ok().and_then(chain::parts) else {
            return self.changed(place, None);
        };
        let head: Option<Head> = serde_json::from_str(&format!("{content}}}")).ok();
        let Some(head) = head.filter(|_| chain::fits(&self.digest, content, hash)) else {
            self.note_digest(content);
            return self.changed(place, Some(hash));
        };
        self.expected.remove(&hash);
        self.report.last = Some(hash);
        self.report.lost = self.report.lost.saturating_add(head.lost);
        if self.report.first_time.is_empty() {
            self.report.first_time.clone_from(&head.time);
        }
        self.report.last_time.clone_from(&head.time);
        if self.report.lines == 1 && !head.first {
            self.found(place.clone(), Wrong::Headless);
        }
        self.place(place, head, hash);
        self.before = Some(hash);
    }

    /// Holds a line that is as it was written to its place.
    fn place(&mut self, place: String, head: Head, hash: Hash) {
        let Head { event, node, run, seq, prev, first, after, .. } = head;
        let stopped = event == "stop";
        // What it says stood before it, which may be another process's line.
        let before = after.or((event == "start").then_some(prev));
        let stands = match (before, self.before) {
            (Some(Hash::NONE), _) if first => true,
            (Some(before), Some(stood)) => before == stood,
            _ => true,
        };
        let Some(known) = self.runs.get(&run).and_then(|at| self.report.runs.get_mut(*at)) else {
            let opens = (event == "start" && seq == 1) || event == "continue";
            if !stands {
                self.found(place.clone(), Wrong::Follows { run: run.clone(), seq });
            }
            if !opens && self.report.lines > 1 {
                self.missing(&run, 1, seq, &place);
            }
            self.runs.insert(run.clone(), self.report.runs.len());
            let new = Run { id: run, node, from: seq, to: seq, stopped, hash };
            return self.report.runs.push(new);
        };
        if seq <= known.to {
            let from = known.from;
            known.from = from.min(seq);
            let was_missing = self.fill(&run, seq);
            if seq < from {
                self.missing(&run, seq.saturating_add(1), from, &place);
            }
            let late = was_missing || seq < from;
            let what = match late {
                true => Wrong::Reordered { run, seq },
                false => Wrong::Repeated { run, seq },
            };
            return self.found(place, what);
        }
        let next = known.to.saturating_add(1);
        let follows = seq > next || (known.hash == prev && stands);
        (known.to, known.hash, known.stopped) = (seq, hash, stopped);
        if !follows {
            self.found(place.clone(), Wrong::Follows { run: run.clone(), seq });
        }
        self.missing(&run, next, seq, &place);
    }

    /// What is missing may yet come.
    fn missing(&mut self, run: &str, from: u64, before: u64, place: &str) {
        if from < before {
            let gap = Gap { to: before - 1, at: self.report.lines, place: place.to_owned() };
            self.gaps.insert((run.to_owned(), from), gap);
        }
    }

    /// Whether the line was missing until now.
    fn fill(&mut self, run: &str, seq: u64) -> bool {
        let until = (run.to_owned(), seq);
        let found = self.gaps.range(..=&until).next_back();
        let Some((key, _)) = found.filter(|((of, _), gap)| of == run && gap.to >= seq) else {
            return false;
        };
        let key = key.clone();
        let Some(Gap { to, at, place }) = self.gaps.remove(&key) else { return false };
        if key.1 < seq {
            let before = Gap { to: seq - 1, at, place: place.clone() };
            self.gaps.insert(key, before);
        }
        if seq < to {
            self.gaps.insert((run.to_owned(), seq + 1), Gap { to, at, place });
        }
        true
    }

    fn changed(&mut self, place: String, hash: Option<Hash>) {
        self.unknown += 1;
        self.before = hash;
        self.found(place, Wrong::Changed);
    }

    fn note_digest(&mut self, content: &str) {
        for name in ["sha256", "hmac-sha256"] {
            if name != self.digest.name() && content.contains(&format!("\"chained_by\":\"{name}\""))
            {
                self.report.other_digest = Some(name.to_owned());
            }
        }
    }

    fn found(&mut self, place: String, what: Wrong) {
        if self.report.findings.len() < MOST_LISTED {
            self.report.findings.push(Finding { place, what });
        } else {
            self.report.more += 1;
        }
    }
}
