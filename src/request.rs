//! Step 1: the driver's request becomes a `Mount`, in which everything is typed and nothing is left
//! to check. Every parameter is pod-author input: whoever writes a pod can override it.

pub mod caller;
pub mod file;
pub mod known;
pub mod objects;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use serde::Deserialize;
use zeroize::Zeroize;

use crate::{
    cloud::{endpoint::Endpoints, sign::Keys},
    error::{Error, Errors, quoted},
    identity::Mode,
    names::{Region, RoleArn},
    pb,
    secret::Secret,
};
use caller::{Caller, Via};
use file::{FileMode, PathTranslation};
use known::Known;
use objects::Object;

/// What a pod asks for.
#[derive(Debug)]
pub struct Mount {
    pub pod: Pod,
    pub via: Via,
    /// What the SecretProviderClass says about identity.
    pub identity: Wish,
    /// Parameter `roleArn`.
    pub role: Option<RoleArn>,
    pub token: TokenInput,
    pub node_publish_keys: NodePublishKeys,
    pub objects: Arc<[Object]>,
    /// Parameter `refreshInterval`.
    pub refresh: Option<Duration>,
}

/// Who the driver says is asking. Only a token proves it.
#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub service_account: String,
}

impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// `identity` and `usePodServiceAccountToken` taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Unsaid,
    Mode(Mode),
    /// `usePodServiceAccountToken: "false"`.
    AnyButPod,
}

/// The pod's token for STS, as far as the driver brought one.
#[derive(Debug)]
pub enum TokenInput {
    Absent,
    /// There are tokens, none of them for STS.
    OtherAudiences(Vec<String>),
    Token(PodToken),
}

#[derive(Debug)]
pub struct PodToken {
    pub jwt: Arc<Secret<String>>,
    pub expires: Option<jiff::Timestamp>,
}

/// The access key of a `nodePublishSecretRef`.
#[derive(Debug)]
pub enum NodePublishKeys {
    Absent,
    /// One of the two entries is missing.
    Lacks(&'static str),
    Keys(Arc<Keys>),
}

/// The client id that ACK registers with RAM for pod tokens.
pub const STS_AUDIENCE: &str = "sts.aliyuncs.com";

const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";
const POD_NAMESPACE: &str = "csi.storage.k8s.io/pod.namespace";
const POD_NAME: &str = "csi.storage.k8s.io/pod.name";
const CLASS: &str = "secretProviderClass";
const POD_UID: &str = "csi.storage.k8s.io/pod.uid";
const SERVICE_ACCOUNT: &str = "csi.storage.k8s.io/serviceAccount.name";

const PARAMETERS: [&str; 7] = [
    "identity",
    "objects",
    "pathTranslation",
    "refreshInterval",
    "region",
    "roleArn",
    "usePodServiceAccountToken",
];

type Attributes = BTreeMap<String, Secret<String>>;

/// Mistakes are reported together, as far as each can be seen on its own. `caller` is set to
/// whose request it is, whatever else is wrong with it.
pub fn parse(
    mut request: pb::MountRequest,
    endpoints: &Endpoints,
    known: &Known,
    caller: &mut Caller,
) -> Result<Mount, Errors> {
    let attributes = strings("attributes", &mut request.attributes)?.unwrap_or_default();
    *caller = Caller::of(parameter(&attributes, CLASS), &request.target_path);
    let secrets = strings("secrets", &mut request.secrets)?.unwrap_or_default();
    let mut errors = Vec::new();

    check_known(&attributes, &mut errors);
    let pod = keep(pod(&attributes), &mut errors);
    caller.pod.clone_from(&pod);
    let identity = keep(wish(&attributes), &mut errors);
    let role = keep(role(&attributes), &mut errors);
    let token = keep(token(&attributes, &secrets), &mut errors);
    let node_publish_keys = keep(node_publish_keys(secrets), &mut errors);
    let mode = keep(default_mode(&request.permission), &mut errors);
    let translation = keep(
        PathTranslation::parse(parameter(&attributes, "pathTranslation"))
            .map_err(|what| Error::invalid("parameter pathTranslation", what)),
        &mut errors,
    );
    let region = keep(region(&attributes, endpoints), &mut errors);
    let refresh = keep(refresh(&attributes), &mut errors);
    let objects = match (mode, translation, region) {
        (Some(mode), Some(translation), Some(region)) => {
            let text = parameter(&attributes, "objects").unwrap_or_default();
            let context = objects::Context { endpoints, region: &region, translation, mode };
            known
                .or_parse(text, &context, || objects::parse(text, &context))
                .map_err(|found| errors.extend(found))
                .ok()
        }
        _ => None,
    };
    match (pod, identity, role, token, node_publish_keys, objects, refresh) {
        (
            Some(pod),
            Some(identity),
            Some(role),
            Some(token),
            Some(node_publish_keys),
            Some(objects),
            Some(refresh),
        ) if errors.is_empty() => {
            let via = caller.via.unwrap_or(Via::Driver);
            Ok(Mount { pod, via, identity, role, token, node_publish_keys, objects, refresh })
        }
        _ => Err(Errors::of(errors).unwrap_or_else(|| {
            Errors::from(Error::new(crate::error::Class::Internal, "the request was not parsed"))
        })),
    }
}

fn keep<T>(parsed: Result<T, Error>, errors: &mut Vec<Error>) -> Option<T> {
    parsed.map_err(|error| errors.push(error)).ok()
}

/// A JSON object of strings. The driver sends `null` where it has none, old ones an empty text.
fn strings(field: &str, text: &mut String) -> Result<Option<Attributes>, Error> {
    let parsed = match text.trim() {
        "" => Ok(None),
        text => serde_json::from_str(text).map_err(|error| {
            let at = format!("line {}, column {}", error.line(), error.column());
            Error::invalid(field, format!("is not a JSON object of strings ({at})"))
        }),
    };
    text.zeroize();
    parsed
}

fn parameter<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.get(name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty())
}

/// Kubernetes' own keys have a slash; what else is not ours is a mistake that would go unnoticed.
/// Classes copied from the official provider's tests carry `env_auth_mode`, which nothing ever read.
fn check_known(attributes: &Attributes, errors: &mut Vec<Error>) {
    for name in attributes.keys() {
        let foreign =
            name.contains('/') || matches!(&**name, CLASS | "providerName" | "env_auth_mode");
        if !foreign && !PARAMETERS.contains(&name.as_str()) {
            errors.push(Error::invalid(
                format!("parameter {}", quoted(name)),
                unknown("parameter", name, &PARAMETERS),
            ));
        }
    }
}

/// What to say of a field that does not exist.
pub fn unknown(kind: &str, name: &str, known: &[&str]) -> String {
    let squashed = name.to_ascii_lowercase();
    let near = known.iter().find(|known| {
        let known = known.to_ascii_lowercase();
        edits(&known, &squashed) <= 3 || known.starts_with(&squashed)
    });
    match near {
        Some(near) => format!("is not a {kind}; did you mean {near}?"),
        None => format!("is not a {kind}; there are {}", known.join(", ")),
    }
}

/// Levenshtein distance of two short names.
fn edits(a: &str, b: &str) -> usize {
    if b.len() > 64 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (y, cell) in b.bytes().zip(row.iter_mut().skip(1)) {
            let substituted = diagonal + usize::from(x != y);
            diagonal = *cell;
            left = substituted.min(left + 1).min(*cell + 1);
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

fn pod(attributes: &Attributes) -> Result<Pod, Error> {
    let needed = |key: &str| {
        parameter(attributes, key).map(str::to_owned).ok_or_else(|| {
            Error::invalid(key, "is missing")
                .fix("the CSIDriver object must have podInfoOnMount: true")
        })
    };
    // Without pod info from kubelet these would be pod-author input; they end up in a URL.
    let named = |key: &str| {
        let name = needed(key)?;
        let valid = caller::is_name(&name);
        if valid { Ok(name) } else { Err(Error::invalid(key, "is not a Kubernetes name")) }
    };
    Ok(Pod {
        namespace: named(POD_NAMESPACE)?,
        name: named(POD_NAME)?,
        uid: uid(attributes)?,
        service_account: named(SERVICE_ACCOUNT)?,
    })
}

/// A UUID, or what kubelet makes of the file of a static pod.
fn uid(attributes: &Attributes) -> Result<String, Error> {
    let uid = parameter(attributes, POD_UID).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let valid = uid.len() <= 128 && uid.bytes().all(plain);
    if valid { Ok(uid.to_owned()) } else { Err(Error::invalid(POD_UID, "is not a pod's uid")) }
}

fn wish(attributes: &Attributes) -> Result<Wish, Error> {
    let named = match parameter(attributes, "identity") {
        None => None,
        Some(text) => Some(Mode::parse(text).ok_or_else(|| {
            Error::invalid("parameter identity", format!("must be one of {}", Mode::list()))
        })?),
    };
    let use_pod = match parameter(attributes, "usePodServiceAccountToken") {
        None => None,
        Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Some(_) => {
            return Err(Error::invalid(
                "parameter usePodServiceAccountToken",
                "must be \"true\" or \"false\"",
            ));
        }
    };
    match (named, use_pod) {
        (None, None) => Ok(Wish::Unsaid),
        (None, Some(true)) => Ok(Wish::Mode(Mode::Pod)),
        (None, Some(false)) => Ok(Wish::AnyButPod),
        (Some(mode), None) => Ok(Wish::Mode(mode)),
        (Some(mode), Some(use_pod)) if use_pod == (mode == Mode::Pod) => Ok(Wish::Mode(mode)),
        (Some(mode), Some(use_pod)) => Err(Error::invalid(
            "parameters identity and usePodServiceAccountToken",
            format!("contradict each other: {mode} and \"{use_pod}\""),
        )
        .fix("keep identity, remove the other")),
    }
}

fn role(attributes: &Attributes) -> Result<Option<RoleArn>, Error> {
    parameter(attributes, "roleArn")
        .map(|text| {
            RoleArn::parse(text).ok_or_else(|| {
                Error::invalid("parameter roleArn", format!("is not of the form {}", RoleArn::FORM))
            })
        })
        .transpose()
}

fn region(attributes: &Attributes, endpoints: &Endpoints) -> Result<Region, Error> {
    match parameter(attributes, "region") {
        None => Ok(endpoints.region.clone()),
        Some(text) => Region::parse(text).ok_or_else(|| {
            Error::invalid("parameter region", "is not a region id such as cn-hangzhou")
        }),
    }
}

fn refresh(attributes: &Attributes) -> Result<Option<Duration>, Error> {
    parameter(attributes, "refreshInterval")
        .map(|text| {
            parse_interval(text).ok_or_else(|| {
                Error::invalid("parameter refreshInterval", "must be 0, or such as 30s, 5m, 1h")
            })
        })
        .transpose()
}

/// `0`, or a number of seconds, minutes or hours, up to a day.
pub fn parse_interval(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    let number: u64 = number.parse().ok().filter(|number| *number <= 86_400)?;
    Some(Duration::from_secs(number * seconds)).filter(|all| all.as_secs() <= 86_400)
}

/// The driver's `permission`: Go's file mode as a decimal number.
fn default_mode(permission: &str) -> Result<FileMode, Error> {
    match permission.trim() {
        "" => FileMode::from_bits(0o644),
        number => number.parse().ok().and_then(FileMode::from_bits),
    }
    .ok_or_else(|| Error::invalid("permission", "is not a file mode between 1 and 511"))
}

#[derive(Deserialize)]
struct RawToken {
    token: Secret<String>,
    #[serde(rename = "expirationTimestamp")]
    expires: Option<String>,
}

/// Drivers from 1.6.0 copy the tokens into the attributes; looking in both places serves all.
fn token(attributes: &Attributes, secrets: &Attributes) -> Result<TokenInput, Error> {
    let text = match parameter(attributes, TOKENS).or_else(|| parameter(secrets, TOKENS)) {
        None => return Ok(TokenInput::Absent),
        Some(text) => text,
    };
    let malformed = |at: String| Error::invalid(TOKENS, format!("is not a list of tokens{at}"));
    let mut tokens: BTreeMap<String, RawToken> = serde_json::from_str(text)
        .map_err(|error| malformed(format!(" (column {})", error.column())))?;
    let Some(raw) = tokens.remove(STS_AUDIENCE) else {
        let audiences = tokens.into_keys().take(5).collect();
        return Ok(TokenInput::OtherAudiences(audiences));
    };
    let jwt = raw.token.expose().trim();
    // The length that AssumeRoleWithOIDC accepts.
    if !(4..=20_000).contains(&jwt.len()) {
        return Err(malformed(": the token's length is not one that STS accepts".to_owned()));
    }
    let expires = raw.expires.map(|text| {
        text.parse::<jiff::Timestamp>()
            .map_err(|_| malformed(": expirationTimestamp is no time".to_owned()))
    });
    Ok(TokenInput::Token(PodToken {
        jwt: Arc::new(Secret::new(jwt.to_owned())),
        expires: expires.transpose()?,
    }))
}

fn node_publish_keys(secrets: Attributes) -> Result<NodePublishKeys, Error> {
    let (mut id, mut secret) = (None, None);
    for (name, value) in secrets {
        let place = match name.to_ascii_lowercase().as_str() {
            "access_key" => &mut id,
            "access_secret" => &mut secret,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(Error::invalid(
                format!("nodePublishSecretRef entry {}", name.to_ascii_lowercase()),
                "is there twice, in different letter case",
            ));
        }
    }
    Ok(match (id, secret) {
        (None, None) => NodePublishKeys::Absent,
        (Some(_), None) => NodePublishKeys::Lacks("access_secret"),
        (None, Some(_)) => NodePublishKeys::Lacks("access_key"),
        (Some(id), Some(secret)) => NodePublishKeys::Keys(Arc::new(Keys {
            id: id.expose().trim().to_owned(),
            secret: Secret::new(secret.expose().trim().to_owned()),
            token: None,
        })),
    })
}

#[cfg(test)]
mod tests;
