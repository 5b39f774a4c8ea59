//! Step 1: the driver's request becomes a `Mount`, in which everything is typed and nothing is left
//! to check. Every parameter is pod-author input: the author of a pod can override it.

mod attributes;
pub mod caller;
pub mod file;
pub mod hints;
mod login;
pub mod mistakes;
pub mod mode;
pub mod object_cache;
pub mod objects;

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    endpoint::Endpoints,
    error::{Error, ErrorKind, Errors},
    keys::Keys,
    names::{Region, RoleArn},
    pb,
    secret::Secret,
    text::{accident, quoted},
};
use attributes::{
    Attributes, CLASS, Names, POD_NAME, POD_NAMESPACE, POD_UID, SERVICE_ACCOUNT, Secrets,
};
use caller::{Caller, Via};
use file::{FileMode, PathTranslation};
use hints::Kind;
use login::{node_publish_keys, token};
use mistakes::Mistakes;
use mode::Mode;
use object_cache::ObjectCache;
use objects::Object;

/// What a pod asks for.
#[derive(Debug)]
pub struct Mount {
    pub pod: Pod,
    pub via: Via,
    /// What the SecretProviderClass says about identity.
    pub identity: RequestedIdentity,
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
pub enum RequestedIdentity {
    Default,
    Mode(Mode),
    /// `usePodServiceAccountToken: "false"`.
    NotPod,
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
    /// There is a Secret, and what it has instead of the two entries.
    Others(String),
    /// What is wrong with the entries.
    Unusable(String),
    Keys(Arc<Keys>),
}

/// The client id that ACK registers with RAM for pod tokens.
pub const STS_AUDIENCE: &str = "sts.aliyuncs.com";

/// Whose turn it is that a request may have to wait for, before it is parsed. The driver says so; empty
/// where it does not.
pub fn namespace(request: &pb::MountRequest) -> String {
    attributes::namespace(&request.attributes).unwrap_or_default()
}

/// Mistakes are reported together, as far as each can be seen on its own. `caller` is set to
/// whose request it is, whatever else is wrong with it.
pub fn parse(
    mut request: pb::MountRequest,
    endpoints: &Endpoints,
    cache: &ObjectCache,
    caller: &mut Caller,
) -> Result<Mount, Errors> {
    let attributes = Attributes::read(&mut request.attributes)?;
    *caller = Caller::of(attributes.get(CLASS), &request.target_path);
    let secrets = Secrets::read(&mut request.secrets)?;
    let mut mistakes = Mistakes::default();

    check_known(&attributes.unknown, &mut mistakes);
    let pod = mistakes.keep(pod(&attributes));
    caller.pod.clone_from(&pod);
    let identity = mistakes.keep(wish(&attributes));
    let role = mistakes.keep(role(&attributes));
    let token = mistakes.keep(token(&attributes, &secrets));
    let node_publish_keys = mistakes.keep(node_publish_keys(secrets));
    let mode = mistakes.keep(default_mode(&request.permission));
    let translation = mistakes.keep(
        PathTranslation::parse(attributes.get("pathTranslation"))
            .map_err(|rule| refused(&attributes, "pathTranslation", rule)),
    );
    let region = mistakes.keep(region(&attributes, endpoints));
    let refresh = mistakes.keep(refresh(&attributes));
    // Mistakes in the objects do not depend on these three, but what they become does.
    let context = objects::Context {
        endpoints,
        region: region.as_ref().unwrap_or(&endpoints.region),
        translation: translation.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
    };
    let text = attributes.get("objects").unwrap_or_default();
    let objects = cache
        .get_or_parse(text, &context, || objects::parse(text, &context))
        .map_err(|found| mistakes.append(found))
        .ok();
    if let Some(errors) = mistakes.into_errors() {
        return Err(errors);
    }
    match (pod, identity, role, token, node_publish_keys, objects, refresh) {
        (
            Some(pod),
            Some(identity),
            Some(role),
            Some(token),
            Some(node_publish_keys),
            Some(objects),
            Some(refresh),
        ) => {
            let via = caller.via.unwrap_or(Via::Driver);
            Ok(Mount { pod, via, identity, role, token, node_publish_keys, objects, refresh })
        }
        _ => Err(Error::new(ErrorKind::Internal, "the request was not parsed").into()),
    }
}

/// What a parameter holds is none of what is allowed.
fn refused(attributes: &Attributes, name: &str, rule: &str) -> Error {
    let text = attributes.get(name).unwrap_or_default();
    Error::invalid(format!("parameter {name}"), hints::refused(text, rule))
}

fn check_known(unknown: &Names, mistakes: &mut Mistakes) {
    for name in &unknown.first {
        mistakes.push(|| {
            let (what, _) = hints::unknown(Kind::Parameter, name);
            Error::invalid(format!("parameter {}", quoted(name)), what)
        });
    }
    mistakes.count(unknown.more);
}

fn pod(attributes: &Attributes) -> Result<Pod, Error> {
    let needed = |key: &str| {
        attributes.get(key).map(str::to_owned).ok_or_else(|| {
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
    let uid = attributes.get(POD_UID).unwrap_or_default();
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    let valid = uid.len() <= 128 && uid.bytes().all(plain);
    if valid { Ok(uid.to_owned()) } else { Err(Error::invalid(POD_UID, "is not a pod's uid")) }
}

fn wish(attributes: &Attributes) -> Result<RequestedIdentity, Error> {
    let named = match attributes.get("identity") {
        None => None,
        Some(text) => Some(Mode::parse(text).ok_or_else(|| {
            let rule = format!("must be one of {}", Mode::list());
            let what = hints::none_of(text, &Mode::ALL.map(Mode::name), &rule);
            Error::invalid("parameter identity", what)
        })?),
    };
    let use_pod = match attributes.get("usePodServiceAccountToken") {
        None => None,
        Some(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Some(_) => {
            let rule = "must be \"true\" or \"false\"";
            return Err(refused(attributes, "usePodServiceAccountToken", rule));
        }
    };
    match (named, use_pod) {
        (None, None) => Ok(RequestedIdentity::Default),
        (None, Some(true)) => Ok(RequestedIdentity::Mode(Mode::Pod)),
        (None, Some(false)) => Ok(RequestedIdentity::NotPod),
        (Some(mode), None) => Ok(RequestedIdentity::Mode(mode)),
        (Some(mode), Some(use_pod)) if use_pod == (mode == Mode::Pod) => {
            Ok(RequestedIdentity::Mode(mode))
        }
        (Some(mode), Some(use_pod)) => Err(Error::invalid(
            "parameters identity and usePodServiceAccountToken",
            format!("contradict each other: {mode} and \"{use_pod}\""),
        )
        .fix("keep identity, remove the other")),
    }
}

fn role(attributes: &Attributes) -> Result<Option<RoleArn>, Error> {
    let role = attributes
        .get("roleArn")
        .map(|text| parse_role(text).map_err(|what| Error::invalid("parameter roleArn", what)));
    role.transpose()
}

/// Of a parameter or a field.
fn parse_role(text: &str) -> Result<RoleArn, String> {
    RoleArn::parse(text).ok_or_else(|| {
        let form = RoleArn::FORM;
        match accident::in_word(text) {
            Some(accident) => format!("is not of the form {form}: it {accident}"),
            None => format!("is not of the form {form}: {}", RoleArn::problem(text)),
        }
    })
}

fn region(attributes: &Attributes, endpoints: &Endpoints) -> Result<Region, Error> {
    let Some(text) = attributes.get("region") else { return Ok(endpoints.region.clone()) };
    Region::parse(text).ok_or_else(|| {
        let name = quoted(text);
        let what = match (accident::in_word(text), Region::of_zone(text)) {
            (Some(accident), _) => format!("{name} {accident}"),
            _ if text.starts_with("__") => {
                format!("{name} is a placeholder that is to be replaced")
            }
            (None, Some(region)) => format!("{name} is a zone; its region is {region}"),
            (None, None) => format!("{name} is not a region id such as cn-hangzhou"),
        };
        let error = Error::invalid("parameter region", what);
        match Region::meant(text) {
            Some(meant) if Region::of_zone(text).is_none() => error.fix(format!("write {meant}")),
            _ => error,
        }
    })
}

fn refresh(attributes: &Attributes) -> Result<Option<Duration>, Error> {
    attributes
        .get("refreshInterval")
        .map(|text| {
            parse_interval(text).ok_or_else(|| {
                let form =
                    "must be 0, or one number with s, m or h, such as 30s, 5m, 1h, up to 24h";
                refused(attributes, "refreshInterval", form)
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

#[cfg(test)]
mod tests;
