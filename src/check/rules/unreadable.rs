//! Documents that cannot be read.

use crate::check::{
    finding::{Finding, Place, Show},
    rule::Rule,
    set::Set,
};

pub(super) fn check(set: &Set<'_>, findings: &mut Vec<Finding>) {
    for (index, file) in set.files.iter().enumerate() {
        for unreadable in &file.unreadable {
            let rule = if unreadable.concerns_us { Rule::Unreadable } else { Rule::NotChecked };
            let show = if unreadable.may_hold_values { Show::Nothing } else { Show::Line };
            let place = Place { file: index, at: unreadable.at, show };
            let finding = Finding::new(
                rule,
                place,
                format!("the document cannot be read: {}", unreadable.reason),
            );
            let template = unreadable.reason.contains("template");
            let twice = unreadable.reason.contains("twice") && unreadable.at.column == 1;
            findings.push(match (template, twice) {
                (true, _) => finding.hint("render it first: helm template CHART | check -"),
                (_, true) => finding.hint("is a line --- missing between two objects?"),
                _ => finding,
            });
        }
    }
}
