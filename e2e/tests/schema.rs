//! `schema`, and the files that are made of the same tables: JSON Schemas for editors and the validations of the
//! chart's admission policy.

use std::fs;

use provider::schema::{self, admission};
use serde_json::{Value, json};

use crate::{architecture::root, check::run};

/// The file as it is, or as it is made now.
fn holds(file: &str, made: &Value) {
    let path = root().join(file);
    let text = format!("{made:#}\n");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == text, "{file}: UPDATE_DOCS=1 writes it");
}

#[test]
fn files_of_the_schemas_are_those_of_the_program() {
    holds("docs/schema/objects.schema.json", &schema::objects());
    holds("docs/schema/secretproviderclass.schema.json", &schema::class());
    let policy =
        json!({ "variables": admission::variables(), "validations": admission::validations() });
    holds("deploy/chart/files/class-policy.json", &policy);
}

#[test]
fn schema_prints_what_was_asked_for() {
    for (arguments, expected) in [
        (&["schema"][..], schema::class()),
        (&["schema", "class"], schema::class()),
        (&["schema", "objects"], schema::objects()),
    ] {
        let (status, said, failed) = run(arguments, "");
        assert_eq!((status, &*failed), (0, ""));
        assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), expected, "{arguments:?}");
    }
    let (status, _, failed) = run(&["schema", "pods"], "");
    assert_eq!(status, 64);
    assert!(failed.contains("possible values: class, objects"), "{failed}");
}
