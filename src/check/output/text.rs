//! Text for people: each finding with the line that it is about.

use annotate_snippets::{
    AnnotationKind, Element, Group, Level, Message, Origin, Renderer, Snippet, Title,
};

use super::token;
use crate::{
    check::{
        Report,
        finding::{Finding, Place, Show},
        rule::Severity,
    },
    manifests::File,
    text::shown,
};

/// A longer line is not shown: nobody could find the place in it.
const LONGEST_LINE: usize = 400;

pub fn render(report: &Report, files: &[File], coloured: bool) -> String {
    let renderer = if coloured { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&renderer.render(&groups(finding, files)));
        text.push_str("\n\n");
    }
    text.push_str(&summary(report));
    text
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        Severity::Note => Level::NOTE,
    }
}

fn groups<'a>(finding: &'a Finding, files: &'a [File]) -> Vec<Group<'a>> {
    let level = level(finding.severity());
    let title: Title<'_> = level.primary_title(shown(&finding.message)).id(finding.rule.code());
    let mut group = title.element(place(&finding.place, files, AnnotationKind::Primary, None));
    if let Some((related, what)) = &finding.related {
        group = group.element(place(related, files, AnnotationKind::Context, Some(what)));
    }
    for note in &finding.notes {
        group = group.element(Level::NOTE.message(note.as_str()));
    }
    if !finding.hint.is_empty() {
        let hint: Message<'_> = Level::HELP.message(finding.hint.as_str());
        group = group.element(hint);
    }
    vec![group]
}

fn place<'a>(
    place: &Place,
    files: &'a [File],
    kind: AnnotationKind,
    label: Option<&'static str>,
) -> Element<'a> {
    let Place { file, at, show } = place;
    let source = files.get(*file).map(|file| &file.source);
    let name = source.map_or_else(Default::default, |source| shown(&source.name));
    let line = source.map_or("", |source| source.line(at.line));
    let number = usize::try_from(at.line).unwrap_or_default();
    let column = usize::try_from(at.column).unwrap_or_default();
    let (start, end) = source.map_or((0, 0), |source| token::span(source, *at));
    // In brackets other values are on the line too.
    let in_brackets = line.get(..start).is_some_and(|before| before.contains(['{', '[']));
    let hidden = match show {
        Show::Text => false,
        Show::Line => line.trim_start().starts_with(['{', '[']),
        Show::Name => in_brackets,
        Show::Nothing => true,
    };
    if hidden || line.len() > LONGEST_LINE || start >= line.len() {
        return Origin::path(name).line(number).char_column(column).into();
    }
    let text = match line.get(..end) {
        Some(until) if *show == Show::Name && end < line.len() => format!("{until}: ..."),
        _ => line.to_owned(),
    };
    let annotation = kind.span(start..end).label(label);
    Snippet::source(text).path(name).line_start(number).annotation(annotation).into()
}

/// How many of something.
fn count(number: usize, noun: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{s}")
}

fn summary(report: &Report) -> String {
    let counts = report.counts;
    let classes = match counts.classes {
        1 => "1 SecretProviderClass".to_owned(),
        many => format!("{many} SecretProviderClasses"),
    };
    let others = count(counts.manifests.saturating_sub(counts.classes), "other object");
    let passed_over = match counts.passed_over {
        0 => String::new(),
        number => format!(", {number} of other kinds passed over"),
    };
    let read =
        format!("{classes} and {others} in {} checked{passed_over}", count(counts.files, "file"));
    let all = [Severity::Error, Severity::Warning, Severity::Note];
    let found: Vec<String> = all
        .into_iter()
        .map(|severity| (report.count(severity), severity))
        .filter(|(number, _)| *number > 0)
        .map(|(number, severity)| count(number, severity.name()))
        .collect();
    let found = if found.is_empty() { "nothing found".to_owned() } else { found.join(", ") };
    let ignored = match report.ignored.len() {
        0 => String::new(),
        number => format!(" ({number} ignored)"),
    };
    let more = match report.findings.first() {
        Some(first) => format!("; explain-code {} says more", first.rule.code()),
        None => String::new(),
    };
    format!("{read}: {found}{ignored}{more}\n")
}
