//! Errors as the cloud words them.

use serde_json::{Value, json};

use crate::state::identity::Denied;

/// An error answer: HTTP status, code and message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{status} {code}: {message}")]
pub struct ApiError {
    pub status: u16,
    pub code: String,
    pub message: String,
    pub(crate) denied: Option<Box<Denied>>,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into(), denied: None }
    }

    pub(crate) fn invalid(parameter: &str, message: impl Into<String>) -> Self {
        Self::new(400, format!("InvalidParameter.{parameter}"), message)
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new(
            400,
            format!("Missing{parameter}"),
            format!("{parameter} is mandatory for this action."),
        )
    }

    pub(crate) fn unknown_action() -> Self {
        Self::new(
            404,
            "InvalidAction.NotFound",
            "Specified api is not found, please check your url and method.",
        )
    }

    pub(crate) fn with_denied(mut self, denied: Denied) -> Self {
        self.denied = Some(Box::new(denied));
        self
    }

    pub(crate) fn body(&self, request_id: &str, host: &str, with_http_status: bool) -> Value {
        let mut body = json!({
            "RequestId": request_id,
            "HostId": host,
            "Code": self.code,
            "Message": self.message,
            "Recommend":
                format!("https://api.aliyun.com/troubleshoot?q={}&requestId={request_id}", self.code),
        });
        if let Value::Object(members) = &mut body {
            if with_http_status {
                members.insert("HttpStatus".to_owned(), json!(self.status));
            }
            if let Some(denied) = &self.denied {
                members.insert("AccessDeniedDetail".to_owned(), detail(denied));
            }
        }
        body
    }
}

fn detail(denied: &Denied) -> Value {
    json!({
        "AuthAction": denied.action,
        "AuthPrincipalType": denied.principal_type,
        "AuthPrincipalDisplayName": denied.principal,
        "AuthPrincipalOwnerId": denied.account,
        "NoPermissionType": if denied.explicit { "ExplicitDeny" } else { "ImplicitDeny" },
        "PolicyType": "AccountLevelIdentityBasedPolicy",
        "EncodedDiagnosticMessage": "AQEAAAAAemulated",
    })
}
