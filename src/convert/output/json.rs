//! JSON: each field with what became of it, and each role with its policies. `schema` changes when a reader
//! would have to.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::convert::{
    Conversion,
    ledger::{Fate, Field},
};

#[derive(Serialize)]
struct Root<'a> {
    schema: u32,
    objects: Vec<Object<'a>>,
    left: Vec<Left<'a>>,
    roles: Vec<Role<'a>>,
    passed_over: &'a BTreeMap<String, usize>,
    summary: Summary,
}

#[derive(Serialize)]
struct Object<'a> {
    file: &'a str,
    line: u32,
    object: &'a str,
    fields: Vec<Entry<'a>>,
    notes: Vec<Note<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    path: &'a str,
    line: u32,
    fate: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    to: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    why: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    todo: &'a str,
}

#[derive(Serialize)]
struct Note<'a> {
    why: &'a str,
    todo: &'a str,
}

#[derive(Serialize)]
struct Left<'a> {
    file: &'a str,
    line: u32,
    why: &'a str,
    todo: &'a str,
}

#[derive(Serialize)]
struct Role<'a> {
    name: &'a str,
    service_accounts: &'a [String],
    trust_policy: &'a Value,
    policy: &'a Value,
}

#[derive(Serialize)]
struct Summary {
    objects: usize,
    manifests: usize,
    carried: usize,
    changed: usize,
    not_needed: usize,
    by_hand: usize,
}

pub fn render(conversion: &Conversion) -> String {
    let count = |name: &str| {
        let fields = conversion.objects.iter().flat_map(|object| &object.ledger.fields);
        fields.filter(|field| field.fate.name() == name).count()
    };
    let root = Root {
        schema: 1,
        objects: conversion
            .objects
            .iter()
            .map(|object| Object {
                file: &object.file,
                line: object.line,
                object: &object.title,
                fields: object.ledger.fields.iter().map(entry).collect(),
                notes: object.ledger.notes.iter().map(|(why, todo)| Note { why, todo }).collect(),
            })
            .collect(),
        left: conversion
            .left
            .iter()
            .map(|(file, line, why, todo)| Left { file, line: *line, why, todo })
            .collect(),
        roles: conversion
            .roles
            .iter()
            .map(|role| Role {
                name: &role.name,
                service_accounts: &role.accounts,
                trust_policy: &role.trust,
                policy: &role.permissions,
            })
            .collect(),
        passed_over: &conversion.passed_over,
        summary: Summary {
            objects: conversion.objects.len(),
            manifests: conversion.manifests.len(),
            carried: count("carried"),
            changed: count("changed"),
            not_needed: count("not-needed"),
            by_hand: conversion.by_hand(),
        },
    };
    let mut text = serde_json::to_string_pretty(&root).unwrap_or_default();
    text.push('\n');
    text
}

fn entry(field: &Field) -> Entry<'_> {
    let (to, why, todo) = match &field.fate {
        Fate::Carried(to) => (&**to, "", ""),
        Fate::Changed(to, how) => (&**to, &**how, ""),
        Fate::NotNeeded(why) => ("", &**why, ""),
        Fate::ByHand(why, todo) => ("", &**why, &**todo),
        Fate::Open => ("", "", ""),
    };
    Entry { path: &field.path, line: field.at.line, fate: field.fate.name(), to, why, todo }
}
