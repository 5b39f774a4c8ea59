//! Token: what a projected token says of itself. Nothing of the token but these claims is kept.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    doctor::{check::Check, line::Line},
    limits,
    request::{Pod, STS_AUDIENCE},
    secret::Secret,
    text::quoted,
};

const CHECK: Check = Check::Token;
/// Kubelet renews after four fifths of the lifetime; the shortest lifetime is ten minutes.
const SOON: i64 = 90;

/// Claims of a ServiceAccount token.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    #[serde(default)]
    pub(crate) iss: String,
    #[serde(default)]
    pub(crate) sub: String,
    #[serde(default)]
    aud: Audiences,
    exp: Option<i64>,
    iat: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Option<Kubernetes>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audiences {
    One(String),
    Many(Vec<String>),
}

impl Default for Audiences {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

#[derive(Debug, Deserialize)]
struct Kubernetes {
    namespace: String,
    pod: Option<Named>,
    serviceaccount: Named,
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    uid: String,
}

impl Claims {
    /// `None` for what is no JWT. The signature is STS's to check.
    pub(crate) fn read(jwt: &Secret<String>) -> Option<Self> {
        let mut parts = jwt.expose().trim().split('.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        let claims = URL_SAFE_NO_PAD.decode(claims).ok().map(Zeroizing::new)?;
        serde_json::from_slice(&claims).ok()
    }

    /// Whose it is; one that is bound to no pod gets a name that says so.
    pub(crate) fn pod(&self) -> Option<Pod> {
        let Kubernetes { namespace, pod, serviceaccount } = self.kubernetes.as_ref()?;
        let (name, uid) =
            pod.as_ref().map_or(("doctor", ""), |pod| (pod.name.as_str(), pod.uid.as_str()));
        let own = str::to_owned;
        Pod::named(own(namespace), own(name), own(uid), own(&serviceaccount.name))
    }

    pub(crate) fn expires(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.exp?).ok()
    }

    fn audiences(&self) -> &[String] {
        match &self.aud {
            Audiences::One(one) => std::slice::from_ref(one),
            Audiences::Many(many) => many,
        }
    }
}

/// A token file, as far as it could be read.
#[derive(Debug)]
pub(crate) enum File {
    NotGiven,
    Unreadable {
        path: String,
        why: String,
    },
    Read {
        path: String,
        /// Characters.
        length: usize,
        /// `None`: it is no JWT.
        claims: Option<Box<Claims>>,
    },
}

impl File {
    pub(crate) fn claims(&self) -> Option<&Claims> {
        match self {
            Self::Read { claims, .. } => claims.as_deref(),
            Self::NotGiven | Self::Unreadable { .. } => None,
        }
    }
}

const PROJECT: &str = "project a serviceAccountToken with audience sts.aliyuncs.com into the pod, or let ACK's \
    pod-identity webhook do it (label pod-identity.alibabacloud.com/injection: \"on\")";

pub(crate) fn judge(file: &File, now: Timestamp) -> Line {
    let (path, length, claims) = match file {
        File::NotGiven => {
            let why = "no token file is given (--oidc-token-file, ALIBABA_CLOUD_OIDC_TOKEN_FILE); in the provider's \
                       pod the driver sends pods' tokens with each mount: run doctor in an application's pod, or \
                       with the file of kubectl create token SERVICEACCOUNT --audience=sts.aliyuncs.com";
            return Line::skipped(CHECK, "", why);
        }
        File::Unreadable { path, why } => {
            return Line::broken(CHECK, path, format!("cannot be read: {why}"), PROJECT);
        }
        File::Read { path, length: 0, .. } => {
            return Line::broken(CHECK, path, "is empty", PROJECT);
        }
        File::Read { path, claims: None, .. } => {
            return Line::broken(CHECK, path, "holds no token (a JWT)", PROJECT);
        }
        File::Read { path, length, claims: Some(claims) } => (path, *length, claims),
    };
    if !limits::OIDC_TOKEN.contains(&length) {
        let what = format!("has {length} characters, and STS takes 4 to 20000");
        return Line::broken(CHECK, path, what, "ask for fewer audiences");
    }
    if !claims.audiences().iter().any(|audience| audience == STS_AUDIENCE) {
        let audiences: Vec<String> = claims.audiences().iter().map(|name| quoted(name)).collect();
        let audiences =
            if audiences.is_empty() { "no audience".to_owned() } else { audiences.join(", ") };
        let what = format!("is for {audiences}, and not for {STS_AUDIENCE}");
        let fix = format!(
            "write audience: {STS_AUDIENCE} under serviceAccountToken of the projected volume (for the driver: \
             tokenRequests: [{{audience: {STS_AUDIENCE}}}] of the CSIDriver)"
        );
        return Line::broken(CHECK, path, what, fix);
    }
    let whose = claims.pod().map_or_else(|| quoted(&claims.sub), |pod| pod.subject());
    let Some(expires) = claims.expires() else {
        let what = format!("of {whose} has no expiry: it is no projected token");
        return Line::broken(CHECK, path, what, PROJECT);
    };
    let left = expires.as_second() - now.as_second();
    if left <= 0 {
        let what = format!("of {whose} expired {} ago, at {expires}", span(-left));
        let fix = "kubelet renews the file of a running pod: is this a copy? If it is not, look at kubelet's log \
                   and at the clocks of node and API server";
        return Line::broken(CHECK, path, what, fix);
    }
    if claims.iat.is_some_and(|made| made > now.as_second() + SOON) {
        let what = format!("of {whose} was made in the future by this clock");
        return Line::warn(CHECK, path, what, "set the clocks of node and API server right");
    }
    if left < SOON {
        let what = format!("of {whose} expires in {}", span(left));
        let fix = "kubelet renews after four fifths of the lifetime: if the file does not change, look at kubelet's \
                   log";
        return Line::warn(CHECK, path, what, fix);
    }
    Line::ok(CHECK, path, format!("of {whose}, for {STS_AUDIENCE}, expires in {}", span(left)))
}

/// In the largest unit of which there are two or more.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        s if s >= 2 * 86_400 => format!("{} days", s / 86_400),
        s if s >= 2 * 3600 => format!("{} h", s / 3600),
        s if s >= 120 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}
