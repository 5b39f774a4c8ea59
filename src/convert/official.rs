//! The official provider's SecretProviderClasses: the same form, with what its program ignores left out.

use super::{
    class::{Entry, Parameter},
    ledger::Ledger,
    parts::{Parts, each_item},
    write::Tree,
};
use crate::{
    spc::{
        hints,
        names::{ENTRY_FIELDS, FIELDS, PARAMETERS, Place},
    },
    yaml,
};

pub(super) fn read<'a>(given: &'a [yaml::Entry], parts: &mut Parts<'a>, ledger: &mut Ledger) {
    for entry in given {
        let node = &entry.value;
        let name = PARAMETERS.iter().find(|name| **name == &*entry.key).copied();
        match (&*entry.key, name) {
            ("objects", _) => {
                each_item(node, ledger, |item, ledger| object(item, parts, ledger));
            }
            (_, Some(_)) if node.text().is_none_or(str::is_empty) => {
                ledger.not_needed(node, "is empty");
            }
            (_, Some(name)) => {
                ledger.carried(node, name);
                let value = node.text().unwrap_or_default().to_owned();
                parts.parameters.push(Parameter { name, value, node: Some(node) });
            }
            ("env_auth_mode", None) => ledger.not_needed(node, "nothing reads it, there and here"),
            (unknown, None) => {
                let (what, _) = hints::unknown(Place::Parameter, unknown);
                ledger.by_hand(
                    node,
                    what,
                    "the official provider reads it not; correct or remove it",
                );
            }
        }
    }
    let says = |name| parts.parameters.iter().any(|parameter| parameter.name == name);
    if !says("usePodServiceAccountToken") && !says("identity") {
        ledger.note(
            "it does not say whose identity it has: there the first that works, here the pod's",
            "annotate the pods' ServiceAccount with its role; or write identity, which the operator allows",
        );
    }
}

fn object<'a>(item: &'a yaml::Node, parts: &mut Parts<'a>, ledger: &mut Ledger) {
    let Some(fields) = item.entries() else {
        return ledger.by_hand(item, "is no object", "remove the lone \"-\", or write objectName");
    };
    let mut object: Vec<(&'static str, Tree)> = Vec::new();
    for entry in fields {
        let node = &entry.value;
        let name = FIELDS.iter().find(|name| name.eq_ignore_ascii_case(&entry.key)).copied();
        let Some(name) = name else {
            let (what, _) = hints::unknown(Place::Field, &entry.key);
            ledger.by_hand(node, what, "the official provider ignores it; correct or remove it");
            continue;
        };
        if name == "jmesPath" && node.items().is_some() {
            let list = paths(node, ledger);
            if !list.is_empty() {
                object.push((name, Tree::List(list)));
            }
        } else if node.text().is_none_or(str::is_empty) {
            ledger.not_needed(node, "is empty");
        } else if object.iter().any(|(known, _)| *known == name) {
            ledger.by_hand(node, "is there twice, in different letter case", "keep one");
        } else {
            ledger.carried(node, name);
            object.push((name, Tree::of(node)));
        }
    }
    parts.entries.push(Entry {
        node: item,
        object,
        path: None,
        file: None,
        shape: vec![],
        keys: vec![],
    });
}

pub(super) fn paths(list: &yaml::Node, ledger: &mut Ledger) -> Vec<Tree> {
    let mut trees = Vec::new();
    for item in list.items().unwrap_or_default() {
        let mut fields = Vec::new();
        for entry in item.entries().unwrap_or_default() {
            let node = &entry.value;
            let name = ENTRY_FIELDS.iter().find(|name| name.eq_ignore_ascii_case(&entry.key));
            match name {
                Some(name) if node.text().is_some_and(|text| !text.is_empty()) => {
                    ledger.carried(node, "jmesPath");
                    fields.push(((*name).to_owned(), Tree::of(node)));
                }
                Some(_) => ledger.not_needed(node, "is empty"),
                None => {
                    let (what, _) = hints::unknown(Place::Entry, &entry.key);
                    ledger.by_hand(node, what, "correct or remove it");
                }
            }
        }
        trees.push(Tree::Map(fields));
    }
    if list.items().is_some_and(<[_]>::is_empty) {
        ledger.not_needed(list, "is empty");
    }
    trees
}
