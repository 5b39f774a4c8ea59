use std::collections::BTreeSet;

use super::*;
use crate::spc::{mode::Mode, parse_interval, source::object_types};

fn properties(schema: &Value) -> BTreeSet<&str> {
    schema["properties"].as_object().unwrap().keys().map(String::as_str).collect()
}

fn names(place: Place) -> BTreeSet<&'static str> {
    place.known().iter().copied().collect()
}

#[test]
fn schemas_have_the_names_that_the_parser_knows_and_no_others() {
    let objects = objects();
    let fields = &objects["items"];
    assert_eq!(properties(fields), names(Place::Field));
    assert_eq!(fields["additionalProperties"], json!(false));
    let entries = &fields["properties"]["jmesPath"]["items"];
    assert_eq!(properties(entries), names(Place::Entry));
    let class = class();
    let parameters = &class["properties"]["spec"]["properties"]["parameters"];
    assert_eq!(properties(parameters), names(Place::Parameter));
    assert_eq!(parameters["propertyNames"]["anyOf"][0]["enum"], json!(Place::Parameter.known()));
}

#[test]
fn schemas_have_the_words_that_the_parser_takes() {
    let objects = objects();
    let types = &objects["items"]["properties"]["objectType"]["enum"];
    assert_eq!(*types, json!(object_types()));
    let class = class();
    let parameters = &class["properties"]["spec"]["properties"]["parameters"]["properties"];
    let modes = parameters["identity"]["enum"].as_array().unwrap();
    assert!(modes.iter().all(|mode| Mode::parse(mode.as_str().unwrap()).is_some()));
    assert_eq!(modes.len(), Mode::ALL.len());
    assert_eq!(parameters["objects"]["contentSchema"]["items"], objects["items"]);
}

#[test]
fn each_name_has_a_meaning_that_is_a_sentence() {
    for place in [Place::Parameter, Place::Field, Place::Entry] {
        let named: Vec<_> = place.forms().iter().map(|(name, ..)| *name).collect();
        assert_eq!(named, place.known());
        for (name, _, meaning) in place.forms() {
            assert!(meaning.ends_with('.') && meaning.len() > 10, "{name}: {meaning}");
        }
    }
}

#[test]
fn intervals_of_the_schema_are_those_of_the_parser() {
    let (_, form, _) =
        Place::Parameter.forms().iter().find(|(name, ..)| *name == "refreshInterval").unwrap();
    let Form::Matching(pattern, _) = form else { panic!("{form:?}") };
    assert_eq!(*pattern, "^(0|[+]?[0-9]+[smh])$");
    for taken in ["0", "5m", "+5m", "007s", "1h"] {
        assert!(parse_interval(taken).is_some(), "{taken}");
    }
    for refused in ["", "5", "m", "-5m", "5M", "5 m", "1.5h"] {
        assert!(parse_interval(refused).is_none(), "{refused}");
    }
}
