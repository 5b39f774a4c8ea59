//! What that cloud answers to each operation.

use std::time::Duration;

use hyper::{header::AUTHORIZATION, http::request::Parts};
use provider::sync::lock;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cloud::{Asked, Cloud, Held, Open, Right, Who, draw};

pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) refused: Vec<Asked>,
    pub(super) missing: Vec<Asked>,
}

/// As the services write it: with another one, a code that is not known is not theirs.
const REQUEST: &str = "0D7E1D0C-8A4B-4B0C-9A55-2F6D0A3C1B7E";

impl Reply {
    fn of(status: u16, body: Value) -> Self {
        Self { status, body, refused: Vec::new(), missing: Vec::new() }
    }

    fn error(status: u16, code: &str) -> Self {
        Self::of(status, json!({ "Code": code, "Message": "no", "RequestId": REQUEST }))
    }
}

impl Cloud {
    pub(super) fn decide(&self, head: &Parts, body: &[u8]) -> Reply {
        let open = &mut *lock(&self.open);
        if open.rng.u32(..100) < self.fault_percent {
            return match open.rng.u32(..4) {
                0 => Reply::error(429, "Rejected.Throttling"),
                1 => Reply::error(400, "Throttling.User"),
                2 => Reply::error(503, "ServiceUnavailableTemporary"),
                _ => Reply::of(200, json!(["not what was asked for"])),
            };
        }
        let body = std::str::from_utf8(body).unwrap();
        let field = |name: &str| {
            let pairs = head.uri.query().into_iter().chain([body]).flat_map(|all| all.split('&'));
            let mut values = pairs.filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            values.next().map(decoded).unwrap_or_default()
        };
        let action = header(head, "x-acs-action").unwrap_or_default();
        if action == "AssumeRoleWithOIDC" {
            let token = field("OIDCToken");
            let rights = format!("{} as {}", field("RoleArn"), field("RoleSessionName"));
            let token = token.rsplit('.').next().unwrap().to_owned();
            return open.session(Who { rights, token });
        }
        let caller = match open.caller(head) {
            Ok(caller) => caller,
            Err(wrong) => {
                open.heard.wrong.push(wrong);
                return Reply::error(403, "SignatureDoesNotMatch");
            }
        };
        let Some(caller) = caller else { return Reply::error(403, "InvalidSecurityToken.Expired") };
        let now = self.begun.elapsed().as_micros();
        let (host, region) = (header(head, "host").unwrap(), field("RegionId"));
        match action {
            "AssumeRole" => {
                open.session(caller.assume_role(&field("RoleArn"), &field("RoleSessionName")))
            }
            "GetSecretValue" => {
                let (name, version) = (field("SecretName"), field("VersionId"));
                let object = secret(host, &name, &version, &field("VersionStage"));
                match self.refusal(open, &caller, &object) {
                    Some(refusal) => refusal,
                    None => Reply::of(200, open.value(&caller, &object, &name, &version, now)),
                }
            }
            "BatchGetSecretValue" => {
                if open.rng.u32(..8) == 0 {
                    return Reply::error(403, "Forbidden.NoPermission");
                }
                let list: Vec<Value> = serde_json::from_str(&field("SecretsList")).unwrap();
                let mut values = Vec::new();
                for asked in &list {
                    let part = |name: &str| asked[name].as_str().unwrap_or_default();
                    let (name, version) = (part("SecretName"), part("VersionId"));
                    let object = secret(host, name, version, part("VersionStage"));
                    if open.right(&caller.rights, &object) == Right::Allowed {
                        values.push(open.value(&caller, &object, name, version, now));
                    }
                }
                open.rng.shuffle(&mut values);
                Reply::of(
                    200,
                    json!({ "SecretValues": values, "Errors": [], "RequestId": REQUEST }),
                )
            }
            "GetSecretParameter" => {
                let (name, version) = (field("Name"), field("ParameterVersion"));
                let object = parameter(host, &region, &name, &version);
                match self.refusal(open, &caller, &object) {
                    Some(refusal) => refusal,
                    None => {
                        let value = open.parameter(&caller, &object, &name, &version, now);
                        Reply::of(200, json!({ "Parameter": value, "RequestId": REQUEST }))
                    }
                }
            }
            "GetSecretParameters" => {
                let names: Vec<String> = serde_json::from_str(&field("Names")).unwrap();
                let (mut values, mut invalid, mut missing) = (Vec::new(), Vec::new(), Vec::new());
                for name in &names {
                    let object = parameter(host, &region, name, "");
                    match open.right(&caller.rights, &object) {
                        Right::Allowed => {
                            values.push(open.parameter(&caller, &object, name, "", now));
                        }
                        Right::Missing => {
                            invalid.push(name);
                            missing.push(self.asked(&caller, &object));
                        }
                        _ => return Reply::error(403, "Forbidden.NoPermission"),
                    }
                }
                open.rng.shuffle(&mut values);
                let body = json!({
                    "Parameters": values, "InvalidParameters": invalid, "RequestId": REQUEST,
                });
                Reply { refused: missing.clone(), missing, ..Reply::of(200, body) }
            }
            other => {
                open.heard.wrong.push(format!("operation {other}"));
                Reply::error(400, "UnsupportedOperation")
            }
        }
    }

    fn refusal(&self, open: &mut Open, caller: &Who, object: &str) -> Option<Reply> {
        let right = open.right(&caller.rights, object);
        let (status, code) = match right {
            Right::Allowed => return None,
            Right::Denied => (403, "Forbidden.NoPermission"),
            Right::Unproven => (401, "AuthenticationFail.NoPermission"),
            Right::Missing if object.starts_with("parameter") => (404, "EntityNotExists.Parameter"),
            Right::Missing => (404, "Forbidden.ResourceNotFound"),
        };
        let asked = || self.asked(caller, object);
        let missing = if right == Right::Missing { vec![asked()] } else { Vec::new() };
        Some(Reply { refused: vec![asked()], missing, ..Reply::error(status, code) })
    }
}

impl Open {
    fn right(&mut self, rights: &str, object: &str) -> Right {
        let of = (rights.to_owned(), object.to_owned());
        let rng = &mut self.rng;
        *self.rights.entry(of).or_insert_with(|| draw(rng))
    }

    fn session(&mut self, who: Who) -> Reply {
        match self.right(&who.rights, "sts") {
            Right::Denied => return Reply::error(403, "NoPermission"),
            Right::Unproven => return Reply::error(401, "AuthenticationFail.OIDCToken.Invalid"),
            Right::Missing => return Reply::error(404, "EntityNotExist.Role"),
            Right::Allowed => {}
        }
        let lifetime = Duration::from_secs(*self.rng.choice(&[60, 900, 3600]).unwrap());
        self.answers += 1;
        let id = format!("STS.{}", self.answers);
        let credentials = json!({
            "AccessKeyId": id,
            "AccessKeySecret": format!("secret of {id}"),
            "SecurityToken": format!("token of {id}"),
            "Expiration": (jiff::Timestamp::now() + lifetime).to_string(),
        });
        self.keys.insert(id, Held { who, ends: Some(Instant::now() + lifetime) });
        Reply::of(200, json!({ "Credentials": credentials, "RequestId": REQUEST }))
    }

    /// `None` if the session is over.
    fn caller(&self, head: &Parts) -> Result<Option<Who>, String> {
        let claim = header(head, AUTHORIZATION.as_str()).unwrap_or_default();
        let id = claim.split_once("Credential=").and_then(|(_, rest)| rest.split(',').next());
        let id = id.ok_or("a call without a key")?;
        let held = self.keys.get(id).ok_or_else(|| format!("nobody has key {id}"))?;
        let token = held.ends.map(|_| format!("token of {id}"));
        if header(head, "x-acs-security-token") != token.as_deref() {
            return Err(format!("another token than that of {id}"));
        }
        let over = held.ends.is_some_and(|ends| ends <= Instant::now());
        Ok((!over).then(|| held.who.clone()))
    }

    fn text(&mut self, caller: &Who, object: &str, now: u128, rotates: u64) -> String {
        self.answers += 1;
        format!("{}\n{}\n{object}\n{now}\n{rotates}\n{}", caller.rights, caller.token, self.answers)
    }

    fn value(&mut self, caller: &Who, object: &str, name: &str, version: &str, now: u128) -> Value {
        let rotates = if name.starts_with("managed") { self.rng.u64(20..4000) } else { 0 };
        let text = self.text(caller, object, now, rotates);
        let version =
            if version.is_empty() { self.answers.to_string() } else { version.to_owned() };
        let mut value = json!({
            "SecretName": name,
            "SecretData": text,
            "SecretDataType": "text",
            "VersionId": version,
            "RequestId": REQUEST,
        });
        if rotates > 0 {
            let at = jiff::Timestamp::now() + Duration::from_secs(rotates);
            value["AutomaticRotation"] = "Enabled".into();
            value["NextRotationDate"] = at.to_string().into();
        }
        value
    }

    fn parameter(
        &mut self,
        caller: &Who,
        object: &str,
        name: &str,
        version: &str,
        now: u128,
    ) -> Value {
        let text = self.text(caller, object, now, 0);
        let version = version.parse().unwrap_or(self.answers);
        json!({ "Name": name, "Value": text, "ParameterVersion": version })
    }
}

fn header<'a>(head: &'a Parts, name: &str) -> Option<&'a str> {
    head.headers.get(name)?.to_str().ok()
}

fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

pub fn secret(host: &str, name: &str, version: &str, stage: &str) -> String {
    format!("secret {host} {name} {version} {stage}")
}

pub fn parameter(host: &str, region: &str, name: &str, version: &str) -> String {
    format!("parameter {host} {region} {name} {version}")
}
