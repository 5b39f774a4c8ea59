//! Text: for people.

use std::collections::BTreeMap;

use super::{Explanation, File, Needed};
use crate::{preview::Preview, spc::source::noun};

pub(crate) fn render(all: &[Explanation], preview: &Preview) -> String {
    let mut text = String::new();
    for (number, explanation) in all.iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        one(explanation, &mut text);
    }
    if all.is_empty() {
        text.push_str("No mount of a SecretProviderClass of this provider is given.\n");
    }
    let more = preview.unused.len() + preview.missing.len() + preview.refused.len();
    if more > 0 {
        text.push('\n');
    }
    for class in &preview.unused {
        text.push_str(&format!(
            "not used: {class}: no workload or SecretSync given here uses it; --service-account NAME says \
             who does\n"
        ));
    }
    for what in &preview.missing {
        text.push_str(&format!("note: {what}\n"));
    }
    for refused in &preview.refused {
        for reason in &refused.reasons {
            text.push_str(&format!("error: {}: {reason} (check says where)\n", refused.subject));
        }
    }
    text
}

fn one(of: &Explanation, text: &mut String) {
    let (namespace, account) = (&of.namespace, &of.service_account);
    let user = match of.user.is_empty() {
        true => format!("Pods of ServiceAccount {namespace}/{account}"),
        false => of.user.clone(),
    };
    let volume = of.volume.as_ref().map_or_else(String::new, |name| format!(", volume {name}"));
    text.push_str(&format!("{user}{volume}\n"));
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<11}{value}\n"));
    line("class", &format!("SecretProviderClass {namespace}/{}", of.secret_provider_class));
    line("account", &format!("ServiceAccount {namespace}/{account}"));
    line("identity", &format!("{}, {}", of.identity.mode, of.identity.why));
    match &of.identity.role {
        Some(role) => line("role", &format!("{role}, {}", of.identity.role_from)),
        None => line("role", &format!("none; it reads as {}", of.identity.role_from)),
    }
    if let Some(session) = &of.identity.session {
        line("session", session);
    }
    text.push_str("  files\n");
    let width = of.files.iter().map(|file| file.path.len()).max().unwrap_or_default().min(40);
    for file in &of.files {
        text.push_str(&format!("    {:width$}  {}  {}\n", file.path, file.mode, from(file)));
    }
    text.push_str("  calls, when nothing is cached\n");
    for call in &of.calls {
        let mut what = Vec::new();
        if !call.objects.is_empty() {
            what.push(call.objects.join(", "));
        }
        match (&call.role, call.objects.is_empty()) {
            (Some(role), true) => what.push(role.clone()),
            (Some(role), false) => what.push(format!("as {role}")),
            (None, _) => {}
        }
        let what = match what.is_empty() {
            true => String::new(),
            false => format!(": {}", what.join(" ")),
        };
        text.push_str(&format!("    {} at {}{what}\n", call.operation, call.host));
    }
    text.push_str("  permissions\n");
    let mut by_resource: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for Needed { role, action, resource } in &of.permissions {
        by_resource.entry((role, resource)).or_default().push(action);
    }
    let mut last = "";
    for ((role, resource), actions) in by_resource {
        if last != role {
            text.push_str(&format!("    {role}\n"));
            last = role;
        }
        text.push_str(&format!("      {} on {resource}\n", actions.join(", ")));
    }
    for (title, told) in [("fresh", &of.freshness), ("outage", &of.outage)] {
        text.push_str(&format!("  {title}\n"));
        for sentence in told {
            text.push_str(&format!("    {sentence}\n"));
        }
    }
}

/// Where a file's bytes come from.
pub(super) fn from(file: &File) -> String {
    let mut text = format!("{} {}", noun(file.object_type), file.from);
    if let Some(version) = &file.version {
        text.push_str(&format!(", version {version}"));
    }
    if let Some(path) = &file.jmes_path {
        text.push_str(&format!(", {path} of it"));
    }
    if let Some(encoding) = file.encoding {
        text.push_str(&format!(", decoded from {encoding}"));
    }
    if file.optional {
        text.push_str(", left out if it does not exist");
    }
    text
}
