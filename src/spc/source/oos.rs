//! Objects of type `oos`: encrypted parameters of OOS.

use super::{
    super::{context::Context, fields::Fields, mistakes::Mistakes},
    Batch, Facts, Source, Trial,
};
use crate::limits::{OOS_BATCH, OOS_NAME};
use crate::{
    api::Api,
    digest::Parts,
    endpoint::{Endpoint, Service},
    error::Reason,
    names::Region,
    text::{accident, quoted},
};

pub(super) const TYPE: &str = "oos";

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ParameterRef {
    pub region: Region,
    pub name: String,
    pub version: Option<u32>,
}

impl Facts for ParameterRef {
    fn object_type(&self) -> &'static str {
        TYPE
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> Option<String> {
        self.version.map(|version| version.to_string())
    }

    fn version_in_words(&self) -> Option<String> {
        self.version.map(|version| format!("version {version}"))
    }

    fn digest(&self, parts: &mut Parts) {
        parts.part(self.region.as_str());
        parts.part(&self.name);
        parts.part(&self.version().unwrap_or_default());
    }

    fn memory(&self) -> usize {
        self.region.as_str().len() + self.name.len()
    }

    fn api(&self) -> Api {
        Api::GetSecretParameter
    }

    /// The operation has no version.
    fn batch(&self) -> Option<Batch<'_>> {
        let batch = Batch {
            api: Api::GetSecretParameters,
            region: Some(&self.region),
            most: OOS_BATCH,
            action: Some("oos:GetSecretParameters"),
        };
        self.version.is_none().then_some(batch)
    }

    /// OOS keeps the value in a KMS secret of the same name, and reads it as the caller.
    fn actions(&self) -> &'static [&'static str] {
        &["oos:GetSecretParameter", "kms:GetSecretValue"]
    }

    /// OOS has no dry run: without decryption the answer has no value that can be read.
    fn trial(&self) -> Trial {
        let mut query = vec![
            ("Name", self.name.clone()),
            ("RegionId", self.region.as_str().to_owned()),
            ("WithDecryption", "false".to_owned()),
        ];
        query.extend(self.version().map(|version| ("ParameterVersion", version)));
        Trial { dry_run: false, query }
    }

    fn placeholder(&self) -> &'static str {
        "NAME"
    }

    fn resources(&self, name: &str, _: &str, account: &str) -> Vec<String> {
        let (region, name) = (&self.region, name.trim_start_matches('/'));
        vec![
            format!("acs:oos:{region}:{account}:secretparameter/{name}"),
            format!("acs:kms:{region}:{account}:secret/{name}"),
        ]
    }
}

pub(super) fn parse(
    fields: &Fields<'_>,
    name: Option<&str>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Endpoint, Source)> {
    let name = name.map(|name| parameter_name(name).map(|()| name));
    let name = name.and_then(|name| fields.keep("objectName", Reason::InvalidName, name, mistakes));
    let before = mistakes.len();
    for field in ["kmsEndpoint", "objectVersionLabel"] {
        if let Ok(Some(_)) = fields.text(field, mistakes) {
            fields.wrong(field, Reason::Contradiction, mistakes, || {
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
            Some(fields.keep("objectVersion", Reason::InvalidVersion, number, mistakes)?)
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
        None if name.len() > OOS_NAME => {
            Err(format!("is too long: names of OOS parameters have up to {OOS_NAME} characters"))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(version: Option<u32>) -> ParameterRef {
        let region = Region::parse("cn-beijing").unwrap();
        ParameterRef { region, name: "/a/b".to_owned(), version }
    }

    #[test]
    fn version_is_told_where_one_was_asked_for() {
        let told = |version| {
            let parameter = parameter(version);
            (parameter.version(), parameter.version_in_words())
        };
        assert_eq!(told(None), (None, None));
        assert_eq!(told(Some(7)), (Some("7".to_owned()), Some("version 7".to_owned())));
    }

    #[test]
    fn parameter_is_read_with_others_of_its_region_unless_it_has_a_version() {
        let region = Region::parse("cn-beijing");
        let parameter = parameter(None);
        let expected = Batch {
            api: Api::GetSecretParameters,
            region: region.as_ref(),
            most: 10,
            action: Some("oos:GetSecretParameters"),
        };
        assert_eq!(parameter.batch(), Some(expected));
        assert_eq!(self::parameter(Some(1)).batch(), None);
    }

    #[test]
    fn resources_are_of_the_parameters_region_and_begin_with_no_slash() {
        assert_eq!(
            parameter(None).resources("/a/b", "cn-hangzhou", "1"),
            ["acs:oos:cn-beijing:1:secretparameter/a/b", "acs:kms:cn-beijing:1:secret/a/b"]
        );
    }

    #[test]
    fn parameter_of_another_region_is_another() {
        let digest = |parameter: &ParameterRef| {
            let mut parts = Parts::new();
            parameter.digest(&mut parts);
            parts.digest()
        };
        let region = Region::parse("cn-hangzhou").unwrap();
        let other = ParameterRef { region, ..parameter(None) };
        assert_ne!(digest(&other), digest(&parameter(None)));
        assert_eq!(digest(&parameter(None)), digest(&parameter(None)));
    }
}
