//! KMS Secrets Manager: reading secrets.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::services::error::ApiError;
use crate::services::request::{ApiRequest, Endpoint};
use crate::services::secret_view::{key_id, secret_description, secret_value, version_listing};
use crate::state::arn;
use crate::state::cloud::Cloud;
use crate::state::config::Batch;
use crate::state::identity::Principal;
use crate::state::secret::{Secret, SecretVersion};
use crate::state::sync::lock;

/// Where a call arrived and for whom.
pub(crate) struct Call<'a> {
    cloud: &'a Cloud,
    caller: &'a Principal,
    /// None when an instance's host was called.
    region: Option<String>,
    instance: Option<String>,
}

/// Which secret, and which version of it.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Selector {
    secret_name: String,
    #[serde(default)]
    version_id: Option<String>,
    #[serde(default)]
    version_stage: Option<String>,
    #[serde(default)]
    fetch_extended_config: Option<Value>,
}

pub(crate) fn answer(
    cloud: &Cloud,
    caller: &Principal,
    request: &ApiRequest,
) -> Result<Value, ApiError> {
    let call = Call::new(cloud, caller, request);
    let action = request.action().unwrap_or_default();
    if call.instance.is_some() {
        call.check_instance()?;
        if action != "GetSecretValue" {
            return Err(ApiError::new(
                400,
                "UnsupportedOperation",
                "This operation is not supported by the dedicated gateway.",
            ));
        }
    }
    match action {
        "GetSecretValue" => call.get_secret_value(request),
        "BatchGetSecretValue" => call.batch_get_secret_value(request),
        "DescribeSecret" => call.describe_secret(request),
        "ListSecretVersionIds" => call.list_secret_version_ids(request),
        _ => Err(ApiError::unknown_action()),
    }
}

impl<'a> Call<'a> {
    fn new(cloud: &'a Cloud, caller: &'a Principal, request: &ApiRequest) -> Self {
        let (region, instance) = match request.endpoint() {
            Endpoint::Instance { id } => (None, Some(id)),
            Endpoint::Shared { region, .. } => (region, None),
            _ => (Some(cloud.config.region.clone()), None),
        };
        Self { cloud, caller, region, instance }
    }

    fn check_instance(&self) -> Result<(), ApiError> {
        let known = lock(&self.cloud.vault)
            .secrets
            .values()
            .any(|secret| secret.settings.instance == self.instance);
        if known {
            return Ok(());
        }
        Err(ApiError::new(
            403,
            "Forbidden.DKMSInstanceNotFound",
            "The specified KMS instance is not found.",
        ))
    }

    fn get_secret_value(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        let selector = Selector {
            secret_name: secret_name(request)?,
            version_id: request.filled("VersionId").map(str::to_owned),
            version_stage: request.filled("VersionStage").map(str::to_owned),
            fetch_extended_config: Some(json!(request.flag("FetchExtendedConfig"))),
        };
        let result = self.value_of(&selector);
        if !request.flag("DryRun") {
            return result;
        }
        Err(match result {
            Ok(_) => ApiError::new(
                412,
                "DryRunOperationError",
                "The request would have succeeded, but the DryRun parameter is set.",
            ),
            Err(error) if error.status == 403 => {
                ApiError::new(403, "AccessDeniedError", error.message)
            }
            Err(error) => ApiError::new(400, "ValidationError", error.message),
        })
    }

    fn batch_get_secret_value(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        match *lock(&self.cloud.batch) {
            Batch::Available => {}
            Batch::Unknown => return Err(ApiError::unknown_action()),
            Batch::Forbidden => return Err(forbidden()),
        }
        let list = request.filled("SecretsList").ok_or_else(|| missing("SecretsList"))?;
        let selectors: Vec<Selector> =
            serde_json::from_str(list).map_err(|_| invalid("SecretsList is wrongly formed."))?;
        if !(1..=20).contains(&selectors.len()) {
            return Err(invalid("SecretsList takes 1 to 20 secrets."));
        }
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for selector in &selectors {
            match self.value_of(selector) {
                Ok(value) => values.push(value),
                Err(error) => errors.push(json!({
                    "SecretName": selector.secret_name,
                    "Code": error.code,
                    "HttpStatus": error.status,
                    "Message": error.message,
                })),
            }
        }
        Ok(json!({ "SecretValues": values, "Errors": errors }))
    }

    fn value_of(&self, selector: &Selector) -> Result<Value, ApiError> {
        if selector.version_id.as_ref().is_some_and(|id| id.len() > 64) {
            return Err(invalid("VersionId is longer than 64 characters."));
        }
        let (secret, region, account) =
            self.permitted(&selector.secret_name, "kms:GetSecretValue")?;
        let stage = selector.version_stage.as_deref();
        let version = if secret.is_managed() {
            if stage.is_some_and(|stage| !["ACSCurrent", "ACSPrevious"].contains(&stage)) {
                return Err(invalid("VersionStage is ACSCurrent or ACSPrevious for this type."));
            }
            secret.version(None, stage)
        } else {
            secret.version(selector.version_id.as_deref(), stage)
        };
        let version = version.ok_or_else(|| {
            let both = selector.version_id.is_some() && stage.is_some();
            if both && secret.version(selector.version_id.as_deref(), None).is_some() {
                invalid("VersionId and VersionStage do not name the same version.")
            } else {
                not_found()
            }
        })?;
        if self.instance.is_some() {
            let key = arn::key(&region, &account, &key_id(&secret));
            let denied = self.cloud.directory.authorize(
                &self.cloud.config,
                self.caller,
                "kms:Decrypt",
                &key,
            );
            denied.map_err(|denied| {
                ApiError::new(
                    403,
                    "Forbidden.NoPermission",
                    format!(
                        "This operation for {} is forbidden by permission system",
                        key_id(&secret)
                    ),
                )
                .with_denied(denied)
            })?;
        }
        let extended = match &selector.fetch_extended_config {
            Some(Value::Bool(fetch)) => *fetch,
            Some(Value::String(fetch)) => fetch.eq_ignore_ascii_case("true"),
            _ => false,
        };
        Ok(secret_value(&secret, version, extended))
    }

    fn describe_secret(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        let name = secret_name(request)?;
        let (secret, region, account) = self.permitted(&name, "kms:DescribeSecret")?;
        let arn = arn::secret(&region, &account, &secret.settings.name);
        Ok(secret_description(&secret, &arn, request.flag("FetchTags")))
    }

    fn list_secret_version_ids(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        let name = secret_name(request)?;
        let (secret, ..) = self.permitted(&name, "kms:ListSecretVersionIds")?;
        let number = |name: &str, default: usize| match request.filled(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| invalid(&format!("{name} is not a positive number."))),
        };
        let (page, size) = (number("PageNumber", 1)?, number("PageSize", 20)?);
        let deprecated = request.flag("IncludeDeprecated");
        let versions: Vec<&SecretVersion> = secret
            .versions
            .iter()
            .filter(|version| deprecated || !version.stages.is_empty())
            .collect();
        let shown: Vec<Value> = versions
            .iter()
            .skip((page - 1).saturating_mul(size))
            .take(size)
            .map(|version| version_listing(version))
            .collect();
        Ok(json!({
            "SecretName": secret.settings.name,
            "TotalCount": versions.len(),
            "PageNumber": page,
            "PageSize": size,
            "VersionIds": { "VersionId": shown },
        }))
    }

    /// The secret with its region and account, if the caller may do this to it.
    fn permitted(&self, name: &str, action: &str) -> Result<(Secret, String, String), ApiError> {
        let parts = arn::secret_parts(name);
        let plain = parts.map_or(name, |(_, _, name)| name);
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_/+=.-@".contains(c);
        let bad_arn = parts.is_none() && name.starts_with("acs:");
        if bad_arn || plain.len() > 192 || !plain.chars().all(allowed) {
            return Err(invalid("The parameter SecretName is wrongly formed."));
        }
        let region = self.region.clone().unwrap_or_else(|| self.instance_region());
        let account = parts.map_or(self.caller.account.as_str(), |(_, account, _)| account);
        let resource =
            parts.map_or_else(|| arn::secret(&region, account, name), |_| name.to_owned());
        self.cloud
            .directory
            .authorize(&self.cloud.config, self.caller, action, &resource)
            .map_err(|denied| forbidden().with_denied(denied))?;
        if parts.is_some_and(|(wanted, ..)| wanted != region) {
            return Err(not_found());
        }
        let id = (region, account.to_owned(), plain.to_owned());
        let found = lock(&self.cloud.vault).secrets.get(&id).cloned();
        if account != self.caller.account {
            let shared = self.cloud.config.kms.cross_account_by_arn
                || found.as_ref().is_some_and(|secret| {
                    secret.settings.shared_with.contains(&self.caller.account)
                });
            if !shared {
                return Err(forbidden());
            }
        }
        let secret = found.filter(|secret| self.serves(secret)).ok_or_else(not_found)?;
        Ok((secret, id.0, id.1))
    }

    fn serves(&self, secret: &Secret) -> bool {
        match &self.instance {
            Some(_) => secret.settings.instance == self.instance,
            None => !secret.settings.instance_only,
        }
    }

    fn instance_region(&self) -> String {
        let vault = lock(&self.cloud.vault);
        let mut regions = vault
            .secrets
            .iter()
            .filter(|(_, secret)| secret.settings.instance == self.instance)
            .map(|((region, ..), _)| region.clone());
        regions.next().unwrap_or_else(|| self.cloud.config.region.clone())
    }
}

fn secret_name(request: &ApiRequest) -> Result<String, ApiError> {
    request.filled("SecretName").map(str::to_owned).ok_or_else(|| missing("SecretName"))
}

fn forbidden() -> ApiError {
    ApiError::new(
        403,
        "Forbidden.NoPermission",
        "This operation is forbidden by permission system.",
    )
}

fn not_found() -> ApiError {
    ApiError::new(404, "Forbidden.ResourceNotFound", "Resource not found.")
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(400, "InvalidParameter", message)
}

fn missing(parameter: &str) -> ApiError {
    ApiError::new(400, "MissingParameter", format!("The parameter {parameter} is needed."))
}
