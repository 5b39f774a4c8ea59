//! Comparison: what policies that exist lack for these manifests, and what they grant beyond them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    grants::{Grant, KEY, Permission},
    system::{self, Known},
};
use crate::{names::Glob, text::shown};

/// A permission policy that a role has.
pub(crate) struct Existing {
    rules: Vec<Rule>,
    /// Facts that a reader has to know.
    notes: Vec<String>,
    /// Parts that were left out of the comparison, so that it is not whole.
    not_understood: Vec<String>,
}

/// One statement of it.
struct Rule {
    /// `AliyunKMSFullAccess`, or a statement of a file.
    from: String,
    allow: bool,
    actions: Vec<String>,
    resources: Vec<String>,
    conditional: bool,
}

#[derive(Default)]
pub(crate) struct Comparison {
    /// Not allowed, each with what needs it.
    pub(crate) lacks: Vec<(Permission, BTreeSet<String>)>,
    /// Refused by a Deny, each with the statement that does.
    pub(crate) denied: Vec<(Permission, String)>,
    pub(crate) too_much: Vec<TooMuch>,
    pub(crate) not_understood: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// What is allowed and not needed.
pub(crate) struct TooMuch {
    pub(crate) from: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) why: String,
}

impl Comparison {
    /// Whether the policies are exactly what is needed, as far as that can be said.
    pub(crate) fn is_exact(&self) -> bool {
        self.lacks.is_empty()
            && self.denied.is_empty()
            && self.too_much.is_empty()
            && self.not_understood.is_empty()
    }
}

impl Existing {
    /// A system policy, if the name is one's.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        let rule = |actions: &[&str]| Rule {
            from: name.to_owned(),
            allow: true,
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            resources: vec!["*".to_owned()],
            conditional: false,
        };
        let (rules, notes, not_understood) = match system::known(name)? {
            Known::Allows(actions) => {
                let note = format!(
                    "{name} is a system policy, known here by its name alone; it is for every resource (*), \
                     and may allow more actions than {}",
                    actions.join(", ")
                );
                (vec![rule(actions)], vec![note], vec![])
            }
            Known::Unclear => {
                let what = format!(
                    "{name} looks like a system policy; what it allows is not known here, and such are for \
                     every resource (*): get its document with aliyun ram GetPolicy --PolicyType System \
                     --PolicyName {name}"
                );
                (vec![], vec![], vec![what])
            }
        };
        Some(Self { rules, notes, not_understood })
    }

    /// A policy's document, or what `aliyun ram GetPolicy` and `GetPolicyVersion` answer with.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("line {} is no JSON", error.line()))?;
        let inner = ["DefaultPolicyVersion", "PolicyVersion"].into_iter().find_map(|member| {
            Some(value.get(member)?.get("PolicyDocument")?.as_str()?.to_owned())
        });
        if let Some(inner) = inner {
            return Self::parse(name, &inner);
        }
        let statements = match value.get("Statement") {
            Some(Value::Array(statements)) => statements.iter().collect(),
            Some(one @ Value::Object(_)) => vec![one],
            _ => return Err("is no policy: it has no Statement".to_owned()),
        };
        let mut found = Self { rules: vec![], notes: vec![], not_understood: vec![] };
        if value.get("Version").and_then(Value::as_str) != Some("1") {
            found.not_understood.push(format!("{name}: Version is not \"1\", which RAM wants"));
        }
        for (number, statement) in (1..).zip(statements) {
            let from = format!("{name}, statement {number}");
            let Some(members) = statement.as_object() else {
                return Err(format!("statement {number} is no mapping"));
            };
            if members.contains_key("Principal") {
                return Err(format!(
                    "statement {number} has a Principal: it is a trust policy, not a permission policy"
                ));
            }
            match rule(&from, members) {
                Ok(rule) => {
                    if rule.conditional {
                        let effect =
                            if rule.allow { "taken to allow" } else { "taken not to deny" };
                        let note =
                            format!("{from}: its Condition is not evaluated; it is {effect}");
                        found.notes.push(note);
                    }
                    found.rules.push(rule);
                }
                Err(what) => found.not_understood.push(format!("{from}: {what}")),
            }
        }
        Ok(found)
    }
}

fn rule(from: &str, members: &Map<String, Value>) -> Result<Rule, String> {
    for (name, instead) in [("NotAction", "Action"), ("NotResource", "Resource")] {
        if members.contains_key(name) {
            return Err(format!("{name} is not understood here: write {instead}"));
        }
    }
    let known = ["Sid", "Effect", "Action", "Resource", "Condition"];
    if let Some(other) = members.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("member {} is not understood", shown(other)));
    }
    let allow = match members.get("Effect").and_then(Value::as_str) {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err("Effect is neither Allow nor Deny".to_owned()),
    };
    let texts = |name: &str| match members.get(name) {
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(many)) => {
            let texts: Option<Vec<String>> =
                many.iter().map(|one| one.as_str().map(str::to_owned)).collect();
            texts.ok_or_else(|| format!("{name} is not a list of texts"))
        }
        _ => Err(format!("{name} is missing")),
    };
    Ok(Rule {
        from: from.to_owned(),
        allow,
        actions: texts("Action")?,
        resources: texts("Resource")?,
        conditional: members.get("Condition").is_some_and(|of| of != &Value::Object(Map::new())),
    })
}

/// RAM takes letter case of actions as the same, that of resources not.
fn action_matches(pattern: &str, action: &str) -> bool {
    Glob::new(&pattern.to_ascii_lowercase()).matches(&action.to_ascii_lowercase())
}

/// Whether a resource is within a pattern. What is not known of the resource counts as the pattern has it.
fn resource_matches(pattern: &str, resource: &str) -> bool {
    Glob::new(pattern).matches(resource) || is_as_needed(pattern, resource)
}

/// Whether a pattern names nothing beyond a resource, of which parts may not be known.
fn is_as_needed(pattern: &str, resource: &str) -> bool {
    Glob::new(&resource.replace(KEY, "*")).matches(pattern)
}

impl Rule {
    fn covers(&self, need: &Permission) -> bool {
        self.actions.iter().any(|pattern| action_matches(pattern, &need.action))
            && self.resources.iter().any(|pattern| resource_matches(pattern, &need.resource))
    }

    /// Each action with each resource of the same service.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.actions.iter().flat_map(|action| {
            let service = action.split(':').next().unwrap_or_default();
            let of = move |resource: &&String| {
                let other = resource.strip_prefix("acs:").and_then(|rest| rest.split(':').next());
                // Roles are resources of RAM, which STS's actions are about.
                let other = if other == Some("ram") { Some("sts") } else { other };
                let wild = |text: &str| text.contains(['*', '?']);
                other.is_none_or(|other| {
                    wild(other) || wild(service) || other.eq_ignore_ascii_case(service)
                })
            };
            self.resources.iter().filter(of).map(move |resource| (&**action, &**resource))
        })
    }
}

pub(crate) fn compare(policies: &[Existing], grant: &Grant) -> Comparison {
    let mut found = Comparison::default();
    let rules = || policies.iter().flat_map(|policy| &policy.rules);
    for (need, why) in &grant.permissions {
        if !rules().any(|rule| rule.allow && rule.covers(need)) {
            found.lacks.push((need.clone(), why.clone()));
        }
        let denying = rules().find(|rule| !rule.allow && !rule.conditional && rule.covers(need));
        found.denied.extend(denying.map(|rule| (need.clone(), rule.from.clone())));
    }
    for rule in rules().filter(|rule| rule.allow) {
        for (action, resource) in rule.pairs() {
            found.too_much.extend(too_much(rule, action, resource, grant));
        }
    }
    for policy in policies {
        found.notes.extend(policy.notes.iter().cloned());
        found.not_understood.extend(policy.not_understood.iter().cloned());
    }
    found
}

fn too_much(rule: &Rule, action: &str, resource: &str, grant: &Grant) -> Option<TooMuch> {
    let covered: Vec<&Permission> = grant
        .permissions
        .keys()
        .filter(|need| {
            action_matches(action, &need.action) && resource_matches(resource, &need.resource)
        })
        .collect();
    let exact = covered.iter().any(|need| {
        need.action.eq_ignore_ascii_case(action) && is_as_needed(resource, &need.resource)
    });
    if exact {
        return None;
    }
    let why = match covered.as_slice() {
        [] => "nothing here needs it".to_owned(),
        some => {
            let actions: BTreeSet<&str> = some.iter().map(|need| &*need.action).collect();
            let resources: BTreeSet<&str> = some.iter().map(|need| &*need.resource).collect();
            let actions: Vec<&str> = actions.into_iter().collect();
            let on = match (resources.len(), resources.first()) {
                (1, Some(only)) => (*only).to_owned(),
                (several, _) => format!("{several} resources"),
            };
            format!("needed of it: {} on {on}", actions.join(", "))
        }
    };
    let own = str::to_owned;
    Some(TooMuch { from: rule.from.clone(), action: own(action), resource: own(resource), why })
}

/// What policies allow, each with whether any of these was used.
pub(crate) fn unused(policies: &[Existing], used: &BTreeSet<Permission>) -> Vec<TooMuch> {
    let mut unused: BTreeMap<(String, String, String), ()> = BTreeMap::new();
    for rule in policies.iter().flat_map(|policy| &policy.rules).filter(|rule| rule.allow) {
        for (action, resource) in rule.pairs() {
            let was = |one: &Permission| {
                action_matches(action, &one.action) && resource_matches(resource, &one.resource)
            };
            // A record tells of reads; of keys and roles it cannot.
            let tells = ["kms:GetSecretValue", "oos:GetSecretParameter", "oos:GetSecretParameters"];
            if tells.iter().any(|one| action_matches(action, one)) && !used.iter().any(was) {
                unused.insert((rule.from.clone(), action.to_owned(), resource.to_owned()), ());
            }
        }
    }
    let why = || "no read in the audit record used it".to_owned();
    let each = unused.into_keys();
    each.map(|(from, action, resource)| TooMuch { from, action, resource, why: why() }).collect()
}
