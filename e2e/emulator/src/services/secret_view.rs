//! Secrets in the members KMS shows them with.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::state::clock;
use crate::state::secret::{Secret, SecretVersion};

pub(crate) fn secret_value(secret: &Secret, version: &SecretVersion, extended: bool) -> Value {
    let mut answer = rotation_members(secret);
    let (data, data_type) = if version.binary {
        (STANDARD.encode(&version.value), "binary")
    } else {
        (String::from_utf8_lossy(&version.value).into_owned(), "text")
    };
    answer.insert("SecretName".into(), json!(secret.settings.name));
    answer.insert("SecretData".into(), json!(data));
    answer.insert("SecretDataType".into(), json!(data_type));
    answer.insert("VersionId".into(), json!(version.id));
    // An object: given a plain array the official Python client loses the whole answer.
    answer.insert("VersionStages".into(), json!({ "VersionStage": version.stages }));
    answer.insert("CreateTime".into(), json!(clock::format(version.created)));
    if extended && secret.is_managed() {
        let config = secret.settings.extended_config.as_deref().unwrap_or("{}");
        answer.insert("ExtendedConfig".into(), json!(config));
    }
    answer.into()
}

pub(crate) fn secret_description(secret: &Secret, arn: &str, with_tags: bool) -> Value {
    let settings = &secret.settings;
    let mut answer = rotation_members(secret);
    answer.insert("Arn".into(), json!(arn));
    answer.insert("SecretName".into(), json!(settings.name));
    answer.insert("EncryptionKeyId".into(), json!(key_id(secret)));
    answer.insert("Description".into(), json!(settings.description));
    answer.insert("UpdateTime".into(), json!(clock::format(secret.updated)));
    answer.insert("CreateTime".into(), json!(clock::format(secret.created)));
    if let Some(instance) = &settings.instance {
        answer.insert("DKMSInstanceId".into(), json!(instance));
    }
    if with_tags {
        let tags = settings.tags.iter();
        let tags: Vec<Value> =
            tags.map(|(key, value)| json!({ "TagKey": key, "TagValue": value })).collect();
        answer.insert("Tags".into(), json!({ "Tag": tags }));
    }
    answer.into()
}

pub(crate) fn version_listing(version: &SecretVersion) -> Value {
    json!({
        "VersionId": version.id,
        "CreateTime": clock::format(version.created),
        "VersionStages": { "VersionStage": version.stages },
    })
}

fn rotation_members(secret: &Secret) -> Map<String, Value> {
    let settings = &secret.settings;
    let mut members = Map::new();
    members
        .insert("SecretType".into(), json!(settings.secret_type.as_deref().unwrap_or("Generic")));
    let rotation = settings
        .automatic_rotation
        .clone()
        .or_else(|| secret.is_managed().then(|| "Disabled".to_owned()));
    for (name, value) in [
        ("AutomaticRotation", &rotation),
        ("RotationInterval", &settings.rotation_interval),
        ("LastRotationDate", &settings.last_rotation_date),
        ("NextRotationDate", &settings.next_rotation_date),
    ] {
        if let Some(value) = value {
            members.insert(name.into(), json!(value));
        }
    }
    members
}

pub(crate) fn key_id(secret: &Secret) -> String {
    secret.settings.key_id.clone().unwrap_or_else(|| "key-emulated0000000000".to_owned())
}
