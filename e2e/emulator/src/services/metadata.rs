//! ECS instance metadata: the node's own role.

use serde_json::json;

use crate::services::answer::Answer;
use crate::state::cloud::Cloud;
use crate::state::faults::{Plan, Subject};
use crate::state::identity::resolve_role;
use crate::state::journal::RequestRecord;
use crate::state::{arn, clock};

pub(crate) const TOKEN_TTL: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
pub(crate) const TOKEN: &str = "x-aliyun-ecs-metadata-token";
const CREDENTIALS: &str = "/latest/meta-data/ram/security-credentials/";

/// A request, with what its headers say.
#[derive(Debug)]
pub(crate) struct MetadataRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// Of the header `TOKEN`.
    pub(crate) token: Option<&'a str>,
    /// Of the header `TOKEN_TTL`.
    pub(crate) token_ttl: Option<&'a str>,
}

/// What the list of requests says of it before it is answered.
pub(crate) fn record(path: &str) -> RequestRecord {
    RequestRecord {
        service: "metadata".to_owned(),
        action: action(path).to_owned(),
        objects: vec![path.to_owned()],
        ..RequestRecord::default()
    }
}

pub(crate) fn plan(cloud: &Cloud, record: &RequestRecord) -> Plan {
    cloud.faults.plan(&Subject {
        service: &record.service,
        action: &record.action,
        host: &record.host,
        roles: attached_role(cloud).into_iter().collect(),
        ..Subject::default()
    })
}

fn action(path: &str) -> &'static str {
    match path {
        "/latest/api/token" => "Token",
        "/latest/meta-data/region-id" => "RegionId",
        _ => match path.strip_prefix(CREDENTIALS.trim_end_matches('/')) {
            Some("" | "/") => "RoleName",
            Some(_) => "Credentials",
            None => "Other",
        },
    }
}

pub(crate) fn answer(cloud: &Cloud, request: &MetadataRequest<'_>) -> Answer {
    let settings = &cloud.config.metadata;
    let action = action(request.path);
    if action == "Token" {
        return match settings.token_service {
            true => token(cloud, request),
            false => not_found(),
        };
    }
    if request.method != "GET" {
        return Answer::text(405, "MethodNotAllowed", "");
    }
    match request.token {
        None if settings.imdsv1 => {}
        None => return Answer::text(403, "TokenNeeded", "a metadata token is needed"),
        Some(token) => {
            if !cloud.node.is_valid_token(token, cloud.clock.now()) {
                return Answer::text(401, "TokenInvalid", "the metadata token is not valid");
            }
        }
    }
    let role = attached_role(cloud);
    match (action, role) {
        ("RegionId", _) => {
            Answer::text(200, "", settings.region.clone().unwrap_or(cloud.config.region.clone()))
        }
        ("RoleName", Some(role)) => Answer::text(200, "", arn::name(role).to_owned()),
        ("Credentials", Some(role))
            if request.path.strip_prefix(CREDENTIALS) == Some(arn::name(role)) =>
        {
            credentials(cloud, role)
        }
        _ => not_found(),
    }
}

fn token(cloud: &Cloud, request: &MetadataRequest<'_>) -> Answer {
    if request.method != "PUT" {
        return Answer::text(405, "MethodNotAllowed", "");
    }
    let ttl = request
        .token_ttl
        .and_then(|text| text.parse::<u64>().ok())
        .filter(|ttl| (1..=21_600).contains(ttl));
    let Some(ttl) = ttl else {
        return Answer::text(400, "BadTtl", "the token's lifetime must be 1 to 21600 seconds");
    };
    let token = cloud.node.issue_token(cloud.clock.now(), ttl);
    cloud.remember(&token);
    Answer::text(200, "", token)
}

fn credentials(cloud: &Cloud, role_arn: &str) -> Answer {
    let session = cloud.node.credentials(&cloud.sessions, role_arn, cloud.clock.now());
    cloud.remember_session(&session);
    Answer::json(
        200,
        "",
        &json!({
            "Code": "Success",
            "AccessKeyId": session.access_key_id,
            "AccessKeySecret": session.access_key_secret,
            "SecurityToken": session.security_token,
            "Expiration": clock::format(session.expires),
            "LastUpdated": clock::format(session.issued),
        }),
    )
}

fn attached_role(cloud: &Cloud) -> Option<&str> {
    let name = cloud.config.metadata.role.as_deref()?;
    resolve_role(&cloud.config, name).map(|role| role.arn.as_str())
}

fn not_found() -> Answer {
    Answer::text(404, "NotFound", "404 - Not Found")
}
