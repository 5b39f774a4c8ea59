//! What the cloud holds: ServiceAccounts, each with a RAM role that may read its own secrets.

use provider::{keys::Keys, secret::Secret};
use serde_json::{Value, json};

pub(crate) const OIDC_PROVIDER: &str = "acs:ram::1234567890123456:oidc-provider/ack-rrsa-cbench";
pub(crate) const REGION: &str = "cn-hangzhou";
pub(crate) const NAMESPACE: &str = "shop";
/// The ServiceAccount whose role may be assumed and may read nothing.
pub(crate) const REFUSED: &str = "intruder";
/// As many as the longest SecretProviderClass that is measured.
const MOST_SECRETS: usize = 100;
const SECRETS: usize = 3;

const USER: (&str, &str) = ("LTAI5tBENCHKEYID0000001", "BENCHsecret00000000000000001");

pub(crate) fn account(number: usize) -> String {
    format!("app-{number}")
}

pub(crate) fn role_arn(account: &str) -> String {
    format!("acs:ram::1234567890123456:role/{account}")
}

pub(crate) fn secret(account: &str, number: usize) -> String {
    format!("{account}/secret-{number}")
}

/// Keys that may read everything, for requests without a session.
pub(crate) fn user_keys() -> Keys {
    let (id, secret) = USER;
    Keys { id: id.to_owned(), secret: Secret::new(secret.to_owned()), token: None }
}

/// JSON, which is YAML. `latency` is that of the cloud's services; the API server has none.
pub(crate) fn cloud(accounts: usize, latency: Option<u64>) -> String {
    let names: Vec<String> = (0..accounts).map(account).collect();
    let with_refused = || names.iter().map(String::as_str).chain([REFUSED]);
    let services = ["sts", "kms", "oos"].into_iter();
    let faults: Vec<Value> = services
        .filter_map(|service| Some((service, latency?)))
        .map(|(service, ms)| json!({ "service": service, "effect": { "latency": { "ms": ms } } }))
        .collect();
    let secrets = names.iter().enumerate().flat_map(|(number, name)| {
        let many = if number == 0 { MOST_SECRETS } else { SECRETS };
        (0..many).map(move |which| {
            let value = format!("{name}-{which:03}-0123456789abcdefghijklmnopqrstuvwxyz");
            json!({ "name": secret(name, which), "value": value })
        })
    });
    json!({
        "region": REGION,
        "accounts": ["1234567890123456"],
        "users": [{
            "name": "bench",
            "access_key_id": USER.0,
            "access_key_secret": USER.1,
            "policies": [{ "allow": ["kms:*"] }],
        }],
        "oidc_providers": [{
            "arn": OIDC_PROVIDER,
            "issuer": "https://kubernetes.default.svc",
            "client_ids": ["sts.aliyuncs.com"],
        }],
        "roles": with_refused().map(|account| role(NAMESPACE, account)).collect::<Vec<_>>(),
        "secrets": secrets.collect::<Vec<_>>(),
        "kubernetes": {
            "token_algorithm": "ES256",
            "service_accounts": with_refused().map(|name| json!({
                "namespace": NAMESPACE,
                "name": name,
                "annotations": { "ack.alibabacloud.com/role-arn": role_arn(name) },
            })).collect::<Vec<_>>(),
        },
        "faults": faults,
    })
    .to_string()
}

/// What the emulator answers with in place of what it has.
pub(crate) fn error(status: u16, code: &str) -> Value {
    json!({ "error": { "status": status, "code": code } })
}

pub(crate) fn role(namespace: &str, account: &str) -> Value {
    json!({
        "arn": role_arn(account),
        "trust": {
            "Version": "1",
            "Statement": [{
                "Effect": "Allow",
                "Action": "sts:AssumeRole",
                "Principal": { "Federated": [OIDC_PROVIDER] },
                "Condition": { "StringEquals": {
                    "oidc:iss": "https://kubernetes.default.svc",
                    "oidc:aud": "sts.aliyuncs.com",
                    "oidc:sub": format!("system:serviceaccount:{namespace}:{account}"),
                } },
            }],
        },
        "policies": [{
            "allow": [format!("kms:* on acs:kms:*:1234567890123456:secret/{account}/*")],
        }],
    })
}
