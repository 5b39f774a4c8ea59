//! Objects of type `kms`: secrets of KMS Secrets Manager.

use super::{Context, Endpoint, Fields, Mistakes, Reported, SecretRef, Source};
use crate::{
    endpoint::Service,
    names::{Region, secret_arn_region},
    text::accident,
};

/// Of a name, and of a version or label (alibaba-cloud-api: GetSecretValue).
const MAX_NAME: usize = 192;
const MAX_VERSION: usize = 64;

pub(super) fn read(
    fields: &Fields<'_>,
    name: Option<&str>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Endpoint, Source)> {
    let arn_region = named(fields, name, mistakes);
    let of_arn = arn_region.as_ref().and_then(Option::as_ref);
    let endpoint = endpoint(fields, of_arn, context, mistakes);
    let version_id = version(fields, "objectVersion", mistakes);
    let stage = version(fields, "objectVersionLabel", mistakes);
    if let (Ok(Some(_)), Ok(Some(_))) = (&version_id, &stage) {
        // KMS answers with a 400 once the label has moved on to another version.
        fields.wrong("objectVersionLabel", mistakes, || {
            "is given beside objectVersion, which names the version already; keep one".to_owned()
        });
        return None;
    }
    let (name, _) = (name?, arn_region?);
    let (version_id, stage) = (version_id.ok()?, stage.ok()?);
    Some((endpoint?, Source::Kms(SecretRef { name: name.to_owned(), version_id, stage })))
}

/// The region of a name that is an ARN; `None` at the outside where the name cannot be one.
pub(super) fn named(
    fields: &Fields<'_>,
    name: Option<&str>,
    mistakes: &mut Mistakes,
) -> Option<Option<Region>> {
    let found = match name? {
        arn if arn.starts_with("acs:") => secret_arn(arn).map(Some),
        name => secret_name(name).map(|()| None),
    };
    fields.keep("objectName", found, mistakes)
}

fn endpoint(
    fields: &Fields<'_>,
    of_arn: Option<&Region>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<Endpoint> {
    let Some(host) = fields.text("kmsEndpoint", mistakes).ok()? else {
        return Some(context.endpoints.of(Service::Kms, of_arn.unwrap_or(context.region)));
    };
    let found = match accident::in_word(host) {
        Some(accident) => Err(accident.to_owned()),
        None => context.endpoints.kms_of_object(host),
    };
    let endpoint = found.and_then(|(endpoint, region)| match (of_arn, region) {
        (Some(arn), Some(host)) if *arn != host => {
            Err(format!("is in {host}, the ARN in objectName in {arn}"))
        }
        _ => Ok(endpoint),
    });
    fields.keep("kmsEndpoint", endpoint, mistakes)
}

fn secret_arn(arn: &str) -> Result<Region, String> {
    if let Some(placeholder) = accident::placeholder(arn) {
        return Err(placeholder.to_owned());
    }
    let region = secret_arn_region(arn)?;
    secret_name(arn.split_once(":secret/").map_or("", |(_, name)| name))?;
    Ok(region)
}

fn secret_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_/+=.-@".contains(c);
    if name.starts_with("arn:") {
        return Err("is an ARN of another cloud; write the secret's name, or its ARN \
                    acs:kms:REGION:ACCOUNT:secret/NAME"
            .to_owned());
    }
    let rule = "names of KMS secrets have letters, digits and _/+=.-@";
    match accident::in_name(name, allowed, rule) {
        Some(what) => Err(what),
        None if name.len() > MAX_NAME => {
            Err(format!("is too long: names of KMS secrets have up to {MAX_NAME} characters"))
        }
        None => Ok(()),
    }
}

fn version(
    fields: &Fields<'_>,
    field: &str,
    mistakes: &mut Mistakes,
) -> Result<Option<String>, Reported> {
    let Some(text) = fields.text(field, mistakes)? else { return Ok(None) };
    let rule = "versions and labels are printable ASCII characters without blanks";
    let what = match accident::in_name(text, |c| c.is_ascii_graphic(), rule) {
        Some(what) => what,
        None if text.len() > MAX_VERSION => {
            format!("is too long: KMS accepts up to {MAX_VERSION} characters")
        }
        None => return Ok(Some(text.to_owned())),
    };
    fields.wrong(field, mistakes, || what);
    Err(Reported)
}
