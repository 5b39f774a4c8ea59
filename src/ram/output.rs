//! Output: policies for people, for programs, as commands of `aliyun`, and for Terraform; and what else there is
//! to know of them.

pub(crate) mod aliyun;
pub(crate) mod json;
pub(crate) mod judged;
pub(crate) mod terraform;
pub(crate) mod text;

use std::collections::{BTreeMap, BTreeSet};

use super::{
    document::{CLUSTER, Document, ISSUER, permission_policies, trust_policy},
    grants::{Given, Grant, KEY},
};
use crate::{
    limits::{RAM_POLICIES, RAM_POLICY},
    preview::{
        NAMESPACE, Preview, Refused,
        role::{ACCOUNT, Role},
    },
    spc::mode::Mode,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Aliyun,
    Terraform,
}

impl Format {
    pub(crate) const ALL: [Self; 4] = [Self::Text, Self::Json, Self::Aliyun, Self::Terraform];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
            Self::Aliyun => "aliyun",
            Self::Terraform => "terraform",
        }
    }
}

/// All that is to be written.
pub(crate) struct Answer<'a> {
    pub(crate) policies: Vec<Policies<'a>>,
    /// Placeholders in these, each with what fills it.
    pub(crate) placeholders: BTreeMap<String, String>,
    pub(crate) notes: Vec<String>,
    pub(crate) refused: &'a [Refused],
    pub(crate) unused: &'a [String],
}

/// Of one role, or of one owner of an access key.
pub(crate) struct Policies<'a> {
    pub(crate) grant: &'a Grant,
    /// Each with its name.
    pub(crate) permissions: Vec<(String, Document)>,
    pub(crate) trust: Option<Document>,
}

impl<'a> Answer<'a> {
    pub(crate) fn of(
        preview: &'a Preview,
        grants: &'a BTreeMap<String, Grant>,
        given: &Given,
    ) -> Self {
        let policies: Vec<Policies<'_>> =
            grants.values().map(|grant| Policies::of(grant, given)).collect();
        let placeholders = placeholders(&policies);
        let notes = notes(preview, &policies, given);
        Self { policies, placeholders, notes, refused: &preview.refused, unused: &preview.unused }
    }
}

impl Policies<'_> {
    /// Where it is in another account than the cluster.
    fn other_account<'s>(&'s self, answer: &Answer<'_>) -> Option<&'s str> {
        let account = self.grant.role.as_ref().and_then(Role::account)?;
        let mut own = answer.policies.iter().filter(|of| !of.grant.subjects.is_empty());
        let elsewhere =
            |of: &Policies<'_>| of.grant.role.as_ref().and_then(Role::account) != Some(account);
        (self.grant.subjects.is_empty() && own.any(elsewhere)).then_some(account)
    }
}

impl<'a> Policies<'a> {
    fn of(grant: &'a Grant, given: &Given) -> Self {
        let documents = permission_policies(grant);
        let several = documents.len() > 1;
        let name = |number: usize| match several {
            true => format!("{}-secrets-{number}", grant.name()),
            false => format!("{}-secrets", grant.name()),
        };
        let permissions =
            documents.into_iter().zip(1..).map(|(document, number)| (name(number), document));
        Self { grant, permissions: permissions.collect(), trust: trust_policy(grant, given) }
    }
}

/// Those that stand in the documents and in names of roles.
fn placeholders(policies: &[Policies<'_>]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for Policies { grant, permissions, trust } in policies {
        let roles =
            grant.role.iter().flat_map(|role| role.placeholders().map(move |of| (role, of)));
        for (role, placeholder) in roles.filter(|(_, placeholder)| *placeholder != ACCOUNT) {
            let fill = match grant.modes.contains(&Mode::Pod) {
                true => format!(
                    "{}; annotate the ServiceAccount with ack.alibabacloud.com/role-arn: \
                     acs:ram::ACCOUNT:role/NAME",
                    role.why
                ),
                false => role.why.clone(),
            };
            found.insert(placeholder.to_owned(), fill);
        }
        let documents = permissions.iter().map(|(_, document)| document).chain(trust);
        let text: String = documents.map(Document::compact).collect();
        let text = format!("{text}{}", grant.title());
        for (placeholder, fill) in [
            (ACCOUNT, "the account's id: --account-id"),
            (CLUSTER, "the ACK cluster's id: --cluster-id, or --oidc-provider-arn"),
            (ISSUER, "the issuer URL on the cluster's page in the ACK console: --oidc-issuer"),
            (KEY, "the id of the key that the values are encrypted with: --kms-key"),
            (NAMESPACE, "the namespace of manifests that name none: --namespace"),
        ] {
            if has_word(&text, placeholder) {
                found.insert(placeholder.to_owned(), fill.to_owned());
            }
        }
    }
    found
}

fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.split(|c| !part(c)).any(|one| one == word || one.strip_prefix("ack-rrsa-") == Some(word))
}

fn notes(preview: &Preview, policies: &[Policies<'_>], given: &Given) -> Vec<String> {
    let mut notes = preview.missing.clone();
    let permissions = || policies.iter().flat_map(|of| of.grant.permissions.keys());
    let part = |arn: &str, at: usize| arn.splitn(5, ':').nth(at).map(str::to_owned);
    let unknown = |at| permissions().any(|of| part(&of.resource, at).as_deref() == Some("*"));
    if unknown(3) {
        notes.push(
            "* stands for the account of secrets whose account is not known here: give --account-id"
                .to_owned(),
        );
    }
    if unknown(2) {
        notes.push(
            "* stands for the region of secrets in a KMS instance, whose host does not name it"
                .to_owned(),
        );
    }
    if given.keys.is_empty() && permissions().any(|of| of.action == "kms:GetSecretValue") {
        notes.push(
            "a value that is encrypted with a key of your own needs kms:Decrypt on that key too: give \
             --kms-key"
                .to_owned(),
        );
    }
    for Policies { grant, permissions, trust } in policies {
        let title = grant.title();
        if permissions.len() > 1 {
            notes.push(format!(
                "{title}: {} policies, since one has at most {RAM_POLICY} characters",
                permissions.len()
            ));
        }
        if permissions.len() > RAM_POLICIES {
            notes.push(format!(
                "{title}: a role has at most {RAM_POLICIES} custom policies unless RAM's quota is raised"
            ));
        }
        let accounts =
            (grant.role.as_ref().and_then(Role::account), given.assumed.account.as_deref());
        if let (Some(role), Some(cluster)) = accounts
            && role != cluster
            && !grant.subjects.is_empty()
        {
            notes.push(format!(
                "{title} is of account {role}, and the cluster's OIDC provider of account {cluster}: pods can \
                 assume roles of the account that has the provider"
            ));
        }
        if trust.is_none() && grant.role.is_some() {
            notes.push(format!(
                "{title}: who may assume it is not for these manifests to say: it is the operator's, and \
                 all pods that use it are one to the cloud"
            ));
        }
        if grant.principals.iter().any(|principal| principal.ends_with(":root")) {
            notes.push(format!(
                "{title}: its trust policy names a whole account; name the RAM user or role"
            ));
        }
    }
    let others: BTreeSet<Mode> = policies
        .iter()
        .filter(|of| of.grant.role.is_none())
        .flat_map(|of| of.grant.modes.iter().copied())
        .collect();
    for mode in others {
        let owner = mode.facts().owner;
        notes.push(format!(
            "identity {mode}: the policy is for {owner}, which manifests do not name"
        ));
    }
    notes
}
