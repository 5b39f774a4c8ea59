//! The front of STS, KMS and OOS: identifies, authenticates, sabotages, answers and records.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::net::issuer;
use crate::net::server::Link;
use crate::services::authentication::authenticate;
use crate::services::error::ApiError;
use crate::services::reply::{Answer, Reply, Victim, damaged, instead};
use crate::services::request::{ApiRequest, Endpoint, Service};
use crate::services::{kms, oos, sts};
use crate::state::cloud::Cloud;
use crate::state::faults::{FaultEffect, Plan, Subject};
use crate::state::identity::Principal;
use crate::state::journal::RequestRecord;
use crate::state::random;

const MAX_BODY: usize = 1 << 20;

pub(crate) async fn serve(cloud: &Cloud, link: &Link, request: Request<Incoming>) -> Reply {
    let protocol = format!("{:?}", request.version());
    let Some(request) = read(request).await else {
        return Reply::Reset;
    };
    let service = request.service();
    let caller = match is_anonymous(&request) {
        true => Ok(None),
        false => authenticate(cloud, &request).map(Some),
    };
    let principal = caller.as_ref().ok().and_then(Option::as_ref);
    let record = RequestRecord {
        service: service.map_or("unknown", Service::name).to_owned(),
        action: request.action().unwrap_or_default().to_owned(),
        host: request.header("host").unwrap_or_default().to_owned(),
        objects: request.objects(),
        principal: principal.map(Principal::record),
        protocol,
        ..RequestRecord::default()
    };
    let role_asked = request.filled("RoleArn");
    let plan = cloud.faults.plan(&Subject {
        service: &record.service,
        action: &record.action,
        host: request.host(),
        objects: &record.objects,
        roles: role_asked.into_iter().chain(principal.map(|known| known.arn.as_str())).collect(),
        account: principal
            .map(|known| known.account.as_str())
            .or_else(|| role_asked.map(crate::state::arn::account_of)),
    });
    let token = ["OIDCToken", "SecurityToken"].into_iter().find_map(|name| request.parameter(name));
    let token = token.or_else(|| request.header("x-acs-security-token")).unwrap_or_default();
    let answering = async |request_id: &str| {
        let (subject, result) = dispatch(cloud, &request, service, caller.clone()).await;
        (subject, render(&request, service, request_id, result))
    };
    carry_out(cloud, link, record, plan, token, answering).await
}

/// Waits, answers or misbehaves as planned, and records what came of it.
pub(crate) async fn carry_out(
    cloud: &Cloud,
    link: &Link,
    mut record: RequestRecord,
    plan: Plan,
    token: &str,
    answering: impl AsyncFnOnce(&str) -> (Option<String>, Answer),
) -> Reply {
    let request_id = random::request_id();
    record.request_id.clone_from(&request_id);
    record.time = crate::state::clock::format(cloud.clock.now());
    record.tls_connection = link.tls_number;
    let mut entry = Entry { cloud, record: Some(record) };
    if !plan.latency.is_zero() {
        tokio::time::sleep(plan.latency).await;
    }
    let Some(effect) = plan.effect else {
        let (subject, answer) = answering(&request_id).await;
        entry.close(answer.status, &answer.code, subject);
        return Reply::Response(answer.into_response());
    };
    let victim = Victim { request_id: &request_id, host: entry.host(), token };
    let replaced = instead(&effect, &victim);
    let (subject, answer) = match replaced {
        Some(answer) => (None, answer),
        None => answering(&request_id).await,
    };
    let unanswered = matches!(effect, FaultEffect::Hang | FaultEffect::Reset);
    let code = match &effect {
        FaultEffect::Error { code, .. } | FaultEffect::Echo { code, .. } => code,
        other => other.name(),
    };
    entry.close(if unanswered { 0 } else { answer.status }, code, subject);
    damaged(&effect, answer, link)
}

/// A request under way, which is listed even when the client gives up on it.
struct Entry<'a> {
    cloud: &'a Cloud,
    record: Option<RequestRecord>,
}

impl Entry<'_> {
    fn host(&self) -> &str {
        self.record.as_ref().map_or("", |record| &record.host)
    }

    fn close(&mut self, status: u16, code: &str, oidc_subject: Option<String>) {
        if let Some(record) = self.record.take() {
            let code = code.to_owned();
            self.cloud.journal.add(RequestRecord { status, code, oidc_subject, ..record });
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.close(0, "Abandoned", None);
    }
}

/// Headers and body as sent; None when the body cannot be had.
async fn read(request: Request<Incoming>) -> Option<ApiRequest> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, MAX_BODY).collect().await.ok()?.to_bytes();
    let mut headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    // Over HTTP/2 the host travels as the authority.
    if !parts.headers.contains_key("host")
        && let Some(authority) = parts.uri.authority()
    {
        headers.push(("host".to_owned(), authority.to_string()));
    }
    Some(ApiRequest::new(
        parts.method.as_str(),
        parts.uri.path(),
        parts.uri.query().unwrap_or_default(),
        headers,
        body,
    ))
}

fn is_anonymous(request: &ApiRequest) -> bool {
    request.service() == Some(Service::Sts) && request.action() == Some("AssumeRoleWithOIDC")
}

async fn dispatch(
    cloud: &Cloud,
    request: &ApiRequest,
    service: Option<Service>,
    caller: Result<Option<Principal>, ApiError>,
) -> sts::WithSubject {
    let caller = match caller {
        Ok(caller) => caller,
        Err(error) => return (None, Err(error)),
    };
    let Some(service) = service else {
        let message = "Specified parameter Version is not valid.";
        return (None, Err(ApiError::new(400, "InvalidVersion", message)));
    };
    if let Err(error) = check_place(request, service) {
        return (None, Err(error));
    }
    let result = match (service, caller) {
        (Service::Sts, None) => {
            return sts::assume_role_with_oidc(cloud, request, issuer::jwks).await;
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

fn render(
    request: &ApiRequest,
    service: Option<Service>,
    request_id: &str,
    result: Result<Value, ApiError>,
) -> Answer {
    let (status, code, root, body) = match result {
        Ok(mut body) => {
            if let Value::Object(members) = &mut body {
                members.insert("RequestId".to_owned(), json!(request_id));
            }
            let root = format!("{}Response", request.action().unwrap_or_default());
            (200, String::new(), root, body)
        }
        Err(error) => {
            let kms = service == Some(Service::Kms);
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

/// The body of a request to one of the other listeners.
pub(crate) async fn body_of(request: Request<Incoming>) -> Bytes {
    match Limited::new(request.into_body(), MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => Bytes::new(),
    }
}
