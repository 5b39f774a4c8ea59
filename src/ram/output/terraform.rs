//! Terraform: resources of provider `aliyun/alicloud`, from version 1.252.0 on.

use super::{Answer, Policies, text::endings};

pub(crate) fn render(answer: &Answer<'_>) -> String {
    let mut text = String::from("# Provider aliyun/alicloud, version 1.252.0 or later.\n");
    for line in endings(answer).lines().filter(|line| !line.is_empty()) {
        text.push_str(&format!("# {line}\n"));
    }
    for policies in &answer.policies {
        let Policies { grant, permissions, trust } = policies;
        let label = label(&grant.name());
        text.push_str(&format!("\n# {}\n", grant.title()));
        if let Some(account) = policies.other_account(answer) {
            text.push_str(&format!(
                "# These are for account {account}: give them a provider of it.\n"
            ));
        }
        let role = match (&grant.role, trust) {
            (Some(role), Some(trust)) => {
                let document = heredoc(&trust.pretty());
                text.push_str(&format!(
                    "# If the role exists: terraform import alicloud_ram_role.{label} {name}\n\
                     resource \"alicloud_ram_role\" \"{label}\" {{\n  \
                     role_name                   = \"{name}\"\n  \
                     assume_role_policy_document = {document}\n}}\n\n",
                    name = role.name()
                ));
                format!("alicloud_ram_role.{label}.role_name")
            }
            (Some(role), None) => format!("\"{}\"", role.name()),
            (None, _) => String::new(),
        };
        for (name, document) in permissions {
            let policy = self::label(name);
            let document = heredoc(&document.pretty());
            text.push_str(&format!(
                "resource \"alicloud_ram_policy\" \"{policy}\" {{\n  \
                 policy_name     = \"{name}\"\n  \
                 policy_document = {document}\n}}\n"
            ));
            match role.is_empty() {
                true => text.push_str(&format!("# Attach it to {}.\n", grant.title())),
                false => text.push_str(&format!(
                    "\nresource \"alicloud_ram_role_policy_attachment\" \"{policy}\" {{\n  \
                     policy_name = alicloud_ram_policy.{policy}.policy_name\n  \
                     policy_type = alicloud_ram_policy.{policy}.type\n  \
                     role_name   = {role}\n}}\n"
                )),
            }
        }
    }
    text
}

/// A name that Terraform takes.
fn label(name: &str) -> String {
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    match plain.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{plain}"),
        false => plain,
    }
}

/// As it is, but for what Terraform would put values in place of.
fn heredoc(document: &str) -> String {
    let plain = document.replace("${", "$${").replace("%{", "%%{");
    let lines: String = plain.lines().map(|line| format!("    {line}\n")).collect();
    format!("<<-EOT\n{lines}  EOT")
}
