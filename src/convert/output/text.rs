//! Text: what is left for hand first, object by object, then roles and counts.

use std::fmt::Write;

use crate::{
    convert::{
        Conversion, Converted,
        ledger::{Fate, Field},
    },
    text::shown,
};

/// Lines of a list that are the same but for the path are written once.
const MOST_PATHS: usize = 4;

pub fn render(conversion: &Conversion) -> String {
    let mut out = String::new();
    for (file, line, why, todo) in &conversion.left {
        let _ = writeln!(out, "{}:{line}\n  by hand: {why}; {todo}", shown(file));
    }
    for object in &conversion.objects {
        of_object(object, &mut out);
    }
    if !conversion.roles.is_empty() {
        out.push_str("RAM roles that are needed (their policies: --report json):\n");
    }
    for role in &conversion.roles {
        let _ = writeln!(
            out,
            "  {}: assumed by {}; allows {}",
            shown(&role.name),
            shown(&role.accounts.join(", ")),
            shown(&permissions(&role.permissions))
        );
    }
    let count = |name: &str| {
        let fields = conversion.objects.iter().flat_map(|object| &object.ledger.fields);
        fields.filter(|field| field.fate.name() == name).count()
    };
    let plural = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let _ = writeln!(
        out,
        "{} read, {} written: {} carried, {} changed, {} not needed, {} left for hand",
        plural(conversion.objects.len(), "object"),
        plural(conversion.manifests.len(), "manifest"),
        plural(count("carried"), "field"),
        count("changed"),
        count("not-needed"),
        conversion.by_hand(),
    );
    if !conversion.passed_over.is_empty() {
        let kinds = conversion.passed_over.iter();
        let kinds: Vec<String> =
            kinds.map(|(kind, count)| format!("{} {count}", shown(kind))).collect();
        let _ = writeln!(out, "passed over unread: {}", kinds.join(", "));
    }
    out
}

fn of_object(object: &Converted, out: &mut String) {
    let mut lines = Vec::new();
    let groups = grouped(&object.ledger.fields);
    for (paths, fate) in &groups {
        let shown_paths = paths.iter().take(MOST_PATHS).copied().collect::<Vec<_>>().join(", ");
        let more = paths.len().saturating_sub(MOST_PATHS);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let text = match fate {
            Fate::ByHand(why, todo) => format!("by hand: {shown_paths}{more}: {why}; {todo}"),
            Fate::NotNeeded(why) => format!("not needed: {shown_paths}{more}: {why}"),
            Fate::Changed(to, how) => format!("changed: {shown_paths}{more}: {to}: {how}"),
            Fate::Carried(_) | Fate::Open => continue,
        };
        lines.push(text);
    }
    let notes = object.ledger.notes.iter();
    lines.extend(notes.map(|(why, todo)| format!("by hand: {why}; {todo}")));
    // What is to be done comes first.
    lines.sort_by_key(|line| !line.starts_with("by hand"));
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "{}:{} {}", shown(&object.file), object.line, object.title);
    for line in lines {
        let _ = writeln!(out, "  {}", shown(&line));
    }
}

/// Neighbours with the same fate.
fn grouped(fields: &[Field]) -> Vec<(Vec<&str>, &Fate)> {
    let mut groups: Vec<(Vec<&str>, &Fate)> = Vec::new();
    for field in fields {
        match groups.last_mut() {
            Some((paths, fate)) if **fate == field.fate => paths.push(&field.path),
            _ => groups.push((vec![&field.path], &field.fate)),
        }
    }
    groups
}

/// `kms:GetSecretValue on A, B`
fn permissions(policy: &serde_json::Value) -> String {
    let statements = policy.get("Statement").and_then(serde_json::Value::as_array);
    let one = |statement: &serde_json::Value| {
        let action = statement.get("Action").and_then(serde_json::Value::as_str);
        let resources = statement.get("Resource").and_then(serde_json::Value::as_array);
        let resources = resources.into_iter().flatten().filter_map(serde_json::Value::as_str);
        let resources: Vec<&str> = resources.collect();
        format!("{} on {}", action.unwrap_or_default(), resources.join(", "))
    };
    let all: Vec<String> = statements.into_iter().flatten().map(one).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join("; ") }
}
