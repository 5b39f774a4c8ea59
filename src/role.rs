//! Role: the one RAM role that a ServiceAccount's annotations and parameter `roleArn` name. Pure, so that it
//! can be read from a manifest as well as from the API server's answer.

use std::collections::BTreeMap;

use crate::{
    error::{Error, Location, Reason},
    names::RoleArn,
    text::quoted,
};

/// The official provider's annotation: a role's ARN.
pub const ROLE_ARN: &str = "ack.alibabacloud.com/role-arn";
/// ack-pod-identity-webhook's annotation: a role's name in the cluster's account.
pub const ROLE_NAME: &str = "pod-identity.alibabacloud.com/role-name";

/// What a ServiceAccount's annotations say, unjudged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annotations {
    pub role_arn: Option<String>,
    pub role_name: Option<String>,
    /// Where neither is there: what looks as if it were meant to be one of them.
    pub near_miss: Option<String>,
}

impl Annotations {
    pub fn of(mut all: BTreeMap<String, String>) -> Self {
        let mut take = |name: &str| all.remove(name).filter(|text| !text.trim().is_empty());
        let (role_arn, role_name) = (take(ROLE_ARN), take(ROLE_NAME));
        let found = Self { role_arn, role_name, near_miss: None };
        match found.name_a_role() {
            true => found,
            false => Self { near_miss: near_miss(&all), ..found },
        }
    }

    pub fn name_a_role(&self) -> bool {
        self.role_arn.is_some() || self.role_name.is_some()
    }

    /// The one role that annotations and parameter name. Two that differ are an error.
    ///
    /// `account`: the ServiceAccount's namespace and name. `id`: of the account that a role's name alone is
    /// in. `looked_up`: whether the provider reads annotations.
    pub fn role(
        &self,
        account: &str,
        parameter: Option<&RoleArn>,
        id: &str,
        looked_up: bool,
    ) -> Result<RoleArn, Error> {
        let account = format!("ServiceAccount {account}");
        let malformed = |annotation: &str, form: &str| {
            Error::new(Reason::InvalidAnnotation, format!("is not {form}"))
                .subject(format!("{account}, annotation {annotation}"))
                .located(Location::Annotation(annotation.into()))
        };
        let mut named: Vec<(String, RoleArn)> = Vec::new();
        if let Some(arn) = &self.role_arn {
            let role = RoleArn::parse(arn.trim());
            let role = role.ok_or_else(|| malformed(ROLE_ARN, RoleArn::FORM))?;
            named.push((format!("annotation {ROLE_ARN}"), role));
        }
        if let Some(name) = &self.role_name {
            let role = RoleArn::of(id, name.trim());
            let role = role.ok_or_else(|| malformed(ROLE_NAME, "a role's name"))?;
            named.push((format!("annotation {ROLE_NAME}"), role));
        }
        if let Some(role) = parameter {
            named.push(("parameter roleArn".to_owned(), role.clone()));
        }
        let Some((first_source, role)) = named.first() else {
            let hint = match looked_up {
                false => "set parameter roleArn (look-ups are off here)".to_owned(),
                true => format!("annotate it with {ROLE_ARN}: {}", RoleArn::FORM),
            };
            let what = match &self.near_miss {
                None => "has no RAM role".to_owned(),
                Some(near) => format!("has no RAM role; its annotation {near} is not one for it"),
            };
            return Err(Error::new(Reason::NoRole, what).subject(account).hint(hint));
        };
        match named.iter().find(|(_, other)| other != role) {
            None => Ok(role.clone()),
            Some((source, other)) => Err(Error::new(
                Reason::InvalidAnnotation,
                format!("has two RAM roles: {role} by {first_source}, {other} by {source}"),
            )
            .subject(account)
            .hint("keep one")),
        }
    }
}

/// An annotation whose name speaks of a role, Alibaba Cloud's first. Its value is named only if it
/// is a role's ARN.
fn near_miss(annotations: &BTreeMap<String, String>) -> Option<String> {
    let of_a_role = |key: &&String| {
        let name = key.rsplit_once('/').map_or(key.as_str(), |(_, name)| name);
        name.to_ascii_lowercase().contains("role")
    };
    let ours = |key: &&String| key.contains("alibabacloud.com/") || key.contains("aliyun");
    let keys = || annotations.keys().filter(of_a_role);
    let key = keys().find(ours).or_else(|| keys().next())?;
    let value = annotations.get(key).and_then(|value| RoleArn::parse(value.trim()));
    let value = value.map_or_else(String::new, |role| format!(" ({role})"));
    Some(format!("{}{value}", quoted(key)))
}
