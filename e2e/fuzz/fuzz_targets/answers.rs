//! Whatever answers in the cloud's place: a value is what the answer says of just that object, and a
//! failure says no more than codes and ids that look like such.
//!
//! The first octet of an input chooses the operation, the second the status. Lines of headers follow,
//! an empty line, and the body, in which the canary is planted. For instance metadata `--` lines divide
//! the answer to the last question from those to the ones before.

#![no_main]

use std::{cell::LazyCell, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures::future::BoxFuture;
use fuzz::{CANARY, HERE, check_errors, check_text, choices, endpoints, policy};
use http_body_util::Full;
use hyper::{
    HeaderMap, Request,
    header::{HeaderName, HeaderValue},
};
use libfuzzer_sys::{Corpus, fuzz_target};
use provider::{
    cloud::{Cloud, Failure, ReadOptions, limiter::Priority, read::Part, trust::Clients},
    credentials::{Sessions, metadata::Metadata},
    endpoint::{Endpoints, Service},
    error::{ErrorKind, Errors},
    http::{Answer, Broken, Transport},
    keys::Keys,
    login::{Caller, KeyedLogin, Login},
    policy::Share,
    secret::Secret,
    spc::source::{kms::SecretRef, oos::ParameterRef},
    telemetry::Metrics,
    text::identifier,
    value::Value as SecretValue,
};
use serde_json::Value;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::{Instant, sleep},
};

const CLASSES: [ErrorKind; 6] = [
    ErrorKind::Invalid,
    ErrorKind::Denied,
    ErrorKind::Unauthenticated,
    ErrorKind::NotFound,
    ErrorKind::Unusable,
    ErrorKind::Internal,
];
const NAMES: [&str; 3] = ["db", "api/key", "web"];
/// The one of `NAMES` that is asked for in a version of its own.
const VERSIONED: (usize, &str) = (1, "7");

thread_local! {
    static CLOCK: LazyCell<Runtime> = const {
        LazyCell::new(|| Builder::new_current_thread().enable_time().start_paused(true).build().unwrap())
    };
}

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([operation, status], rest)) = choices(input) else { return Corpus::Reject };
    let Some(script) = Script::of(status, rest) else { return Corpus::Reject };
    CLOCK.with(|clock| clock.block_on(asked(operation, Arc::new(script))));
    Corpus::Keep
});

async fn asked(operation: u8, script: Arc<Script>) {
    let endpoints = endpoints();
    let metrics = Arc::new(Metrics::new());
    let cloud = Arc::new(Cloud::new(Clients::by(script.clone()), metrics.clone(), 4, 4));
    let secret = Secret::new("of the key".to_owned());
    let token = Some(Secret::new("of the session".to_owned()));
    let keys = Keys { id: "STS.1".to_owned(), secret, token };
    let of = |service| endpoints.of(service, &endpoints.region);
    let (kms, oos) = (of(Service::Kms), of(Service::Oos));
    let noted = |failure: &Failure| check(failure);
    let options = |endpoint| ReadOptions {
        endpoint,
        keys: &keys,
        caller: Caller { login: [0; 32], account: [0; 32] },
        priority: Priority::default(),
        deadline: Instant::now() + Duration::from_secs(1),
        on_error: &noted,
        sent: &|| {},
    };
    // Members that nobody needs may hold anything.
    let body = String::from_utf8_lossy(&script.body);
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    match operation {
        b'k' => match cloud.get_secret_value(&options(&kms), &secret_ref(0)).await {
            Ok(value) => assert!(is_secret(&value, &body)),
            Err(failure) => check(&failure),
        },
        b'b' => {
            let secrets = [0, 1, 2].map(secret_ref);
            let asked: Vec<&SecretRef> = secrets.iter().collect();
            match cloud.batch_get_secret_value(&options(&kms), &asked).await {
                Ok(values) => is_secrets(&values, &body),
                Err(failure) => check(&failure),
            }
        }
        b'p' => {
            match cloud.get_secret_parameter(&options(&oos), &parameter_ref(&endpoints)).await {
                Ok(value) => assert!(is_parameter(&value, &body["Parameter"])),
                Err(failure) => check(&failure),
            }
        }
        b'q' => {
            let region = &endpoints.region;
            match cloud.get_secret_parameters(&options(&oos), region, &NAMES).await {
                Ok(values) => is_parameters(&values, &body),
                Err(failure) => check(&failure),
            }
        }
        _ => {
            let metadata = Metadata::by(script.clone());
            let sessions = Sessions::new(cloud.clone(), of(Service::Sts), metadata, metrics);
            let deadline = Instant::now() + Duration::from_secs(1);
            match sessions
                .credentials(&KeyedLogin::new(login(operation)), Priority::default(), deadline)
                .await
            {
                Ok(credentials) => {
                    let told = body.get("Credentials").unwrap_or(&body);
                    let keys = credentials.keys();
                    assert_eq!(told["AccessKeyId"], keys.id.as_str());
                    assert_eq!(told["AccessKeySecret"], keys.secret.expose().as_str());
                    let token = keys.token.as_ref().unwrap().expose();
                    assert_eq!(told["SecurityToken"], token.as_str());
                    assert!(!token.is_empty() && !keys.id.is_empty());
                }
                Err(failed) => check_errors(&(*failed.error).into(), &CLASSES),
            }
        }
    }
    // The login goes on after its caller.
    while Handle::current().metrics().num_alive_tasks() > 0 {
        sleep(Duration::from_secs(10)).await;
    }
}

fn login(operation: u8) -> Login {
    let policy = policy(Share::Pod);
    let (role, name) = (policy.role.unwrap(), "shop@web@web-1".to_owned());
    let (provider, lifetime) = (policy.oidc_provider.unwrap(), Duration::from_secs(3600));
    let token = Arc::new(Secret::new(CANARY.to_owned()));
    match operation {
        b'm' => Login::EcsRole,
        b'a' => {
            let base = KeyedLogin::new(Login::Keys(policy.keys.unwrap()));
            Login::Assume { base, role, name, lifetime }
        }
        _ => {
            let subject = "system:serviceaccount:shop:web".to_owned();
            Login::Oidc { role, provider, token, subject, shared: false, name, lifetime }
        }
    }
}

fn secret_ref(at: usize) -> SecretRef {
    let version_id = (at == VERSIONED.0).then(|| VERSIONED.1.to_owned());
    SecretRef { name: NAMES[at].to_owned(), version_id, stage: None }
}

fn parameter_ref(endpoints: &Endpoints) -> ParameterRef {
    ParameterRef { region: endpoints.region.clone(), name: NAMES[0].to_owned(), version: None }
}

fn check(failure: &Failure) {
    check_text(&format!("{failure:?}"));
    assert!(failure.label().len() < 64);
    check_errors(&Errors::from(failure.error("object 1 \"db\"", "")), &CLASSES);
}

fn is_secret(value: &SecretValue, told: &Value) -> bool {
    let data = told["SecretData"].as_str().unwrap_or_default();
    let bytes = match told["SecretDataType"].as_str() {
        Some("binary") => STANDARD.decode(data).ok(),
        _ => Some(data.as_bytes().to_vec()),
    };
    check_id(&value.request_id);
    bytes.as_ref() == Some(value.bytes.expose()) && told["VersionId"] == value.version.as_str()
}

/// Each is one that the answer has under its own name, and in its own version.
fn is_secrets(values: &[Option<SecretValue>], body: &Value) {
    assert_eq!(values.len(), NAMES.len());
    for (at, value) in values.iter().enumerate() {
        let Some(value) = value else { continue };
        assert!(at != VERSIONED.0 || value.version == VERSIONED.1);
        let mut told = body["SecretValues"].as_array().unwrap().iter();
        assert!(told.any(|told| told["SecretName"] == NAMES[at] && is_secret(value, told)));
    }
}

fn is_parameter(value: &SecretValue, told: &Value) -> bool {
    check_id(&value.request_id);
    let version = &told["ParameterVersion"];
    let version = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
    let same = version.parse::<u32>().is_ok_and(|version| version.to_string() == value.version);
    same && told["Value"].as_str().map(str::as_bytes) == Some(value.bytes.expose())
}

fn is_parameters(parts: &[Part], body: &Value) {
    assert_eq!(parts.len(), NAMES.len());
    for (name, part) in NAMES.iter().zip(parts) {
        match part {
            Part::Value(value) => {
                let mut told = body["Parameters"].as_array().unwrap().iter();
                assert!(told.any(|told| told["Name"] == *name && is_parameter(value, told)));
            }
            Part::Refused => {
                let mut refused = body["InvalidParameters"].as_array().unwrap().iter();
                assert!(refused.any(|refused| refused == name));
            }
            Part::Absent => {}
        }
    }
}

fn check_id(id: &str) {
    assert!(id.is_empty() || identifier(id).is_some(), "{id}");
}

/// The same answer each time.
#[derive(Debug)]
struct Script {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
    /// Instance metadata: the answers before the last one.
    before: Vec<Vec<u8>>,
}

impl Script {
    fn of(status: u8, rest: &[u8]) -> Option<Self> {
        let status = match status {
            b'2' => 200,
            b'3' => 302,
            b'4' => 400,
            b'1' => 401,
            b'f' => 403,
            b'n' => 404,
            b't' => 429,
            b'5' => 500,
            b's' => 503,
            other => 100 + u16::from(other),
        };
        let (head, body) = split(rest, b"\n\n").unwrap_or((&[], rest));
        let mut headers = HeaderMap::new();
        for line in head.split(|byte| *byte == b'\n') {
            let Some((name, value)) = split(line, b": ") else { continue };
            let name = HeaderName::from_bytes(name).ok()?;
            headers.insert(name, HeaderValue::from_bytes(&planted(value)).ok()?);
        }
        let (mut before, mut body) = (Vec::new(), body);
        while let Some((first, rest)) = split(body, b"\n--\n") {
            before.push(planted(first));
            body = rest;
        }
        Some(Self { status, headers, body: planted(body), before })
    }
}

fn split<'a>(bytes: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = bytes.windows(by.len()).position(|window| window == by)?;
    Some((&bytes[..at], &bytes[at + by.len()..]))
}

fn planted(bytes: &[u8]) -> Vec<u8> {
    match split(bytes, HERE.as_bytes()) {
        None => bytes.to_vec(),
        Some((before, after)) => [before, CANARY.as_bytes(), &planted(after)].concat(),
    }
}

impl Transport for Script {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        let before = |at: usize, usual: &'static str| {
            (200, self.before.get(at).cloned().unwrap_or_else(|| usual.into()))
        };
        let (status, body) = match request.uri().path() {
            "/latest/api/token" => before(0, "a token"),
            "/latest/meta-data/ram/security-credentials/" => before(1, "app"),
            _ => (self.status, self.body.clone()),
        };
        let headers = self.headers.clone();
        Box::pin(async move { Ok(Answer { status, headers, body: Secret::new(body) }) })
    }
}
