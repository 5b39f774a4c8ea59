//! Comments by which a finding is ignored: `# check-ignore CODE: REASON`.
//!
//! At the end of a line it is about that line, alone on a line about the next one, and before the first line of
//! a document about the whole document.

use super::{
    finding::{Finding, Place, Show},
    rule::Rule,
};
use crate::{
    manifests::{Document, File},
    text::quoted,
    yaml::Position,
};

const MARK: &str = "# check-ignore";

struct Comment {
    rule: Rule,
    reason: String,
    /// From which line to which.
    lines: (u32, u32),
    at: Position,
    used: bool,
}

/// What is left of the findings, and those that are ignored, each with why.
pub(super) fn apply(
    files: &[File],
    findings: Vec<Finding>,
) -> (Vec<Finding>, Vec<(Finding, String)>) {
    let mut added = Vec::new();
    let mut comments: Vec<Vec<Comment>> = Vec::with_capacity(files.len());
    for (index, file) in files.iter().enumerate() {
        comments.push(read(index, file, &mut added));
    }
    let (mut left, mut ignored) = (added, Vec::new());
    for finding in findings {
        let Place { file, at, .. } = finding.place;
        let of_file = comments.get_mut(file).into_iter().flatten();
        let mut about = of_file.filter(|comment| {
            let (first, last) = comment.lines;
            comment.rule == finding.rule && (first..=last).contains(&at.line)
        });
        match about.next() {
            Some(comment) => {
                comment.used = true;
                ignored.push((finding, comment.reason.clone()));
            }
            None => left.push(finding),
        }
    }
    for (index, comment) in
        comments.iter().enumerate().flat_map(|(i, all)| all.iter().map(move |c| (i, c)))
    {
        if !comment.used {
            let place = Place { file: index, at: comment.at, show: Show::Line };
            let what = format!("{} is not found here", comment.rule.code());
            left.push(Finding::new(Rule::UnusedIgnore, place, what).hint("remove the comment"));
        }
    }
    (left, ignored)
}

fn read(index: usize, file: &File, findings: &mut Vec<Finding>) -> Vec<Comment> {
    let mut comments = Vec::new();
    if !file.source.text.contains(MARK) {
        return comments;
    }
    // Comments above a --- are in a document of nothing else, and about the next one.
    let mut waiting = 0;
    for document in &file.documents {
        let found = of_document(index, file, *document, findings);
        comments.extend(found.comments);
        for comment in comments.iter_mut().skip(waiting).filter(|_| found.has_lines) {
            if comment.lines.1 < document.first_line {
                comment.lines.1 = document.last_line;
            }
        }
        waiting = if found.has_lines { comments.len() } else { waiting };
    }
    // A comment above a comment is about the same line.
    for at in (1..comments.len()).rev() {
        let Some([upper, lower]) = comments.get_mut(at - 1..=at) else { continue };
        if upper.lines == (lower.at.line, lower.at.line) && lower.lines.0 > lower.at.line {
            upper.lines = lower.lines;
        }
    }
    comments
}

struct Found {
    comments: Vec<Comment>,
    /// Whether there is anything but comments.
    has_lines: bool,
}

fn of_document(
    index: usize,
    file: &File,
    Document { first_line, last_line }: Document,
    findings: &mut Vec<Finding>,
) -> Found {
    let (mut comments, mut has_lines) = (Vec::new(), false);
    for number in first_line..=last_line {
        let line = file.source.line(number);
        let bare = line.trim();
        let alone = bare.starts_with('#');
        let marked = line.split_once(MARK).filter(|(before, _)| is_comment(before));
        if let Some((before, after)) = marked {
            let column = u32::try_from(before.chars().count() + 1).unwrap_or(u32::MAX);
            let at = Position { line: number, column };
            let lines = match (alone, has_lines) {
                (true, false) => (first_line, last_line),
                (true, true) => (number.saturating_add(1), number.saturating_add(1)),
                (false, _) => (number, number),
            };
            match parse(after) {
                Ok((rule, reason)) => {
                    comments.push(Comment { rule, reason, lines, at, used: false });
                }
                Err(what) => {
                    let place = Place { file: index, at, show: Show::Line };
                    let form = "write # check-ignore CODE: REASON";
                    findings.push(Finding::new(Rule::InvalidIgnore, place, what).hint(form));
                }
            }
        }
        has_lines |= !bare.is_empty() && !alone && bare != "---";
    }
    Found { comments, has_lines }
}

/// Whether a `#` behind this begins a comment, and is not within double quotes, as in JSON.
fn is_comment(before: &str) -> bool {
    let mut quotes = 0_usize;
    let mut escaped = false;
    for c in before.chars() {
        quotes += usize::from(c == '"' && !escaped);
        escaped = c == '\\' && !escaped;
    }
    quotes.is_multiple_of(2) && (before.is_empty() || before.ends_with([' ', '\t']))
}

fn parse(after: &str) -> Result<(Rule, String), String> {
    let Some((code, reason)) = after.split_once(':') else {
        return Err("check-ignore has no reason".to_owned());
    };
    let (code, reason) = (code.trim(), reason.trim());
    let rule =
        Rule::of_code(code).ok_or_else(|| format!("{} is no code of a rule", quoted(code)))?;
    match rule {
        Rule::InvalidIgnore | Rule::UnusedIgnore => Err(format!("{code} cannot be ignored")),
        _ if reason.is_empty() => Err("check-ignore has no reason".to_owned()),
        _ => Ok((rule, reason.to_owned())),
    }
}
