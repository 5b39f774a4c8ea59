//! Schemas: the names and forms of a SecretProviderClass for editors (JSON Schema), and for the API server
//! (`admission`). Both are made of `spc::forms`, and refuse less than a mount does.

pub mod admission;

use serde_json::{Map, Value, json};

use crate::spc::{forms::Form, names::Place, objects::MAX_OBJECTS};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Of the list in parameter `objects`.
pub fn objects() -> Value {
    let more = json!({
        "$schema": DIALECT,
        "title": "objects of a SecretProviderClass with provider alibabacloud",
        "minItems": 1,
        "maxItems": MAX_OBJECTS,
    });
    joined(list(Place::Field), more)
}

/// Both objects in one.
fn joined(mut one: Value, other: Value) -> Value {
    if let (Value::Object(one), Value::Object(other)) = (&mut one, other) {
        one.extend(other);
    }
    one
}

/// Of a whole SecretProviderClass. In it `objects` is a text, into which few editors look.
pub fn class() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "$schema": DIALECT,
        "title": "SecretProviderClass with provider alibabacloud",
        "type": "object",
        "required": ["apiVersion", "kind", "spec"],
        "properties": {
            "apiVersion": {
                "enum": ["secrets-store.csi.x-k8s.io/v1", "secrets-store.csi.x-k8s.io/v1alpha1"]
            },
            "kind": { "const": "SecretProviderClass" },
            "metadata": { "type": "object" },
            "spec": {
                "type": "object",
                "additionalProperties": false,
                "required": ["provider", "parameters"],
                "properties": {
                    "provider": { "const": "alibabacloud" },
                    "parameters": mapping(Place::Parameter),
                    "secretObjects": {
                        "description": "Kubernetes Secrets that the driver makes of the files.",
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["secretName", "type", "data"],
                            "properties": {
                                "secretName": text,
                                "type": text,
                                "labels": { "type": "object", "additionalProperties": text },
                                "annotations": { "type": "object", "additionalProperties": text },
                                "data": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["objectName", "key"],
                                        "properties": { "objectName": text, "key": text }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}

fn list(place: Place) -> Value {
    json!({ "type": "array", "items": mapping(place) })
}

fn mapping(place: Place) -> Value {
    let described = |(name, form, meaning): &(&str, Form, &str)| {
        let schema = joined(value(*form, place), json!({ "description": meaning }));
        ((*name).to_owned(), schema)
    };
    let properties: Map<String, Value> = place.forms().iter().map(described).collect();
    let mapping =
        json!({ "type": "object", "required": place.required(), "properties": properties });
    let others = match place {
        // Kubernetes' own keys have a slash.
        Place::Parameter => {
            json!({ "propertyNames": { "anyOf": [{ "enum": place.known() }, { "pattern": "/" }] } })
        }
        Place::Field | Place::Entry => json!({ "additionalProperties": false }),
    };
    joined(mapping, others)
}

/// Parameters are texts; of the fields in `objects` whatever is written counts as one.
fn value(form: Form, place: Place) -> Value {
    let is_parameter = place == Place::Parameter;
    match form {
        Form::Text if is_parameter => json!({ "type": "string" }),
        Form::Text => json!({ "type": ["string", "number"] }),
        Form::Matching(pattern, _) => json!({ "type": "string", "pattern": pattern }),
        Form::OneOf(words) => json!({ "enum": words() }),
        Form::Flag => json!({ "enum": [true, false, "true", "false"] }),
        Form::List(of) if is_parameter => json!({
            "type": "string",
            "contentMediaType": "application/yaml",
            "contentSchema": list(of),
        }),
        Form::List(of) => list(of),
    }
}

#[cfg(test)]
mod tests;
