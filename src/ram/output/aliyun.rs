//! Commands of `aliyun`, Alibaba Cloud's command line, for a shell.

use super::{Answer, Policies, text::endings};

pub(crate) fn render(answer: &Answer<'_>) -> String {
    let mut text = String::new();
    for line in endings(answer).lines().filter(|line| !line.is_empty()) {
        text.push_str(&format!("# {line}\n"));
    }
    // Policies with placeholders would be taken by RAM, and lock pods out.
    if !answer.placeholders.is_empty() {
        let all: Vec<&str> = answer.placeholders.keys().map(String::as_str).collect();
        text.push_str(&format!(
            "echo \"fill in {} first, then remove this line\" >&2; exit 1\n",
            all.join(", ")
        ));
    }
    for policies in &answer.policies {
        let Policies { grant, permissions, trust } = policies;
        text.push_str(&format!("\n# {}\n", grant.title()));
        if let Some(account) = policies.other_account(answer) {
            text.push_str(&format!("# These are for account {account}: aliyun --profile ...\n"));
        }
        let role = grant.role.as_ref().map(|role| role.name());
        if let (Some(role), Some(trust)) = (role, trust) {
            let trust = quoted(&trust.compact());
            text.push_str(&format!(
                "if aliyun ram GetRole --RoleName {role} >/dev/null 2>&1; then\n  \
                 # This replaces its whole trust policy. If others assume it too, add the statement to \
                 theirs.\n  \
                 aliyun ram UpdateRole --RoleName {role} --NewAssumeRolePolicyDocument {trust}\n\
                 else\n  \
                 aliyun ram CreateRole --RoleName {role} --AssumeRolePolicyDocument {trust}\n\
                 fi\n"
            ));
        }
        for (name, document) in permissions {
            let document = quoted(&document.compact());
            let attach = match role {
                Some(role) => format!(
                    "aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName {name} --RoleName {role}"
                ),
                None => format!(
                    "echo \"attach {name} to {}\": AttachPolicyToUser or AttachPolicyToRole",
                    grant.title()
                ),
            };
            text.push_str(&format!(
                "if aliyun ram GetPolicy --PolicyType Custom --PolicyName {name} >/dev/null 2>&1; then\n  \
                 aliyun ram CreatePolicyVersion --PolicyName {name} --SetAsDefault true \
                 --PolicyDocument {document}\n\
                 else\n  \
                 aliyun ram CreatePolicy --PolicyName {name} --PolicyDocument {document}\n  \
                 {attach}\n\
                 fi\n"
            ));
        }
    }
    text
}

/// For a shell. Names and ARNs have no quotes; an issuer could.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
