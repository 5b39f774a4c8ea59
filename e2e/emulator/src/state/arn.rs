//! Alibaba Cloud resource names: `acs:{service}:{region}:{account}:{kind}/{name}`.

/// Splits `acs:kms:{region}:{account}:secret/{name}`.
pub(crate) fn secret_parts(arn: &str) -> Option<(&str, &str, &str)> {
    let mut fields = arn.splitn(5, ':');
    if (fields.next()?, fields.next()?) != ("acs", "kms") {
        return None;
    }
    let (region, account) = (fields.next()?, fields.next()?);
    let name = fields.next()?.strip_prefix("secret/")?;
    (!region.is_empty() && !account.is_empty() && !name.is_empty())
        .then_some((region, account, name))
}

pub(crate) fn is_ram(arn: &str, kind: &str) -> bool {
    arn.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(':')).is_some_and(
        |(account, resource)| {
            !account.is_empty()
                && account.bytes().all(|byte| byte.is_ascii_digit())
                && resource
                    .strip_prefix(kind)
                    .and_then(|rest| rest.strip_prefix('/'))
                    .is_some_and(|name| !name.is_empty())
        },
    )
}

pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}

/// The part after the first slash.
pub(crate) fn name(arn: &str) -> &str {
    arn.split_once('/').map_or(arn, |(_, name)| name)
}

pub(crate) fn secret(region: &str, account: &str, name: &str) -> String {
    format!("acs:kms:{region}:{account}:secret/{name}")
}

pub(crate) fn key(region: &str, account: &str, id: &str) -> String {
    format!("acs:kms:{region}:{account}:key/{id}")
}

pub(crate) fn parameter(region: &str, account: &str, name: &str) -> String {
    let name = name.strip_prefix('/').unwrap_or(name);
    format!("acs:oos:{region}:{account}:secretparameter/{name}")
}

pub(crate) fn root(account: &str) -> String {
    format!("acs:ram::{account}:root")
}
