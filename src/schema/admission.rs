//! Admission: a ValidatingAdmissionPolicy that refuses SecretProviderClasses when they are applied, in place of
//! pods that do not start. The API server reads no YAML within a text: of `objects` it sees little.

use serde_json::{Value, json};

use crate::spc::{forms::Form, names::Place};

/// One validation: a CEL expression that holds for what may be applied, and what is said where it does not.
fn validation(expression: String, message: String) -> Value {
    json!({ "expression": expression, "message": message })
}

/// Of every SecretProviderClass of this provider, whatever an operator allows.
pub fn validations() -> Vec<Value> {
    let known = quoted(Place::Parameter.known());
    let unread = "['providerName', 'env_auth_mode']";
    let is_known = format!("(name in {known} || name in {unread} || name.contains('/'))");
    let list = Place::Parameter.known().join(", ");
    let unknown = format!("variables.parameters.filter(name, !{is_known}).join(', ')");
    let names = json!({
        "expression": format!("variables.parameters.all(name, {is_known})"),
        "message": format!("parameters has a name that is none of {list}"),
        "messageExpression": format!("'parameters: ' + {unknown} + ': known are {list}'"),
    });
    let forms = Place::Parameter.forms().iter().filter_map(|(name, form, _)| of_form(name, *form));
    let mut all = vec![names];
    all.extend(forms);
    all.push(validation(
        "variables.objects.matches('(?i)objectname')".to_owned(),
        "parameter objects names nothing: write a list, each entry as - objectName: NAME"
            .to_owned(),
    ));
    all.push(validation(
        r"!variables.objects.matches(r'(?im)^\s*array\s*:')".to_owned(),
        "parameter objects is the Azure provider's form: write a plain list, without array: and - |"
            .to_owned(),
    ));
    all
}

fn of_form(name: &str, form: Form) -> Option<Value> {
    let value = format!("variables.parameters['{name}']");
    let (holds, rule) = match form {
        Form::Matching(pattern, rule) => {
            (format!("{value}.matches(r'{pattern}')"), rule.to_owned())
        }
        Form::OneOf(words) => {
            let words = words();
            (
                format!("{value} in {}", quoted(&words)),
                format!("must be one of {}", words.join(", ")),
            )
        }
        Form::Text | Form::Flag | Form::List(_) => return None,
    };
    // An empty text is as good as none.
    let expression = format!("!('{name}' in variables.parameters) || {value} == '' || {holds}");
    Some(validation(expression, format!("parameter {name} {rule}")))
}

fn quoted(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("'{word}'")).collect();
    format!("[{}]", words.join(", "))
}

/// What the validations call by name.
pub fn variables() -> Value {
    let parameters = "has(object.spec.parameters) ? object.spec.parameters : {}";
    let objects = "'objects' in variables.parameters ? variables.parameters['objects'] : ''";
    json!([
        { "name": "parameters", "expression": parameters },
        { "name": "objects", "expression": objects },
    ])
}
