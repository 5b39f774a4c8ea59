//! The API that STS, KMS and OOS share: who calls, which of them answers, and in what form.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::services::answer::Answer;
use crate::services::authentication::authenticate;
use crate::services::error::ApiError;
use crate::services::request::{ApiRequest, Endpoint, Service};
use crate::services::{kms, oos, sts};
use crate::state::arn;
use crate::state::cloud::Cloud;
use crate::state::config::OidcProvider;
use crate::state::faults::{Plan, Subject};
use crate::state::identity::Principal;
use crate::state::journal::RequestRecord;

/// Who signed a request; nobody where none has to.
pub(crate) type Caller = Result<Option<Principal>, ApiError>;

pub(crate) fn caller(cloud: &Cloud, request: &ApiRequest) -> Caller {
    if is_anonymous(request) { Ok(None) } else { authenticate(cloud, request).map(Some) }
}

fn is_anonymous(request: &ApiRequest) -> bool {
    request.service() == Some(Service::Sts) && request.action() == Some("AssumeRoleWithOIDC")
}

fn known(caller: &Caller) -> Option<&Principal> {
    caller.as_ref().ok().and_then(Option::as_ref)
}

/// What the list of requests says of it before it is answered.
pub(crate) fn record(request: &ApiRequest, caller: &Caller) -> RequestRecord {
    RequestRecord {
        service: request.service().map_or("unknown", Service::name).to_owned(),
        action: request.action().unwrap_or_default().to_owned(),
        host: request.header("host").unwrap_or_default().to_owned(),
        objects: request.objects(),
        principal: known(caller).map(Principal::record),
        ..RequestRecord::default()
    }
}

pub(crate) fn plan(
    cloud: &Cloud,
    request: &ApiRequest,
    caller: &Caller,
    record: &RequestRecord,
) -> Plan {
    let role_asked = request.filled("RoleArn");
    let principal = known(caller);
    cloud.faults.plan(&Subject {
        service: &record.service,
        action: &record.action,
        host: request.host(),
        objects: &record.objects,
        roles: role_asked.into_iter().chain(principal.map(|known| known.arn.as_str())).collect(),
        account: principal
            .map(|known| known.account.as_str())
            .or_else(|| role_asked.map(arn::account_of)),
    })
}

/// The caller's OIDC token or security token; empty when there is none.
pub(crate) fn token(request: &ApiRequest) -> &str {
    let token = ["OIDCToken", "SecurityToken"].into_iter().find_map(|name| request.parameter(name));
    token.or_else(|| request.header("x-acs-security-token")).unwrap_or_default()
}

/// The answer, and whom an OIDC token spoke for; `fetch` gets a provider's JWKS.
pub(crate) async fn answer(
    cloud: &Cloud,
    request: &ApiRequest,
    caller: Caller,
    request_id: &str,
    fetch: impl AsyncFn(&OidcProvider) -> Result<Bytes, String>,
) -> (Option<String>, Answer) {
    let (subject, result) = dispatch(cloud, request, caller, fetch).await;
    (subject, render(request, request_id, result))
}

async fn dispatch(
    cloud: &Cloud,
    request: &ApiRequest,
    caller: Caller,
    fetch: impl AsyncFn(&OidcProvider) -> Result<Bytes, String>,
) -> sts::WithSubject {
    let caller = match caller {
        Ok(caller) => caller,
        Err(error) => return (None, Err(error)),
    };
    let Some(service) = request.service() else {
        let message = "Specified parameter Version is not valid.";
        return (None, Err(ApiError::new(400, "InvalidVersion", message)));
    };
    if let Err(error) = check_place(request, service) {
        return (None, Err(error));
    }
    let result = match (service, caller) {
        (Service::Sts, None) => {
            return sts::assume_role_with_oidc(cloud, request, fetch).await;
        }
        (_, None) => Err(ApiError::unknown_action()),
        (Service::Sts, Some(caller)) => match request.action() {
            Some("AssumeRole") => sts::assume_role(cloud, &caller, request),
            Some("GetCallerIdentity") => Ok(sts::get_caller_identity(&caller)),
            _ => Err(ApiError::unknown_action()),
        },
        (Service::Kms, Some(caller)) => kms::answer(cloud, &caller, request),
        (Service::Oos, Some(caller)) => oos::answer(cloud, &caller, request),
    };
    cloud.remember_rotations();
    (None, result)
}

/// The right path and method at a host that serves this product.
fn check_place(request: &ApiRequest, service: Service) -> Result<(), ApiError> {
    let served = match request.endpoint() {
        Endpoint::Any => true,
        Endpoint::Foreign => false,
        Endpoint::Shared { service: serving, .. } => serving == service,
        Endpoint::Instance { .. } => service == Service::Kms,
    };
    let rooted = matches!(request.path.as_str(), "" | "/");
    if !served || !rooted {
        return Err(ApiError::unknown_action());
    }
    if !matches!(request.method.as_str(), "GET" | "POST") {
        return Err(ApiError::new(405, "UnsupportedHTTPMethod", "Use GET or POST."));
    }
    Ok(())
}

fn render(request: &ApiRequest, request_id: &str, result: Result<Value, ApiError>) -> Answer {
    let (status, code, root, body) = match result {
        Ok(mut body) => {
            if let Value::Object(members) = &mut body {
                members.insert("RequestId".to_owned(), json!(request_id));
            }
            let root = format!("{}Response", request.action().unwrap_or_default());
            (200, String::new(), root, body)
        }
        Err(error) => {
            let kms = request.service() == Some(Service::Kms);
            let body = error.body(request_id, request.host(), kms);
            (error.status, error.code, "Error".to_owned(), body)
        }
    };
    let answer = if request.wants_json() {
        Answer::json(status, &code, &body)
    } else {
        Answer::xml(status, &code, &root, &body)
    };
    answer.header("x-acs-request-id", request_id)
}
