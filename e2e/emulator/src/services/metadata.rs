//! ECS instance metadata: the node's own role.

use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request};
use serde_json::json;

use crate::net::gateway::carry_out;
use crate::net::server::Link;
use crate::services::reply::{Answer, Reply};
use crate::state::cloud::Cloud;
use crate::state::faults::Subject;
use crate::state::identity::resolve_role;
use crate::state::journal::RequestRecord;
use crate::state::{arn, clock};

const TOKEN_TTL: &str = "x-aliyun-ecs-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aliyun-ecs-metadata-token";
const CREDENTIALS: &str = "/latest/meta-data/ram/security-credentials/";

pub(crate) async fn serve(cloud: &Cloud, link: &Link, request: Request<Incoming>) -> Reply {
    let action = action(request.uri().path());
    let host = header(request.headers(), "host").unwrap_or_default().to_owned();
    let role = attached_role(cloud);
    let plan = cloud.faults.plan(&Subject {
        service: "metadata",
        action,
        host: &host,
        roles: role.into_iter().collect(),
        ..Subject::default()
    });
    let record = RequestRecord {
        service: "metadata".to_owned(),
        action: action.to_owned(),
        objects: vec![request.uri().path().to_owned()],
        protocol: format!("{:?}", request.version()),
        host,
        ..RequestRecord::default()
    };
    carry_out(cloud, link, record, plan, "", async |_: &str| {
        (None, answer(cloud, request.method(), request.uri().path(), request.headers()))
    })
    .await
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

fn answer(cloud: &Cloud, method: &Method, path: &str, headers: &HeaderMap) -> Answer {
    let settings = &cloud.config.metadata;
    let action = action(path);
    if action == "Token" {
        return match settings.token_service {
            true => token(cloud, method, headers),
            false => not_found(),
        };
    }
    if method != Method::GET {
        return Answer::text(405, "MethodNotAllowed", "");
    }
    match header(headers, TOKEN) {
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
        ("Credentials", Some(role)) if path.strip_prefix(CREDENTIALS) == Some(arn::name(role)) => {
            credentials(cloud, role)
        }
        _ => not_found(),
    }
}

fn token(cloud: &Cloud, method: &Method, headers: &HeaderMap) -> Answer {
    if method != Method::PUT {
        return Answer::text(405, "MethodNotAllowed", "");
    }
    let ttl = header(headers, TOKEN_TTL)
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

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
