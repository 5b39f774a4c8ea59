//! Namespace rules: what the mounts of each namespace may ask for, out of a file that the operator wrote. They
//! narrow what the flags allow, and allow nothing more.

use std::{borrow::Cow, collections::BTreeSet};

use crate::{
    error::{Error, Errors, Location, Reason},
    names::{Glob, RoleArn},
    spc::{
        Spec,
        mode::Mode,
        objects::Object,
        source::{noun, object_types},
    },
    text::quoted,
    yaml::{Node, Position, Value},
};

/// The first rule that has a mount's namespace decides. A namespace that none of them has mounts nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceRules(Vec<NamespaceRule>);

/// What is `None` is left to the flags; an empty list allows nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NamespaceRule {
    namespaces: Vec<Glob>,
    identities: Option<BTreeSet<Mode>>,
    roles: Option<Vec<Pattern>>,
    /// Of each object type, in the order of the file. A type that is not among them is not allowed.
    objects: Option<Vec<(&'static str, Vec<Pattern>)>>,
}

/// What stands for the mount's namespace in a pattern.
const NAMESPACE: &str = "{namespace}";

/// The file is a ConfigMap's, which holds less.
pub const MAX_BYTES: u64 = 1 << 20;

/// A `Glob` in which `{namespace}` stands for the mount's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(String);

impl Pattern {
    /// The names of namespaces have neither `*` nor `?`, as `NamespaceRules::find` makes sure.
    fn in_namespace(&self, namespace: &str) -> Glob {
        Glob::new(&self.0.replace(NAMESPACE, namespace))
    }
}

fn any(patterns: &[Pattern], namespace: &str) -> impl Fn(&str) -> bool + use<> {
    let globs: Vec<_> = patterns.iter().map(|pattern| pattern.in_namespace(namespace)).collect();
    move |text| globs.iter().any(|glob| glob.matches(text))
}

impl NamespaceRules {
    /// The rule with its number, from 1.
    fn find(&self, namespace: &str) -> Result<(usize, &NamespaceRule), Error> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        let is_name = !namespace.is_empty() && namespace.bytes().all(plain);
        let has =
            |rule: &&NamespaceRule| rule.namespaces.iter().any(|glob| glob.matches(namespace));
        let found = self.0.iter().position(|rule| has(&rule)).filter(|_| is_name);
        let rule = found.and_then(|index| Some((index + 1, self.0.get(index)?)));
        rule.ok_or_else(|| {
            let what = format!("namespace {} may not mount secrets here", quoted(namespace));
            let hint =
                "no rule of the operator's --namespace-rules has it; the operator can add one";
            Error::new(Reason::NamespaceNotAllowed, what).hint(hint)
        })
    }

    /// Whether a mount may have this identity and these objects. The pod's own role is not known yet:
    /// `check_role`.
    pub(super) fn check(&self, namespace: &str, mode: Mode, spec: &Spec) -> Result<(), Errors> {
        let (number, rule) = self.find(namespace)?;
        if let Some(allowed) = rule.identities.as_ref().filter(|all| !all.contains(&mode)) {
            let names: Vec<_> = allowed.iter().map(|mode| mode.name()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            let what = format!(
                "identity {mode} is not allowed in namespace {namespace} (allowed: {names})"
            );
            let error = Error::new(Reason::IdentityNotAllowed, what);
            return Err(error
                .located(Location::Parameter("identity".into()))
                .hint(allowed_by(number, "identities"))
                .into());
        }
        let roles = rule.roles.as_ref().map(|roles| any(roles, namespace));
        let cross_account = spec.objects.iter().filter_map(|object| {
            let role = object.read.cross_account_role.as_ref()?;
            let refused = roles.as_ref().is_some_and(|allowed| !allowed(role.as_str()));
            refused.then(|| {
                let subject = format!("{}, field crossAccountRoleArn", object.label);
                role_refused(role, namespace, number).subject(subject).in_objects(object.at)
            })
        });
        let mut refused: Vec<Error> = cross_account.collect();
        // Of identity pod, and then the pod's own role.
        if let Some(role) = &spec.role
            && let Err(error) = self.check_role(namespace, role)
        {
            refused.push(error.parameter("roleArn"));
        }
        if let Some(objects) = &rule.objects {
            refused.extend(refused_objects(objects, &spec.objects, namespace, number));
        }
        Errors::of(refused).map_or(Ok(()), Err)
    }

    /// Whether a pod of the namespace may have this role.
    pub(super) fn check_role(&self, namespace: &str, role: &RoleArn) -> Result<(), Error> {
        let (number, rule) = self.find(namespace)?;
        match &rule.roles {
            Some(roles) if !any(roles, namespace)(role.as_str()) => {
                Err(role_refused(role, namespace, number))
            }
            _ => Ok(()),
        }
    }
}

fn refused_objects(
    allowed: &[(&'static str, Vec<Pattern>)],
    objects: &[Object],
    namespace: &str,
    number: usize,
) -> Vec<Error> {
    let allowed: Vec<_> =
        allowed.iter().map(|(kind, patterns)| (*kind, any(patterns, namespace))).collect();
    let is_refused = |object: &&Object| {
        let source = object.read.source.facts();
        let of_type = allowed.iter().find(|(kind, _)| *kind == source.object_type());
        !of_type.is_some_and(|(_, allowed)| allowed(source.name()))
    };
    let refused = objects.iter().filter(is_refused).map(|object| {
        let kind = object.read.source.facts().object_type();
        let what = format!("is no {} that namespace {namespace} may read", noun(kind));
        Error::new(Reason::ObjectNotAllowed, what)
            .subject(format!("{}, field objectName", object.label))
            .hint(allowed_by(number, "objects"))
            .in_objects(object.at)
    });
    refused.collect()
}

fn role_refused(role: &RoleArn, namespace: &str, number: usize) -> Error {
    let what = format!("namespace {namespace} may not use role {role}");
    Error::new(Reason::RoleNotAllowed, what).hint(allowed_by(number, "roles"))
}

fn allowed_by(number: usize, list: &str) -> String {
    format!("the operator can allow it under {list} of rule {number} of --namespace-rules")
}

/// A mistake in the file, and where it is.
type Mistake = (Position, Cow<'static, str>);

impl NamespaceRules {
    /// The text of the file: `rules`, a list. All mistakes, each with its place.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let document = Node::parse(text).map_err(|malformed| vec![malformed.to_string()])?;
        let mut mistakes: Vec<Mistake> = Vec::new();
        let [rules] = fields(&document, ["rules"], "the file", &mut mistakes);
        let items = rules.and_then(|rules| list(rules, "rules", &mut mistakes));
        let rules: Vec<_> = items
            .unwrap_or_default()
            .iter()
            .filter_map(|item| NamespaceRule::parse(item, &mut mistakes))
            .collect();
        if rules.is_empty() && mistakes.is_empty() {
            mistakes.push((document.at, "has no rules: no namespace could mount anything".into()));
        }
        match mistakes.as_slice() {
            [] => Ok(Self(rules)),
            all => Err(all.iter().map(|(at, what)| format!("{what} ({at})")).collect()),
        }
    }
}

impl NamespaceRule {
    fn parse(node: &Node, mistakes: &mut Vec<Mistake>) -> Option<Self> {
        let names = ["namespaces", "identities", "roles", "objects"];
        let [namespaces, identities, roles, objects] = fields(node, names, "a rule", mistakes);
        let before = mistakes.len();
        let namespaces = match namespaces {
            Some(given) => texts(given, "namespaces", mistakes)?,
            None => {
                mistakes
                    .push((node.at, "namespaces is missing: which ones the rule is for".into()));
                return None;
            }
        };
        if namespaces.is_empty() {
            mistakes.push((node.at, "namespaces is empty: the rule is for none".into()));
        }
        let namespaces = namespaces.iter().map(|(_, text)| Glob::new(text)).collect();
        let identities = identities.map(|given| modes(given, mistakes));
        let roles = roles.map(|given| {
            patterns(given, "roles", mistakes, |pattern| {
                let is_arn = pattern == "*" || pattern.starts_with("acs:ram::");
                (!is_arn).then_some(
                    "is no pattern of role ARNs, such as acs:ram::123456789012:role/shop-*",
                )
            })
        });
        let objects = objects.map(|given| types(given, mistakes));
        (mistakes.len() == before).then_some(Self { namespaces, identities, roles, objects })
    }
}

fn modes(node: &Node, mistakes: &mut Vec<Mistake>) -> BTreeSet<Mode> {
    let mut modes = BTreeSet::new();
    for (at, text) in texts(node, "identities", mistakes).unwrap_or_default() {
        match Mode::parse(text) {
            Some(mode) => drop(modes.insert(mode)),
            None => {
                let what = format!("identities: {} is none of {}", quoted(text), Mode::list());
                mistakes.push((at, what.into()));
            }
        }
    }
    modes
}

fn types(node: &Node, mistakes: &mut Vec<Mistake>) -> Vec<(&'static str, Vec<Pattern>)> {
    let known = object_types();
    let Some(entries) = node.entries() else {
        let what =
            format!("objects is not a mapping: write a list for each of {}", known.join(", "));
        mistakes.push((node.at, what.into()));
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries {
        match known.iter().find(|name| **name == &*entry.key) {
            Some(name) => found.push((*name, patterns(&entry.value, name, mistakes, |_| None))),
            None => {
                let what =
                    format!("objects: {} is none of {}", quoted(&entry.key), known.join(", "));
                mistakes.push((entry.at, what.into()));
            }
        }
    }
    found
}

fn patterns(
    node: &Node,
    name: &str,
    mistakes: &mut Vec<Mistake>,
    wrong: impl Fn(&str) -> Option<&'static str>,
) -> Vec<Pattern> {
    let mut found = Vec::new();
    for (at, text) in texts(node, name, mistakes).unwrap_or_default() {
        // What is in braces and not this would match nothing that there is.
        let braces = text.replace(NAMESPACE, "").contains(['{', '}']);
        let braces = braces.then_some("has braces: {namespace} is all that can stand in them");
        match braces.or_else(|| wrong(text)) {
            Some(what) => mistakes.push((at, format!("{name}: {} {what}", quoted(text)).into())),
            None => found.push(Pattern(text.to_owned())),
        }
    }
    found
}

/// The fields of a mapping, of which it has no other.
fn fields<'a, const N: usize>(
    node: &'a Node,
    names: [&'static str; N],
    whose: &str,
    mistakes: &mut Vec<Mistake>,
) -> [Option<&'a Node>; N] {
    let entries = node.entries();
    if entries.is_none() {
        mistakes
            .push((node.at, format!("{whose} is not a mapping with {}", names.join(", ")).into()));
    }
    let entries = entries.unwrap_or_default();
    for entry in entries.iter().filter(|entry| !names.contains(&&*entry.key)) {
        let what = format!("{} is none of {}", quoted(&entry.key), names.join(", "));
        mistakes.push((entry.at, what.into()));
    }
    names.map(|name| entries.iter().find(|entry| &*entry.key == name).map(|entry| &entry.value))
}

fn list<'a>(node: &'a Node, name: &str, mistakes: &mut Vec<Mistake>) -> Option<&'a [Node]> {
    if node.items().is_none() {
        let what = match &node.value {
            // All, or none? The author has to say.
            Value::Scalar(_) if node.is_null() => "is empty: remove it, or write [] to allow none",
            _ => "is not a list",
        };
        mistakes.push((node.at, format!("{name} {what}").into()));
    }
    node.items()
}

fn texts<'a>(
    node: &'a Node,
    name: &str,
    mistakes: &mut Vec<Mistake>,
) -> Option<Vec<(Position, &'a str)>> {
    let mut found = Vec::new();
    for item in list(node, name, mistakes)? {
        match item.scalar().filter(|scalar| !scalar.is_null() && !scalar.text.is_empty()) {
            Some(scalar) => found.push((item.at, &*scalar.text)),
            None => mistakes.push((item.at, format!("{name}: an entry is not a text").into())),
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests;
