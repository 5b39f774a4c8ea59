//! Tokens of pods, with the claims the API server puts into projected tokens.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::state::cloud::Cloud;
use crate::state::random;

/// The pod and ServiceAccount a token is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TokenFor<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) service_account: &'a str,
    pub(crate) pod: Option<(&'a str, &'a str)>,
    pub(crate) audiences: &'a [String],
}

impl Cloud {
    /// A token with the claims the API server puts into projected tokens.
    pub(crate) fn sign_pod_token(
        &self,
        wanted: &TokenFor<'_>,
        issued: i64,
        lifetime: i64,
    ) -> Option<String> {
        let TokenFor { namespace, service_account, pod, audiences } = *wanted;
        let uid = self.config.kubernetes.uid(namespace, service_account);
        let mut kubernetes = json!({
            "namespace": namespace,
            "serviceaccount": { "name": service_account, "uid": uid },
        });
        if let (Some((name, uid)), Value::Object(members)) = (pod, &mut kubernetes) {
            members.insert("pod".to_owned(), json!({ "name": name, "uid": uid }));
            members.insert("node".to_owned(), json!({ "name": "emulated-node" }));
        }
        let claims = json!({
            "aud": audiences,
            "exp": issued.saturating_add(lifetime),
            "iat": issued,
            "nbf": issued,
            "iss": self.config.kubernetes.issuer,
            "jti": random::uuid(),
            "kubernetes.io": kubernetes,
            "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
        });
        let token = self.issuer.sign(&claims).ok()?;
        self.remember(&token);
        Some(token)
    }

    /// With a negative lifetime, a token that expired that long ago.
    pub(crate) fn pod_token(&self, wanted: &TokenFor<'_>, lifetime: i64) -> String {
        let now = Timestamp::now().as_second();
        let issued = if lifetime < 0 { now.saturating_add(lifetime) - 3600 } else { now };
        let lifetime = if lifetime < 0 { 3600 } else { lifetime };
        self.sign_pod_token(wanted, issued, lifetime).unwrap_or_default()
    }
}
