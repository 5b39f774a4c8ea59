//! OOS encrypted parameters: one by one, or ten at a time.

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use super::{Api, Cause, Cloud, Failure, ReadOptions, kms::request_id, read::Part};
use crate::{names::Region, secret::Secret, spc::source::oos::ParameterRef, value::Value};

impl Cloud {
    pub async fn get_secret_parameter(
        &self,
        options: &ReadOptions<'_>,
        parameter: &ParameterRef,
    ) -> Result<Value, Failure> {
        let api = Api::GetSecretParameter;
        let version = parameter.version.map(|version| version.to_string());
        let mut query = vec![
            ("Name", parameter.name.as_str()),
            ("RegionId", parameter.region.as_str()),
            ("WithDecryption", "true"),
        ];
        query.extend(version.as_deref().map(|version| ("ParameterVersion", version)));
        let body = self.read(options, api, query).await?;
        serde_json::from_slice::<One>(body.expose())
            .ok()
            .and_then(|answer| answer.parameter.value(&request_id(answer.request_id.as_deref())))
            // An answer that was mixed up on the way is another parameter's.
            .filter(|(name, _)| *name == parameter.name)
            .map(|(_, value)| value)
            .ok_or_else(|| Failure::new(api, options.endpoint, Cause::Garbled))
    }

    /// The latest versions of up to ten parameters, in the order of `names`. One that is
    /// missing gets its own error when it is asked for alone.
    pub async fn get_secret_parameters(
        &self,
        options: &ReadOptions<'_>,
        region: &Region,
        names: &[&str],
    ) -> Result<Vec<Part>, Failure> {
        let api = Api::GetSecretParameters;
        let garbled = || Failure::new(api, options.endpoint, Cause::Garbled);
        let list = serde_json::to_string(names).map_err(|_| garbled())?;
        let query = vec![
            ("Names", list.as_str()),
            ("RegionId", region.as_str()),
            ("WithDecryption", "true"),
        ];
        let body = self.read(options, api, query).await?;
        let many: Many = serde_json::from_slice(body.expose()).map_err(|_| garbled())?;
        let id = request_id(many.request_id.as_deref());
        // One that could not be decrypted has no value.
        let mut found: Vec<(String, Value)> =
            many.parameters.into_iter().filter_map(|parameter| parameter.value(&id)).collect();
        let refused = many.invalid_parameters.unwrap_or_default();
        let mut part = |name: &str| match found.iter().position(|(found, _)| found == name) {
            Some(at) => Part::Value(found.swap_remove(at).1),
            None if refused.iter().any(|refused| refused == name) => Part::Refused,
            None => Part::Absent,
        };
        Ok(names.iter().map(|name| part(name)).collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct One {
    parameter: Parameter,
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Many {
    parameters: Vec<Parameter>,
    invalid_parameters: Option<Vec<String>>,
    request_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    name: String,
    /// Null when it was not decrypted.
    value: Option<Secret<String>>,
    #[serde(deserialize_with = "version")]
    parameter_version: Option<u32>,
}

impl Parameter {
    fn value(self, request_id: &str) -> Option<(String, Value)> {
        let bytes = Secret::new(self.value?.expose().as_bytes().to_vec());
        let (version, request_id) = (self.parameter_version?.to_string(), request_id.to_owned());
        Some((self.name, Value { bytes, version, rotates_at: None, request_id }))
    }
}

/// An int in one operation's answer, a string in another's metadata.
fn version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    Ok(match Json::deserialize(deserializer)? {
        Json::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        Json::String(text) => text.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
