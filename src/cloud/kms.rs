//! KMS Secrets Manager: `GetSecretValue`.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokio::time::Instant;

use super::{Api, Call, Cause, Cloud, Failure, endpoint::Endpoint, sign::Keys};
use crate::secret::Secret;

/// A secret's bytes and what the cloud calls their version.
#[derive(Debug)]
pub struct Value {
    pub bytes: Secret<Vec<u8>>,
    pub version: String,
    /// When the cloud will replace it by itself, where it says so.
    pub rotates_at: Option<jiff::Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretRef {
    /// Name or ARN.
    pub name: String,
    pub version_id: Option<String>,
    pub stage: Option<String>,
}

impl Cloud {
    pub async fn get_secret_value(
        &self,
        endpoint: &Endpoint,
        keys: &Keys,
        secret: &SecretRef,
        deadline: Instant,
    ) -> Result<Value, Failure> {
        let mut query = vec![("SecretName", secret.name.as_str())];
        query.extend(secret.version_id.as_deref().map(|id| ("VersionId", id)));
        query.extend(secret.stage.as_deref().map(|stage| ("VersionStage", stage)));
        let call = Call {
            api: Api::GetSecretValue,
            endpoint,
            query,
            form: None,
            keys: Some(keys),
            trouble: None,
        };
        let body = self.call(&call, deadline).await?;
        serde_json::from_slice::<Answer>(body.expose())
            .ok()
            .and_then(Answer::value)
            .ok_or_else(|| Failure::new(Api::GetSecretValue, endpoint, Cause::Garbled))
    }
}

/// Members that are not needed are not read: their types differ between SDK generations.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    secret_data: Secret<String>,
    secret_data_type: Option<String>,
    version_id: String,
    automatic_rotation: Option<String>,
    next_rotation_date: Option<String>,
}

impl Answer {
    fn value(self) -> Option<Value> {
        let text = self.secret_data.expose().as_bytes();
        let bytes = match self.secret_data_type.as_deref() {
            None | Some("text") => text.to_vec(),
            Some("binary") => STANDARD.decode(text).ok()?,
            Some(_) => return None,
        };
        let rotates = self.automatic_rotation.as_deref() == Some("Enabled");
        let rotates_at = self.next_rotation_date.filter(|_| rotates).and_then(|at| at.parse().ok());
        Some(Value { bytes: Secret::new(bytes), version: self.version_id, rotates_at })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Option<Value> {
        serde_json::from_str::<Answer>(json).ok().and_then(Answer::value)
    }

    #[test]
    fn text_and_binary_values() {
        let text = value(r#"{"SecretData":"v","SecretDataType":"text","VersionId":"1","X":null}"#);
        assert_eq!(text.unwrap().bytes.expose(), b"v");
        let binary = value(r#"{"SecretData":"AAH/","SecretDataType":"binary","VersionId":"1"}"#);
        assert_eq!(binary.unwrap().bytes.expose(), &[0, 1, 255]);
        for stages in [r#"["A"]"#, r#"{"VersionStage":["A"]}"#, "null"] {
            let json = format!(r#"{{"SecretData":"v","VersionId":"1","VersionStages":{stages}}}"#);
            assert!(value(&json).is_some());
        }
    }

    #[test]
    fn an_answer_without_a_value_is_none() {
        for bad in [
            r#"{"SecretData":null,"VersionId":"1"}"#,
            r#"{"VersionId":"1"}"#,
            r#"{"SecretData":"v"}"#,
            r#"{"SecretData":"not base64","SecretDataType":"binary","VersionId":"1"}"#,
            r#"{"SecretData":"v","SecretDataType":"other","VersionId":"1"}"#,
            r#"{"Code":"x"}"#,
            "<html>",
        ] {
            assert!(value(bad).is_none(), "{bad}");
        }
    }
}
