//! OOS: reading encrypted parameters.

use serde_json::{Value, json};

use crate::services::error::ApiError;
use crate::services::request::{ApiRequest, Endpoint};
use crate::state::arn;
use crate::state::clock;
use crate::state::cloud::Cloud;
use crate::state::identity::Principal;
use crate::state::sync::lock;
use crate::state::vault::{Id, Parameter};

struct Call<'a> {
    cloud: &'a Cloud,
    caller: &'a Principal,
    region: String,
    decrypt: bool,
}

pub(crate) fn answer(
    cloud: &Cloud,
    caller: &Principal,
    request: &ApiRequest,
) -> Result<Value, ApiError> {
    let call = Call {
        cloud,
        caller,
        region: region(cloud, request)?,
        decrypt: request.flag("WithDecryption"),
    };
    match request.action().unwrap_or_default() {
        "GetSecretParameter" => call.get(request),
        "GetSecretParameters" => call.get_several(request),
        "GetSecretParametersByPath" => call.get_by_path(request),
        _ => Err(ApiError::unknown_action()),
    }
}

fn region(cloud: &Cloud, request: &ApiRequest) -> Result<String, ApiError> {
    let asked = request.filled("RegionId");
    match request.endpoint() {
        Endpoint::Shared { region: Some(region), .. } => {
            if asked.is_some_and(|asked| asked != region) {
                return Err(ApiError::invalid(
                    "RegionId",
                    "RegionId is not the region of the endpoint.",
                ));
            }
            Ok(region)
        }
        _ => Ok(asked.unwrap_or(&cloud.config.region).to_owned()),
    }
}

impl Call<'_> {
    fn get(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        let name = request.filled("Name").ok_or_else(|| ApiError::missing("Name"))?;
        check_name(name)?;
        let version = match request.filled("ParameterVersion") {
            None => None,
            Some(text) => Some(text.parse::<u32>().map_err(|_| {
                ApiError::invalid("ParameterVersion", "ParameterVersion is not a number.")
            })?),
        };
        self.authorize("oos:GetSecretParameter", name)?;
        self.authorize_decryption(name)?;
        let parameter = self.find(name).ok_or_else(|| {
            ApiError::new(
                404,
                "EntityNotExists.Parameter",
                format!("The parameter {name} does not exist."),
            )
        })?;
        let shown = self.show(&parameter, version).ok_or_else(|| {
            ApiError::new(
                404,
                "EntityNotExists.ParameterVersion",
                format!("The parameter {name} has no such version."),
            )
        })?;
        Ok(json!({ "Parameter": shown }))
    }

    fn get_several(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        let names = request.filled("Names").ok_or_else(|| ApiError::missing("Names"))?;
        let names: Vec<String> = serde_json::from_str(names)
            .map_err(|_| ApiError::invalid("Names", "Names is not a JSON array of strings."))?;
        if !(1..=10).contains(&names.len()) {
            return Err(ApiError::invalid("Names", "Names takes 1 to 10 names."));
        }
        let (mut parameters, mut invalid) = (Vec::new(), Vec::new());
        for name in &names {
            check_name(name)?;
            self.authorize("oos:GetSecretParameters", name)?;
            self.authorize_decryption(name)?;
            match self.find(name).and_then(|found| self.show(&found, None)) {
                Some(shown) => parameters.push(shown),
                None => invalid.push(name),
            }
        }
        Ok(json!({ "Parameters": parameters, "InvalidParameters": invalid }))
    }

    fn get_by_path(&self, request: &ApiRequest) -> Result<Value, ApiError> {
        let path = request.filled("Path").ok_or_else(|| ApiError::missing("Path"))?;
        if path.len() > 200 || !path.starts_with('/') {
            return Err(ApiError::invalid("Path", "The parameter Path is wrongly formed."));
        }
        let size = match request.filled("MaxResults") {
            None => 10,
            Some(text) => text
                .parse()
                .ok()
                .filter(|size| (1..=10).contains(size))
                .ok_or_else(|| ApiError::invalid("MaxResults", "MaxResults must be 1 to 10."))?,
        };
        let start: usize = match request.filled("NextToken") {
            None => 0,
            Some(token) => token
                .parse()
                .map_err(|_| ApiError::invalid("NextToken", "NextToken is not one given out."))?,
        };
        let below = format!("{}/", path.trim_end_matches('/'));
        let recursive = request.flag("Recursive");
        let is_ours = |(region, account, name): &Id| {
            *region == self.region
                && *account == self.caller.account
                && name.strip_prefix(&below).is_some_and(|rest| recursive || !rest.contains('/'))
        };
        self.authorize("oos:GetSecretParametersByPath", path)?;
        let matching: Vec<Parameter> = {
            let vault = lock(&self.cloud.vault);
            let found = vault.parameters.iter().filter(|(id, _)| is_ours(id));
            found.map(|(_, parameter)| parameter.clone()).collect()
        };
        let mut shown = Vec::new();
        for parameter in matching.iter().skip(start).take(size) {
            self.authorize_decryption(&parameter.settings.name)?;
            let mut members = self.show(parameter, None).unwrap_or_default();
            if let Value::Object(members) = &mut members {
                members.remove("Tags");
            }
            shown.push(members);
        }
        let next = start.saturating_add(size);
        Ok(json!({
            "Parameters": shown,
            "NextToken": if next < matching.len() { next.to_string() } else { String::new() },
            "MaxResults": size,
            "TotalCount": matching.len(),
        }))
    }

    fn authorize(&self, action: &str, name: &str) -> Result<(), ApiError> {
        let resource = arn::parameter(&self.region, &self.caller.account, name);
        self.require(action, &resource)
    }

    /// OOS keeps the value in a KMS secret, which the caller has to be able to read as well.
    fn authorize_decryption(&self, name: &str) -> Result<(), ApiError> {
        if !self.decrypt || !self.cloud.config.oos.require_kms_permission {
            return Ok(());
        }
        let name = name.strip_prefix('/').unwrap_or(name);
        self.require("kms:GetSecretValue", &arn::secret(&self.region, &self.caller.account, name))
    }

    fn require(&self, action: &str, resource: &str) -> Result<(), ApiError> {
        let allowed =
            self.cloud.directory.authorize(&self.cloud.config, self.caller, action, resource);
        allowed.map_err(|denied| {
            ApiError::new(
                403,
                "Forbidden.RAM",
                format!("User not authorized to operate on the specified resource: {action}."),
            )
            .with_denied(denied)
        })
    }

    fn find(&self, name: &str) -> Option<Parameter> {
        let id = (self.region.clone(), self.caller.account.clone(), name.to_owned());
        lock(&self.cloud.vault).parameters.get(&id).cloned()
    }

    fn show(&self, parameter: &Parameter, version: Option<u32>) -> Option<Value> {
        let (number, value) = parameter.version(version)?;
        let settings = &parameter.settings;
        Some(json!({
            "Name": settings.name,
            "Id": parameter.id,
            "Type": "Secret",
            "Value": self.decrypt.then_some(value),
            "ParameterVersion": number,
            "KeyId": settings.key_id.as_deref().unwrap_or("key-emulated0000000000"),
            "Constraints": "{}",
            "Description": settings.description.as_deref().unwrap_or_default(),
            "ShareType": "Private",
            "Tags": settings.tags,
            "ResourceGroupId": "rg-emulated",
            "CreatedBy": "emulator",
            "CreatedDate": clock::format(parameter.created),
            "UpdatedBy": "emulator",
            "UpdatedDate": clock::format(parameter.updated),
        }))
    }
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
    if !(1..=180).contains(&name.len()) || !name.chars().all(allowed) {
        return Err(ApiError::invalid("Name", "The parameter Name is wrongly formed."));
    }
    Ok(())
}
