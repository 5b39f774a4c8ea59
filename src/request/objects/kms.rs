//! Objects of type `kms`: secrets of KMS Secrets Manager.

use super::{Context, Endpoint, Fields, Mistakes, Reported, SecretRef, Source};
use crate::{
    cloud::endpoint::Service,
    names::{Region, secret_arn_region},
    request::accident,
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
    let arn_region = name.map(|name| match name.starts_with("acs:") {
        true => secret_arn(name).map(Some),
        false => secret_name(name).map(|()| None),
    });
    let arn_region = arn_region.and_then(|found| fields.keep("objectName", found, mistakes));
    let endpoint = match fields.text("kmsEndpoint", mistakes) {
        Err(Reported) => None,
        Ok(None) => {
            let region = arn_region.as_ref().and_then(Option::as_ref).unwrap_or(context.region);
            Some(context.endpoints.of(Service::Kms, region))
        }
        Ok(Some(host)) => fields.keep("kmsEndpoint", endpoint(host, context), mistakes).and_then(
            |(endpoint, host)| match (arn_region.as_ref().and_then(Option::as_ref), host) {
                (Some(arn), Some(host)) if *arn != host => {
                    fields.wrong("kmsEndpoint", mistakes, || {
                        format!("is in {host}, the ARN in objectName in {arn}")
                    });
                    None
                }
                _ => Some(endpoint),
            },
        ),
    };
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

type Hosts = (Endpoint, Option<Region>);

fn endpoint(host: &str, context: &Context<'_>) -> Result<Hosts, String> {
    match accident::placeholder(host) {
        Some(placeholder) => Err(placeholder.to_owned()),
        None => context.endpoints.kms_of_object(host),
    }
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
    match accident::in_name(name, allowed) {
        Some(what) => Err(format!("{what}; names of KMS secrets have letters, digits and _/+=.-@")),
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
    let what = match accident::in_name(text, |c| c.is_ascii_graphic()) {
        Some(what) => what,
        None if text.len() > MAX_VERSION => {
            format!("is too long: KMS accepts up to {MAX_VERSION} characters")
        }
        None => return Ok(Some(text.to_owned())),
    };
    fields.wrong(field, mistakes, || what);
    Err(Reported)
}
