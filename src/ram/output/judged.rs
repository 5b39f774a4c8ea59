//! What policies that exist and audit records say beside manifests, as text and JSON.

use serde_json::{Value, json};

use crate::ram::{
    compare::{Comparison, TooMuch},
    usage::{Judged, Usage},
};
use crate::text::shown;

/// Of policies that a role has.
pub(crate) fn comparison_text(title: &str, found: &Comparison) -> String {
    let mut text = format!("{title}\n");
    for (need, why) in &found.lacks {
        let why: Vec<&str> = why.iter().map(String::as_str).collect();
        text.push_str(&format!("  lacks: {} on {}\n", need.action, need.resource));
        text.push_str(&format!("    for {}\n", why.join(", ")));
    }
    for (need, by) in &found.denied {
        text.push_str(&format!("  denies: {} on {} ({by})\n", need.action, need.resource));
    }
    for TooMuch { from, action, resource, why } in &found.too_much {
        text.push_str(&format!(
            "  too much: {} on {} ({from})\n    {why}\n",
            shown(action),
            shown(resource)
        ));
    }
    for what in &found.not_understood {
        text.push_str(&format!("  not understood: {what}\n"));
    }
    for note in &found.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text.push_str(match found.is_exact() {
        true => "  exactly what these manifests need\n",
        false => "",
    });
    text
}

pub(crate) fn comparison_json(title: &str, found: &Comparison) -> Value {
    let lacks = found.lacks.iter().map(
        |(need, why)| json!({ "action": need.action, "resource": need.resource, "needed_by": why }),
    );
    let denied = found
        .denied
        .iter()
        .map(|(need, by)| json!({ "action": need.action, "resource": need.resource, "by": by }));
    json!({
        "role": title,
        "exact": found.is_exact(),
        "lacks": lacks.collect::<Vec<_>>(),
        "denied": denied.collect::<Vec<_>>(),
        "too_much": too_much(&found.too_much),
        "not_understood": found.not_understood,
        "notes": found.notes,
    })
}

fn too_much(all: &[TooMuch]) -> Vec<Value> {
    let one = |of: &TooMuch| json!({ "from": of.from, "action": of.action, "resource": of.resource, "why": of.why });
    all.iter().map(one).collect()
}

/// Of an audit record.
pub(crate) fn usage_text(usage: &Usage, judged: &Judged, unused: &[TooMuch]) -> String {
    let mut text = format!("audit record: {} lines", usage.lines);
    if !usage.first.is_empty() {
        text.push_str(&format!(", from {} to {}", shown(&usage.first), shown(&usage.last)));
    }
    text.push('\n');
    if usage.foreign > 0 {
        text.push_str(&format!("  note: {} lines are no audit record's\n", usage.foreign));
    }
    for ((title, resource), why) in &judged.unread {
        let why: Vec<&str> = why.iter().map(String::as_str).collect();
        text.push_str(&format!("  never read: {resource}, by {title}\n    {}\n", why.join(", ")));
    }
    for TooMuch { from, action, resource, .. } in unused {
        text.push_str(&format!(
            "  never used: {} on {} ({from})\n",
            shown(action),
            shown(resource)
        ));
    }
    for (read, times) in &judged.unexplained {
        let by = match read.role.is_empty() {
            true => String::new(),
            false => format!(", by {}", shown(&read.role)),
        };
        text.push_str(&format!(
            "  not explained: {}/{} read {}{by}\n    {}\n",
            shown(&read.namespace),
            shown(&read.service_account),
            shown(&read.resource),
            match times.count {
                1 => format!("once, at {}", shown(&times.first)),
                more =>
                    format!("{more} times, from {} to {}", shown(&times.first), shown(&times.last)),
            }
        ));
    }
    text.push_str(&format!(
        "  {} of {} that these manifests ask for were read\n",
        judged.read,
        judged.read + judged.unread.len()
    ));
    text
}

pub(crate) fn usage_json(usage: &Usage, judged: &Judged, unused: &[TooMuch]) -> Value {
    let unread = judged.unread.iter().map(
        |((role, resource), why)| json!({ "role": role, "resource": resource, "asked_by": why }),
    );
    let unexplained = judged.unexplained.iter().map(|(read, times)| {
        json!({
            "namespace": read.namespace,
            "service_account": read.service_account,
            "role": read.role,
            "resource": read.resource,
            "times": times.count,
            "first": times.first,
            "last": times.last,
        })
    });
    json!({
        "lines": usage.lines,
        "foreign_lines": usage.foreign,
        "first": usage.first,
        "last": usage.last,
        "read": judged.read,
        "never_read": unread.collect::<Vec<_>>(),
        "never_used": too_much(unused),
        "not_explained": unexplained.collect::<Vec<_>>(),
    })
}
