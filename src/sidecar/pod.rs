//! The pod that this program runs in, as its projected token tells it, and the token as proof. Outside
//! Kubernetes it is the host.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    limits,
    request::{Pod, PodToken, TokenInput},
    secret::Secret,
};

/// Claims of a token that kubelet projects into a pod.
#[derive(Deserialize)]
struct Claims {
    exp: Option<i64>,
    #[serde(rename = "kubernetes.io")]
    kubernetes: Kubernetes,
}

#[derive(Deserialize)]
struct Kubernetes {
    namespace: String,
    pod: Named,
    serviceaccount: Named,
}

#[derive(Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    uid: String,
}

/// Where who this is can be read.
#[derive(Debug)]
pub(super) struct OwnPod {
    token_file: Option<PathBuf>,
    host: Pod,
}

impl OwnPod {
    /// To be called before the sandbox is entered, which leaves nothing of `/proc/sys`.
    pub(super) fn new(token_file: Option<PathBuf>) -> Self {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = match host.trim() {
            "" => "unknown",
            host => host,
        };
        Self { token_file, host: Pod::host(host.to_owned()) }
    }

    /// Read each time: kubelet replaces the file as it renews the token.
    pub(super) fn read(&self) -> (Pod, TokenInput) {
        let Some(file) = &self.token_file else { return (self.host.clone(), TokenInput::Absent) };
        match token(file) {
            Ok((pod, token)) => (pod, TokenInput::Token(token)),
            Err(what) => {
                let what = format!("{} {what}", file.display());
                (self.host.clone(), TokenInput::Unusable(what))
            }
        }
    }
}

fn token(file: &Path) -> Result<(Pod, PodToken), String> {
    let text = fs::read_to_string(file).map(Secret::new);
    let text = text.map_err(|error| format!("cannot be read: {}", error.kind()))?;
    let jwt = text.expose().trim();
    if jwt.is_empty() {
        return Err("is empty".to_owned());
    }
    if !limits::OIDC_TOKEN.contains(&jwt.len()) {
        return Err("has a length that STS does not accept (4 to 20000)".to_owned());
    }
    let claims = jwt.split('.').nth(1);
    let claims = claims.and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok()).map(Zeroizing::new);
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    let pod = claims.and_then(|Claims { exp, kubernetes }| {
        let Kubernetes { namespace, pod, serviceaccount } = kubernetes;
        let pod = Pod::named(namespace, pod.name, pod.uid, serviceaccount.name)?;
        Some((pod, exp.and_then(|exp| jiff::Timestamp::from_second(exp).ok())))
    });
    let Some((pod, expires)) = pod else {
        return Err(
            "is no token that Kubernetes made for a pod (serviceAccountToken of a projected \
                    volume)"
                .to_owned(),
        );
    };
    Ok((pod, PodToken { jwt: Arc::new(Secret::new(jwt.to_owned())), expires }))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const CLAIMS: &str = r#"{"exp":4102444800,"kubernetes.io":{"namespace":"shop",
        "pod":{"name":"web-1","uid":"u-1"},"serviceaccount":{"name":"web","uid":"s"}}}"#;

    fn read(text: &str) -> (Pod, TokenInput) {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, text).unwrap();
        OwnPod::new(Some(file)).read()
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln\n", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn token_tells_the_pod_and_when_it_expires() {
        let (pod, token) = read(&jwt(CLAIMS));
        assert_eq!(pod.to_string(), "shop/web-1");
        assert_eq!((&*pod.uid, &*pod.service_account), ("u-1", "web"));
        let TokenInput::Token(token) = token else { panic!("{token:?}") };
        assert_eq!(token.expires.unwrap().as_second(), 4_102_444_800);
        assert!(!token.jwt.expose().ends_with('\n'));
    }

    #[test]
    fn token_that_is_none_of_a_pod_is_unusable_and_not_shown() {
        let foreign = CLAIMS.replace("web-1", "web 1");
        for text in ["planted", "", "a.b.c", &jwt("{}"), &jwt(&foreign), &"x".repeat(30_000)] {
            let (pod, token) = read(text);
            assert_eq!(pod.namespace, "");
            let TokenInput::Unusable(what) = token else { panic!("{token:?}") };
            assert!(!what.contains("planted") && what.contains("/token "), "{what}");
        }
    }

    #[test]
    fn token_that_is_not_configured_is_absent() {
        let (pod, token) = OwnPod::new(None).read();
        assert!(matches!(token, TokenInput::Absent));
        assert!(!pod.name.is_empty());
    }
}
