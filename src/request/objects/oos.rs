//! Objects of type `oos`: encrypted parameters of OOS.

use super::{Context, Endpoint, Fields, Mistakes, ParameterRef, Source};
use crate::{
    endpoint::Service,
    text::{accident, quoted},
};

/// Of a name, or a path of names (alibaba-cloud-api: OOS).
const MAX_NAME: usize = 200;

pub(super) fn read(
    fields: &Fields<'_>,
    name: Option<&str>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Endpoint, Source)> {
    let name = name.map(|name| parameter_name(name).map(|()| name));
    let name = name.and_then(|name| fields.keep("objectName", name, mistakes));
    let before = mistakes.len();
    for field in ["kmsEndpoint", "objectVersionLabel"] {
        if let Ok(Some(_)) = fields.text(field, mistakes) {
            fields.wrong(field, mistakes, || {
                "has no meaning for objectType oos; remove it".to_owned()
            });
        }
    }
    let version = match fields.text("objectVersion", mistakes).ok()? {
        None => None,
        Some(text) => {
            let number = text.parse().ok().filter(|version| *version > 0);
            let number = number.ok_or_else(|| {
                format!("is {}; of an OOS parameter it is a number from 1", quoted(text))
            });
            Some(fields.keep("objectVersion", number, mistakes)?)
        }
    };
    if mistakes.len() > before {
        return None;
    }
    let endpoint = context.endpoints.of(Service::Oos, context.region);
    let region = context.region.clone();
    Some((endpoint, Source::Oos(ParameterRef { region, name: name?.to_owned(), version })))
}

fn parameter_name(name: &str) -> Result<(), String> {
    // Dots are not documented, and left to OOS.
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_/.-".contains(c);
    if name.starts_with("acs:") || name.starts_with("arn:") {
        return Err("of an OOS parameter is its name, not an ARN".to_owned());
    }
    let rule = "names of OOS parameters have letters, digits and _/-";
    match accident::in_name(name, allowed, rule) {
        Some(what) => Err(what),
        None if name.len() > MAX_NAME => {
            Err(format!("is too long: names of OOS parameters have up to {MAX_NAME} characters"))
        }
        None => Ok(()),
    }
}
