//! Objects of type `kms`: secrets of KMS Secrets Manager.

use super::{
    super::{
        context::Context,
        fields::{Fields, Reported},
        mistakes::Mistakes,
    },
    Batch, Facts, Source, Trial,
};
use crate::limits::{KMS_BATCH, KMS_NAME, KMS_VERSION};
use crate::{
    api::Api,
    digest::Parts,
    endpoint::{Endpoint, Service},
    error::Reason,
    names::{Region, secret_arn_region},
    text::{accident, quoted},
};

pub(super) const TYPE: &str = "kms";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRef {
    /// Name or ARN.
    pub name: String,
    pub version_id: Option<String>,
    pub stage: Option<String>,
}

/// The label of the version that every secret has.
const CURRENT: &str = "ACSCurrent";

impl SecretRef {
    fn is_arn(&self) -> bool {
        self.name.starts_with("acs:")
    }
}

impl Facts for SecretRef {
    fn object_type(&self) -> &'static str {
        TYPE
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> Option<String> {
        self.version_id.clone().or_else(|| self.stage.clone())
    }

    fn version_in_words(&self) -> Option<String> {
        let id = self.version_id.as_ref().map(|id| format!("version id {}", quoted(id)));
        let stage = self.stage.as_deref().filter(|stage| *stage != CURRENT);
        let stage = stage.map(|stage| format!("label {}", quoted(stage)));
        id.into_iter().chain(stage).reduce(|id, stage| format!("{id} with {stage}"))
    }

    fn digest(&self, parts: &mut Parts) {
        parts.part(&self.name);
        parts.part(self.version_id.as_deref().unwrap_or_default());
        parts.part(self.stage.as_deref().unwrap_or_default());
    }

    fn memory(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        self.name.len() + length(&self.version_id) + length(&self.stage)
    }

    fn api(&self) -> Api {
        Api::GetSecretValue
    }

    /// An ARN is answered under a name that may be another's.
    fn batch(&self) -> Option<Batch<'_>> {
        let api = Api::BatchGetSecretValue;
        let batch = Batch { api, region: None, most: KMS_BATCH, action: None };
        (!self.is_arn()).then_some(batch)
    }

    fn actions(&self) -> &'static [&'static str] {
        &["kms:GetSecretValue"]
    }

    fn trial(&self) -> Trial {
        let mut query = vec![("DryRun", "true".to_owned()), ("SecretName", self.name.clone())];
        query.extend(self.version_id.clone().map(|id| ("VersionId", id)));
        query.extend(self.stage.clone().map(|stage| ("VersionStage", stage)));
        Trial { dry_run: true, query }
    }

    fn placeholder(&self) -> &'static str {
        if self.is_arn() { "ARN" } else { "NAME" }
    }

    fn resources(&self, name: &str, region: &str, account: &str) -> Vec<String> {
        vec![match self.is_arn() {
            true => name.to_owned(),
            false => format!("acs:kms:{region}:{account}:secret/{name}"),
        }]
    }
}

pub(super) fn parse(
    fields: &Fields<'_>,
    name: Option<&str>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Endpoint, Source)> {
    let arn_region = self::name(fields, name, mistakes);
    let of_arn = arn_region.as_ref().and_then(Option::as_ref);
    let endpoint = endpoint(fields, of_arn, context, mistakes);
    let version_id = version(fields, "objectVersion", mistakes);
    let stage = version(fields, "objectVersionLabel", mistakes);
    if let (Ok(Some(_)), Ok(Some(_))) = (&version_id, &stage) {
        // KMS answers with a 400 once the label has moved on to another version.
        fields.wrong("objectVersionLabel", Reason::Contradiction, mistakes, || {
            "is given beside objectVersion, which names the version already; keep one".to_owned()
        });
        return None;
    }
    let (name, _) = (name?, arn_region?);
    let (version_id, stage) = (version_id.ok()?, stage.ok()?);
    Some((endpoint?, Source::Kms(SecretRef { name: name.to_owned(), version_id, stage })))
}

/// The region of a name that is an ARN; `None` at the outside where the name cannot be one.
pub(super) fn name(
    fields: &Fields<'_>,
    name: Option<&str>,
    mistakes: &mut Mistakes,
) -> Option<Option<Region>> {
    let found = match name? {
        arn if arn.starts_with("acs:") => secret_arn(arn).map(Some),
        name => secret_name(name).map(|()| None),
    };
    fields.keep("objectName", Reason::InvalidName, found, mistakes)
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
    fields.keep("kmsEndpoint", Reason::InvalidEndpoint, endpoint, mistakes)
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
        None if name.len() > KMS_NAME => {
            Err(format!("is too long: names of KMS secrets have up to {KMS_NAME} characters"))
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
        None if text.len() > KMS_VERSION => {
            format!("is too long: KMS accepts up to {KMS_VERSION} characters")
        }
        None => return Ok(Some(text.to_owned())),
    };
    fields.wrong(field, Reason::InvalidVersion, mistakes, || what);
    Err(Reported)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(version_id: Option<&str>, stage: Option<&str>) -> SecretRef {
        let own = |text: Option<&str>| text.map(str::to_owned);
        SecretRef { name: "a".to_owned(), version_id: own(version_id), stage: own(stage) }
    }

    fn named(name: &str) -> SecretRef {
        SecretRef { name: name.to_owned(), ..secret(None, None) }
    }

    #[test]
    fn version_in_words_leaves_out_the_label_that_every_secret_has() {
        let words = |id, stage| secret(id, stage).version_in_words();
        assert_eq!(words(None, None), None);
        assert_eq!(words(None, Some("ACSCurrent")), None);
        assert_eq!(words(None, Some("ACSPrevious")).unwrap(), "label \"ACSPrevious\"");
        assert_eq!(words(Some("v1"), None).unwrap(), "version id \"v1\"");
        let both = "version id \"v1\" with label \"old\"";
        assert_eq!(words(Some("v1"), Some("old")).unwrap(), both);
    }

    #[test]
    fn version_of_the_audit_record_is_the_id_before_the_label() {
        assert_eq!(secret(Some("v1"), Some("old")).version().unwrap(), "v1");
        assert_eq!(secret(None, Some("ACSCurrent")).version().unwrap(), "ACSCurrent");
        assert_eq!(secret(None, None).version(), None);
    }

    #[test]
    fn secret_is_read_with_others_unless_it_is_named_by_its_arn() {
        let batch = secret(Some("v1"), None).batch().map(|batch| (batch.api, batch.most));
        assert_eq!(batch, Some((Api::BatchGetSecretValue, 20)));
        assert_eq!(named("acs:kms:cn-hangzhou:1:secret/a").batch(), None);
    }

    #[test]
    fn resource_of_an_arn_is_the_arn_itself() {
        let resources = |secret: SecretRef, name| secret.resources(name, "cn-beijing", "1");
        assert_eq!(resources(named("a"), "b"), ["acs:kms:cn-beijing:1:secret/b"]);
        let arn = "acs:kms:cn-hangzhou:2:secret/a";
        assert_eq!(resources(named(arn), arn), [arn]);
        assert_eq!((named("a").placeholder(), named(arn).placeholder()), ("NAME", "ARN"));
    }
}
