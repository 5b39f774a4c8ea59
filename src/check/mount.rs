//! What a mount would say: the parameters of a SecretProviderClass, and those of a volume that win over
//! them, through the parser and the policy of a mount.

use std::{cell::OnceCell, collections::BTreeMap};

use super::{
    Settings,
    finding::{Finding, Place, Show},
    rule::Rule,
};
use crate::{
    error::{Error, Errors, Location, Reason},
    manifests::{
        File,
        class::Class,
        locate::locate,
        value::{Given, Pair, Text},
    },
    policy::Decision,
    request::NodePublishKeys,
    secret::Secret,
    spc::{
        Spec, file::FileMode, names::PARAMETERS, object_cache::ObjectCache, parameters::Parameters,
    },
    text::shown,
    yaml::{Node, Position},
};

/// What a mount of a class would do, before anybody is asked.
#[derive(Debug)]
pub(crate) struct Verdict {
    /// What it would mount, if its parameters are in order.
    pub(crate) spec: Option<Spec>,
    pub(crate) decision: Option<Decision>,
    pub(crate) errors: Option<Errors>,
}

/// `over`: attributes of a volume, which win. `namespace`: of the pod, if it is known.
pub(crate) fn verdict(
    class: &Class,
    over: &[Pair],
    namespace: Option<&str>,
    settings: &Settings,
    cache: &ObjectCache,
) -> Verdict {
    let mut parameters = Parameters::default();
    let all = class.parameters.iter().chain(over);
    let all = all.filter(|pair| &*pair.name.text != CLASS_NAME);
    // The later wins. The driver sends them in the order of their names.
    let all: BTreeMap<&str, &Given> = all.map(|pair| (&*pair.name.text, &pair.value)).collect();
    for (name, value) in all {
        let text = value.text().map_or("", |text| &text.text);
        parameters.insert(name, Secret::new(text.to_owned()));
    }
    let spec = Spec::parse(&parameters, &settings.endpoints, FileMode::default(), cache);
    match spec {
        Err(errors) => Verdict { spec: None, decision: None, errors: Some(errors) },
        Ok(spec) => match settings.policy.decide(&spec, &NodePublishKeys::Absent, namespace) {
            Ok(decision) => Verdict { spec: Some(spec), decision: Some(decision), errors: None },
            Err(errors) => Verdict { spec: Some(spec), decision: None, errors: Some(errors) },
        },
    }
}

/// The attribute by which a volume names its class.
pub(crate) const CLASS_NAME: &str = "secretProviderClass";

/// Where parameters are written, the strongest first.
pub(super) struct Written<'a> {
    pub(super) parameters: Vec<(usize, &'a File, &'a [Pair])>,
    /// Where what is written nowhere is missing.
    pub(super) otherwise: Place,
    /// The text of `objects`, once somebody looks for a field in it.
    objects: OnceCell<Option<Node>>,
}

impl<'a> Written<'a> {
    pub(super) fn of(parameters: Vec<(usize, &'a File, &'a [Pair])>, otherwise: Place) -> Self {
        Self { parameters, otherwise, objects: OnceCell::new() }
    }

    /// The value of a field of the object that starts there, or that start.
    fn field(&self, object: Position, name: &str) -> Position {
        let parsed = || {
            let (_, _, pair) = self.pair("objects")?;
            Node::parse(&pair.value.text()?.text).ok()
        };
        let items = self.objects.get_or_init(parsed).as_ref().and_then(Node::items);
        let item = items.unwrap_or_default().iter().find(|item| item.at == object);
        let entries = item.and_then(Node::entries).unwrap_or_default();
        let found = entries.iter().find(|entry| entry.key.eq_ignore_ascii_case(name));
        found.map_or(object, |entry| entry.value.at)
    }

    /// The first that has the parameter.
    fn pair(&self, name: &str) -> Option<(usize, &'a File, &'a Pair)> {
        self.parameters.iter().find_map(|(index, file, pairs)| {
            // Of long names the beginning is kept.
            let found = pairs.iter().find(|pair| {
                &*pair.name.text == name || name.len() >= 100 && pair.name.text.starts_with(name)
            })?;
            Some((*index, *file, found))
        })
    }

    /// Where an error is, and what to say if that is not exact.
    fn place(&self, error: &Error) -> (Place, Option<String>) {
        let plain = |at| (at, None);
        match error.location.as_deref() {
            Some(Location::Parameter(name)) => {
                let Some((file, _, pair)) = self.pair(name) else {
                    return plain(self.otherwise.clone());
                };
                plain(match pair.value.text().filter(|_| PARAMETERS.contains(&&**name)) {
                    Some(text) => Place { file, at: text.at, show: Show::Line },
                    None => Place { file, at: pair.name.at, show: Show::Name },
                })
            }
            Some(Location::Objects(inner)) => {
                let inner = match error.reason {
                    Reason::RoleNotAllowed => self.field(*inner, "crossAccountRoleArn"),
                    Reason::InstanceNotAllowed => self.field(*inner, "kmsEndpoint"),
                    Reason::ObjectNotAllowed => self.field(*inner, "objectName"),
                    _ => *inner,
                };
                let Some((index, file, pair)) = self.pair("objects") else {
                    return plain(self.otherwise.clone());
                };
                let Some(text) = pair.value.text() else {
                    return plain(Place { file: index, at: pair.name.at, show: Show::Name });
                };
                match locate(&file.source, text, inner) {
                    Some(at) => {
                        let show = match error.reason {
                            Reason::UnknownName => Show::Name,
                            // A block, of whose lines nothing else is.
                            _ if text.at.line > pair.name.at.line => Show::Text,
                            _ => Show::Line,
                        };
                        plain(Place { file: index, at, show })
                    }
                    None => {
                        let note = format!("{inner} of the text of objects, which starts here");
                        (Place { file: index, at: pair.name.at, show: Show::Name }, Some(note))
                    }
                }
            }
            _ => plain(self.otherwise.clone()),
        }
    }

    /// Of a field of an object that starts there in the text of `objects`, or where that text begins.
    pub(super) fn of_field(&self, object: Position, name: &str) -> Place {
        let inner = self.field(object, name);
        let Some((index, file, pair)) = self.pair("objects") else { return self.otherwise.clone() };
        let at = pair.value.text().and_then(|text| locate(&file.source, text, inner));
        let block = pair.value.text().is_some_and(|text| text.at.line > pair.name.at.line);
        let show = if block { Show::Text } else { Show::Line };
        Place { file: index, at: at.unwrap_or(pair.name.at), show }
    }

    pub(super) fn finding(&self, error: &Error) -> Finding {
        let (place, note) = self.place(error);
        let bare = Error { hint: Box::default(), ..error.clone() };
        let finding = Finding::new(Rule::Mount(error.reason), place, bare.to_string())
            .hint(shown(&error.hint));
        match note {
            Some(note) => finding.note(note),
            None => finding,
        }
    }

    /// All that a mount would say, and that it would say more.
    pub(super) fn findings(&self, errors: &Errors) -> Vec<Finding> {
        let mut findings: Vec<_> = errors.iter().map(|error| self.finding(error)).collect();
        if let (Some(last), more @ 1..) = (findings.last_mut(), errors.more()) {
            last.notes.push(format!("{more} more mistakes are shown once these are corrected"));
        }
        findings
    }
}

/// Whether a class's parameters can be handed to a mount at all.
pub(crate) fn is_text(value: &Given) -> bool {
    !matches!(value, Given::Other(..))
}

/// Of a text that names something.
pub(super) fn text(text: Option<&Text>) -> &str {
    text.map_or("", |text| &text.text)
}
