//! The few calls of a Kubernetes API server that a provider makes.

mod event;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::services::answer::Answer;
use crate::state::clock;
use crate::state::cloud::Cloud;
use crate::state::config::ServiceAccount;
use crate::state::faults::{Plan, Subject};
use crate::state::journal::RequestRecord;
use crate::state::nodes::{self, Unpatched};
use crate::state::pod_token::TokenFor;
use crate::state::sync::lock;

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Route<'a> {
    GetServiceAccount { namespace: &'a str, name: &'a str },
    CreateToken { namespace: &'a str, name: &'a str },
    GetNode { name: &'a str },
    PatchNode { name: &'a str },
    CreateEvent { namespace: &'a str },
    Jwks,
    Discovery,
    Unknown,
}

impl<'a> Route<'a> {
    pub(crate) fn parse(method: &str, path: &'a str) -> Self {
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, segments.as_slice()) {
            ("GET", ["api", "v1", "namespaces", namespace, "serviceaccounts", name]) => {
                Self::GetServiceAccount { namespace, name }
            }
            ("POST", ["api", "v1", "namespaces", namespace, "serviceaccounts", name, "token"]) => {
                Self::CreateToken { namespace, name }
            }
            ("GET", ["api", "v1", "nodes", name]) => Self::GetNode { name },
            ("PATCH", ["api", "v1", "nodes", name]) => Self::PatchNode { name },
            ("POST", ["apis", "events.k8s.io", "v1", "namespaces", namespace, "events"]) => {
                Self::CreateEvent { namespace }
            }
            ("GET", ["openid", "v1", "jwks"]) => Self::Jwks,
            ("GET", [".well-known", "openid-configuration"]) => Self::Discovery,
            _ => Self::Unknown,
        }
    }

    fn describe(&self) -> (&'static str, Vec<String>) {
        match self {
            Self::GetServiceAccount { namespace, name } => {
                ("GetServiceAccount", vec![format!("{namespace}/{name}")])
            }
            Self::CreateToken { namespace, name } => {
                ("CreateToken", vec![format!("{namespace}/{name}")])
            }
            Self::GetNode { name } => ("GetNode", vec![(*name).to_owned()]),
            Self::PatchNode { name } => ("PatchNode", vec![(*name).to_owned()]),
            Self::CreateEvent { namespace } => ("CreateEvent", vec![(*namespace).to_owned()]),
            Self::Jwks => ("Jwks", Vec::new()),
            Self::Discovery => ("Discovery", Vec::new()),
            Self::Unknown => ("Unknown", Vec::new()),
        }
    }

    /// What the list of requests says of it before it is answered.
    pub(crate) fn record(&self) -> RequestRecord {
        let (action, objects) = self.describe();
        RequestRecord {
            service: "kubernetes".to_owned(),
            action: action.to_owned(),
            objects,
            ..RequestRecord::default()
        }
    }
}

pub(crate) fn plan(cloud: &Cloud, record: &RequestRecord) -> Plan {
    cloud.faults.plan(&Subject {
        service: &record.service,
        action: &record.action,
        host: &record.host,
        objects: &record.objects,
        ..Subject::default()
    })
}

pub(crate) fn answer(cloud: &Cloud, route: &Route<'_>, content_type: &str, body: &Bytes) -> Answer {
    let settings = &cloud.config.kubernetes;
    match route {
        Route::GetServiceAccount { name, .. } if settings.forbid_service_accounts => {
            forbidden("get", "serviceaccounts", name)
        }
        Route::CreateToken { name, .. } if settings.forbid_token_requests => {
            forbidden("create", "serviceaccounts/token", name)
        }
        Route::GetServiceAccount { namespace, name } => {
            match settings.service_account(namespace, name) {
                Some(account) => Answer::json(200, "", &service_account(account)),
                None => not_found(name),
            }
        }
        Route::CreateToken { namespace, name } => match settings.service_account(namespace, name) {
            Some(_) => create_token(cloud, namespace, name, body),
            None => not_found(name),
        },
        Route::GetNode { name } => node(cloud, name),
        Route::PatchNode { .. } if content_type != "application/json-patch+json" => {
            status(415, "UnsupportedMediaType", "only JSON patches are known here", None)
        }
        Route::PatchNode { name } => match cloud.nodes.patch(name, body) {
            Ok(()) => node(cloud, name),
            Err(Unpatched::NoNode) => not_found(name),
            Err(Unpatched::Malformed) => status(400, "BadRequest", "this is no patch", None),
            // So says the API server.
            Err(Unpatched::DoesNotFit) => {
                let message = "the server rejected our request due to an error in our request";
                status(422, "Invalid", message, None)
            }
        },
        Route::CreateEvent { namespace } => match event::made(namespace, body) {
            Ok(made) => {
                lock(&cloud.events).push(made.clone());
                Answer::json(201, "", &made)
            }
            Err(wrong) => status(422, "Invalid", &wrong, None),
        },
        Route::Jwks => Answer::json(200, "", &json!(cloud.issuer.jwks())),
        Route::Discovery => {
            let issuer = &settings.issuer;
            let document = json!({
                "issuer": issuer,
                "jwks_uri": format!("{issuer}/openid/v1/jwks"),
                "response_types_supported": ["id_token"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            });
            Answer::json(200, "", &document)
        }
        Route::Unknown => {
            status(404, "NotFound", "the server could not find the requested resource", None)
        }
    }
}

fn node(cloud: &Cloud, name: &str) -> Answer {
    let Some(taints) = cloud.nodes.taints(name) else { return not_found(name) };
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": name },
        "spec": nodes::spec(&taints),
    });
    Answer::json(200, "", &node)
}

fn service_account(account: &ServiceAccount) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": account.name,
            "namespace": account.namespace,
            "uid": account.uid(),
            "resourceVersion": "1",
            "annotations": account.annotations,
        },
    })
}

#[derive(Deserialize)]
struct TokenRequest {
    spec: TokenRequestSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TokenRequestSpec {
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    expiration_seconds: Option<i64>,
    #[serde(default)]
    bound_object_ref: Option<BoundObject>,
}

#[derive(Deserialize)]
struct BoundObject {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    uid: Option<String>,
}

fn create_token(cloud: &Cloud, namespace: &str, name: &str, body: &Bytes) -> Answer {
    let Ok(TokenRequest { spec }) = serde_json::from_slice(body) else {
        return status(400, "BadRequest", "the body is not a TokenRequest", None);
    };
    let seconds = spec.expiration_seconds.unwrap_or(3600);
    if seconds < 600 {
        return status(
            422,
            "Invalid",
            "spec.expirationSeconds: may not specify a duration less than 10 minutes",
            None,
        );
    }
    let pod = match &spec.bound_object_ref {
        Some(BoundObject { kind: Some(kind), name: Some(name), uid }) if kind == "Pod" => {
            Some((name.as_str(), uid.as_deref().unwrap_or_default()))
        }
        Some(_) => return status(422, "Invalid", "only tokens bound to pods are known here", None),
        None => None,
    };
    let audiences = match spec.audiences.is_empty() {
        true => vec![cloud.config.kubernetes.issuer.clone()],
        false => spec.audiences,
    };
    let wanted = TokenFor { namespace, service_account: name, pod, audiences: &audiences };
    let now = Timestamp::now();
    let Some(token) = cloud.sign_pod_token(&wanted, now.as_second(), seconds) else {
        return status(500, "InternalError", "the token could not be signed", None);
    };
    let expires = clock::after(now, seconds.unsigned_abs());
    let answer = json!({
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "metadata": { "name": name, "namespace": namespace },
        "spec": { "audiences": audiences, "expirationSeconds": seconds },
        "status": { "token": token, "expirationTimestamp": clock::format(expires) },
    });
    Answer::json(201, "", &answer)
}

fn not_found(name: &str) -> Answer {
    let message = format!("serviceaccounts \"{name}\" not found");
    status(404, "NotFound", &message, Some(name))
}

fn forbidden(verb: &str, resource: &str, name: &str) -> Answer {
    let message = format!(
        "serviceaccounts \"{name}\" is forbidden: User \"emulated\" cannot {verb} resource \
         \"{resource}\" in API group \"\""
    );
    status(403, "Forbidden", &message, Some(name))
}

fn status(code: u16, reason: &str, message: &str, name: Option<&str>) -> Answer {
    let details = name.map(|name| json!({ "name": name, "kind": "serviceaccounts" }));
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": details,
        "code": code,
    });
    Answer::json(code, reason, &body)
}
