//! Request: the driver's message becomes a `Mount`: who asks, with what proof, and the `Spec` of the
//! SecretProviderClass.

mod attributes;
pub mod caller;
mod login;

use std::{fmt, sync::Arc};

use crate::{
    endpoint::Endpoints,
    error::{Error, Errors, Reason},
    keys::Keys,
    pb,
    secret::Secret,
    spc::{Spec, class::Class, file::FileMode, mistakes::Mistakes, object_cache::ObjectCache},
};
use attributes::{Attributes, CLASS, POD_NAME, POD_NAMESPACE, POD_UID, SERVICE_ACCOUNT, Secrets};
use caller::{Caller, Via};
use login::{node_publish_keys, token};

/// What a pod asks for.
#[derive(Debug)]
pub struct Mount {
    pub pod: Pod,
    pub via: Via,
    pub token: TokenInput,
    pub node_publish_keys: NodePublishKeys,
    pub spec: Spec,
}

/// Who the driver says is asking. Only a token proves it.
#[derive(Clone, Debug)]
pub struct Pod {
    pub namespace: String,
    pub name: String,
    pub uid: String,
    pub service_account: String,
}

impl Pod {
    /// `None` where these are no names of Kubernetes, or no pod's uid.
    pub fn named(
        namespace: String,
        name: String,
        uid: String,
        service_account: String,
    ) -> Option<Self> {
        let names = [&namespace, &name, &service_account];
        let valid = names.into_iter().all(|name| caller::is_name(name)) && is_uid(&uid);
        valid.then_some(Self { namespace, name, uid, service_account })
    }

    /// What runs outside Kubernetes.
    pub fn host(name: String) -> Self {
        Self { namespace: String::new(), name, uid: String::new(), service_account: String::new() }
    }
}

impl Pod {
    /// What its token says that it is of: `oidc:sub` in a trust policy.
    pub fn subject(&self) -> String {
        format!("system:serviceaccount:{}:{}", self.namespace, self.service_account)
    }
}

impl fmt::Display for Pod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// The pod's token for STS, as far as the driver brought one.
#[derive(Debug)]
pub enum TokenInput {
    Absent,
    /// It is in a file, and what is wrong with that.
    Unusable(String),
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

    let pod = pod(&attributes);
    caller.pod = pod.as_ref().ok().cloned();
    let via = caller.via.unwrap_or(Via::Driver);
    let mode = default_mode(&request.permission);
    // The author's mistakes come first.
    let (parameters, files) = (&attributes.parameters, mode.as_ref().copied().unwrap_or_default());
    let spec = Spec::parse(parameters, endpoints, files, cache);
    let spec = spec.map_err(|found| mistakes.append(found)).ok();
    let pod = mistakes.keep(pod);
    let token = mistakes.keep(token(&attributes, &secrets));
    let node_publish_keys = mistakes.keep(node_publish_keys(secrets));
    mistakes.keep(mode);
    mistakes.none_and(|| {
        let node_publish_keys = node_publish_keys?;
        Some(Mount { pod: pod?, via, token: token?, node_publish_keys, spec: spec? })
    })
}

/// What a pod asks for by itself, without a driver: the files are those that the driver would make.
pub fn of_class(
    class: &Class,
    pod: Pod,
    token: TokenInput,
    endpoints: &Endpoints,
    cache: &ObjectCache,
) -> Result<Mount, Errors> {
    let spec = Spec::parse(&class.parameters, endpoints, FileMode::default(), cache)?;
    let node_publish_keys = NodePublishKeys::Absent;
    Ok(Mount { pod, via: Via::Sidecar, token, node_publish_keys, spec })
}

fn pod(attributes: &Attributes) -> Result<Pod, Error> {
    let needed = |key: &str| {
        attributes.get(key).map(str::to_owned).ok_or_else(|| {
            Error::new(Reason::NoPodInfo, "is missing")
                .subject(key)
                .hint("the CSIDriver object must have podInfoOnMount: true")
        })
    };
    // Without pod info from kubelet these would be pod-author input; they end up in a URL.
    let named = |key: &str| {
        let name = needed(key)?;
        let valid = caller::is_name(&name);
        if valid {
            Ok(name)
        } else {
            Err(Error::new(Reason::MalformedRequest, "is not a Kubernetes name").subject(key))
        }
    };
    Ok(Pod {
        namespace: named(POD_NAMESPACE)?,
        name: named(POD_NAME)?,
        uid: uid(attributes)?,
        service_account: named(SERVICE_ACCOUNT)?,
    })
}

/// A UUID, or what kubelet makes of the file of a static pod.
fn is_uid(uid: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
    uid.len() <= 128 && uid.bytes().all(plain)
}

fn uid(attributes: &Attributes) -> Result<String, Error> {
    let uid = attributes.get(POD_UID).unwrap_or_default();
    if is_uid(uid) {
        Ok(uid.to_owned())
    } else {
        Err(Error::new(Reason::MalformedRequest, "is not a pod's uid").subject(POD_UID))
    }
}

/// The driver's `permission`: Go's file mode as a decimal number.
fn default_mode(permission: &str) -> Result<FileMode, Error> {
    match permission.trim() {
        "" => FileMode::from_bits(0o644),
        number => number.parse().ok().and_then(FileMode::from_bits),
    }
    .ok_or_else(|| {
        Error::new(Reason::MalformedRequest, "is not a file mode between 1 and 511")
            .subject("permission")
    })
}

#[cfg(test)]
mod tests;
