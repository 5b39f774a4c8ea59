//! RAM policy documents and their evaluation.

use std::collections::BTreeMap;

use serde::Deserialize;

/// A RAM policy or trust policy, in the members RAM itself uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    #[serde(rename = "Version")]
    pub version: Option<String>,
    #[serde(rename = "Statement")]
    pub statement: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Statement {
    pub sid: Option<String>,
    pub effect: Effect,
    pub action: Option<OneOrMany>,
    pub not_action: Option<OneOrMany>,
    pub resource: Option<OneOrMany>,
    pub not_resource: Option<OneOrMany>,
    pub principal: Option<Principals>,
    #[serde(default)]
    pub condition: BTreeMap<Operator, BTreeMap<String, OneOrMany>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Effect {
    Allow,
    Deny,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Operator {
    StringEquals,
    StringNotEquals,
    StringLike,
    StringNotLike,
    StringEqualsIgnoreCase,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principals {
    #[serde(rename = "RAM")]
    pub ram: Option<OneOrMany>,
    #[serde(rename = "Federated")]
    pub federated: Option<OneOrMany>,
    #[serde(rename = "Service")]
    pub service: Option<OneOrMany>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        match self {
            Self::One(one) => std::slice::from_ref(one).iter(),
            Self::Many(many) => many.iter(),
        }
        .map(String::as_str)
    }
}

/// `allow: ["kms:GetSecretValue on acs:kms:*:*:secret/app/*"]`; without `on` any resource.
#[derive(Debug)]
pub(crate) struct ShortPolicy<'a> {
    pub(crate) allow: &'a [String],
    pub(crate) deny: &'a [String],
}

impl ShortPolicy<'_> {
    pub(crate) fn statements(&self) -> Vec<Statement> {
        let parse = |effect, line: &String| {
            let (action, resource) = line.split_once(" on ").unwrap_or((line, "*"));
            Statement {
                sid: None,
                effect,
                action: Some(OneOrMany::One(action.trim().to_owned())),
                not_action: None,
                resource: Some(OneOrMany::One(resource.trim().to_owned())),
                not_resource: None,
                principal: None,
                condition: BTreeMap::new(),
            }
        };
        let allow = self.allow.iter().map(|line| parse(Effect::Allow, line));
        allow.chain(self.deny.iter().map(|line| parse(Effect::Deny, line))).collect()
    }
}

/// What condition keys such as `oidc:sub` hold for one request.
pub(crate) type Context = BTreeMap<String, Vec<String>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allowed,
    ImplicitDeny,
    ExplicitDeny,
}

/// Deny wins, and what nothing allows is denied.
pub(crate) fn evaluate(
    documents: &[Document],
    action: &str,
    resource: &str,
    context: &Context,
) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for statement in documents.iter().flat_map(|document| &document.statement) {
        if !statement.covers(action, resource) || !statement.conditions_hold(context) {
            continue;
        }
        match statement.effect {
            Effect::Deny => return Decision::ExplicitDeny,
            Effect::Allow => decision = Decision::Allowed,
        }
    }
    decision
}

/// A trust policy names who may assume the role, so a statement also has to match the principal.
pub(crate) fn evaluate_trust(
    document: &Document,
    is_principal: impl Fn(&Principals) -> bool,
    context: &Context,
) -> Decision {
    let mut decision = Decision::ImplicitDeny;
    for statement in &document.statement {
        let named = statement.principal.as_ref().is_some_and(&is_principal);
        if !named
            || !statement.matches_action("sts:AssumeRole")
            || !statement.conditions_hold(context)
        {
            continue;
        }
        match statement.effect {
            Effect::Deny => return Decision::ExplicitDeny,
            Effect::Allow => decision = Decision::Allowed,
        }
    }
    decision
}

impl Statement {
    fn covers(&self, action: &str, resource: &str) -> bool {
        self.matches_action(action)
            && match (&self.resource, &self.not_resource) {
                (Some(patterns), None) => patterns.iter().any(|p| like(p, resource)),
                (None, Some(patterns)) => !patterns.iter().any(|p| like(p, resource)),
                _ => false,
            }
    }

    fn matches_action(&self, action: &str) -> bool {
        // Action names are case-insensitive in RAM, resources are not.
        let matches = |pattern: &str| like(&pattern.to_lowercase(), &action.to_lowercase());
        match (&self.action, &self.not_action) {
            (Some(patterns), None) => patterns.iter().any(matches),
            (None, Some(patterns)) => !patterns.iter().any(matches),
            _ => false,
        }
    }

    fn conditions_hold(&self, context: &Context) -> bool {
        self.condition.iter().all(|(operator, keys)| {
            keys.iter().all(|(key, wanted)| {
                let actual = context.get(&key.to_lowercase()).map_or(&[][..], Vec::as_slice);
                operator.holds(wanted, actual)
            })
        })
    }
}

impl Operator {
    fn holds(self, wanted: &OneOrMany, actual: &[String]) -> bool {
        let any = |matches: fn(&str, &str) -> bool| {
            wanted.iter().any(|pattern| actual.iter().any(|value| matches(pattern, value)))
        };
        match self {
            Self::StringEquals => any(|wanted, actual| wanted == actual),
            Self::StringNotEquals => !any(|wanted, actual| wanted == actual),
            Self::StringLike => any(like),
            Self::StringNotLike => !any(like),
            Self::StringEqualsIgnoreCase => any(|w, a| w.to_lowercase() == a.to_lowercase()),
        }
    }
}

/// A session policy as STS accepts it: at most 2,048 characters of the grammar above.
pub(crate) fn parse_session_policy(text: &str) -> Result<Document, SessionPolicyError> {
    if text.is_empty() || text.chars().count() > 2048 {
        return Err(SessionPolicyError::Size);
    }
    let document: Document = serde_json::from_str(text).map_err(|_| SessionPolicyError::Grammar)?;
    let well_formed = document.version.as_deref() == Some("1")
        && document.statement.iter().all(|statement| {
            statement.principal.is_none()
                && (statement.action.is_some() != statement.not_action.is_some())
                && (statement.resource.is_some() != statement.not_resource.is_some())
        });
    if well_formed { Ok(document) } else { Err(SessionPolicyError::Grammar) }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionPolicyError {
    Size,
    Grammar,
}

/// Shell-like match where `*` is any run of characters and `?` exactly one.
pub(crate) fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || Some(wanted) == text.get(read) => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((star_at, star_read)) => {
                    at = star_at + 1;
                    read = star_read + 1;
                    star = Some((star_at, star_read + 1));
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests;
