//! Gateway: the front of STS, KMS and OOS.

use http_body_util::{BodyExt as _, Limited};
use hyper::Request;
use hyper::body::Incoming;

use crate::net::exchange::{MAX_BODY, carry_out};
use crate::net::issuer;
use crate::net::link::Link;
use crate::net::reply::Reply;
use crate::services::api;
use crate::services::request::ApiRequest;
use crate::state::cloud::Cloud;
use crate::state::journal::RequestRecord;

pub(crate) async fn serve(cloud: &Cloud, link: &Link, request: Request<Incoming>) -> Reply {
    let protocol = format!("{:?}", request.version());
    let Some(request) = read(request).await else {
        return Reply::Reset;
    };
    let caller = api::caller(cloud, &request);
    let record = RequestRecord { protocol, ..api::record(&request, &caller) };
    let plan = api::plan(cloud, &request, &caller, &record);
    let answering = async |request_id: &str| {
        api::answer(cloud, &request, caller.clone(), request_id, issuer::jwks).await
    };
    carry_out(cloud, link, record, plan, api::token(&request), answering).await
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
