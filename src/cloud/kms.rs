//! KMS Secrets Manager: one by one, or twenty at a time.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{Api, Cause, Cloud, Failure, ReadOptions};
use crate::{secret::Secret, spc::source::kms::SecretRef, text::identifier, value::Value};

impl Cloud {
    pub async fn get_secret_value(
        &self,
        options: &ReadOptions<'_>,
        secret: &SecretRef,
    ) -> Result<Value, Failure> {
        let api = Api::GetSecretValue;
        let mut query = vec![("SecretName", secret.name.as_str())];
        query.extend(secret.version_id.as_deref().map(|id| ("VersionId", id)));
        query.extend(secret.stage.as_deref().map(|stage| ("VersionStage", stage)));
        let body = self.read(options, api, query).await?;
        serde_json::from_slice::<Answer>(body.expose())
            .ok()
            .filter(|answer| answer.is_of(&secret.name))
            .and_then(|answer| answer.value(None))
            .ok_or_else(|| Failure::new(api, options.endpoint, Cause::Garbled))
    }

    /// Up to twenty secrets whose names differ, in the order of `secrets`; `None` for one that the
    /// answer does not hold, for whatever reason.
    pub async fn batch_get_secret_value(
        &self,
        options: &ReadOptions<'_>,
        secrets: &[&SecretRef],
    ) -> Result<Vec<Option<Value>>, Failure> {
        let api = Api::BatchGetSecretValue;
        let garbled = || Failure::new(api, options.endpoint, Cause::Garbled);
        let list: Vec<_> = secrets
            .iter()
            .map(|secret| Selector {
                secret_name: &secret.name,
                version_id: secret.version_id.as_deref(),
                version_stage: secret.stage.as_deref(),
            })
            .collect();
        let list = serde_json::to_string(&list).map_err(|_| garbled())?;
        let body = self.read(options, api, vec![("SecretsList", &list)]).await?;
        let many: Many = serde_json::from_slice(body.expose()).map_err(|_| garbled())?;
        let request_id = many.request_id.as_deref();
        let mut found: Vec<Answer> = many.secret_values;
        let mut take = |secret: &SecretRef| {
            let named = |answer: &Answer| answer.secret_name.as_deref() == Some(&*secret.name);
            let answer = found.swap_remove(found.iter().position(named)?);
            let asked = secret.version_id.as_ref().is_none_or(|id| *id == answer.version_id);
            if asked { answer.value(request_id) } else { None }
        };
        Ok(secrets.iter().map(|secret| take(secret)).collect())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Selector<'a> {
    secret_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_stage: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Many {
    #[serde(default)]
    secret_values: Vec<Answer>,
    request_id: Option<String>,
}

/// Members that are not needed are not read: their types differ between SDK generations.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    secret_name: Option<String>,
    secret_data: Secret<String>,
    secret_data_type: Option<String>,
    version_id: String,
    automatic_rotation: Option<String>,
    next_rotation_date: Option<String>,
    request_id: Option<String>,
}

impl Answer {
    /// Whether it may be the answer about this name or ARN: an answer that a cache or a gateway on
    /// the way mixed up is another secret's.
    fn is_of(&self, asked: &str) -> bool {
        let bare = asked.strip_prefix("acs:").and_then(|arn| arn.split_once(":secret/"));
        let bare = bare.map_or(asked, |(_, name)| name);
        self.secret_name.as_deref().is_none_or(|name| name == asked || name == bare)
    }

    /// `request_id` is that of the answer it is a part of.
    fn value(self, request_id: Option<&str>) -> Option<Value> {
        let text = self.secret_data.expose().as_bytes();
        let bytes = match self.secret_data_type.as_deref() {
            None | Some("text") => text.to_vec(),
            Some("binary") => STANDARD.decode(text).ok()?,
            Some(_) => return None,
        };
        let rotates = self.automatic_rotation.as_deref() == Some("Enabled");
        let rotates_at = self.next_rotation_date.filter(|_| rotates).and_then(|at| at.parse().ok());
        let request_id = self::request_id(request_id.or(self.request_id.as_deref()));
        Some(Value { bytes: Secret::new(bytes), version: self.version_id, rotates_at, request_id })
    }
}

pub(super) fn request_id(given: Option<&str>) -> String {
    given.and_then(identifier).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
