//! The provider's signer against another reader of the same rules, the emulator's: what is signed is
//! accepted, and nothing of it can be changed; and a real call says on the wire what it was asked.
//!
//! The first two octets of an input choose what is changed and where; lines follow: the key's secret,
//! its token, three parameters; then a body.

#![no_main]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use emulator::{
    ApiRequest,
    signature::{Acs3Claim, Signed},
};
use futures::{FutureExt, future::BoxFuture};
use fuzz::{check_errors, choices, endpoints};
use http_body_util::Full;
use hyper::{HeaderMap, Request, Uri, header::AUTHORIZATION};
use libfuzzer_sys::{Corpus, fuzz_target};
use provider::{
    cloud::{
        Cause, Cloud, Failure, ReadOptions,
        limiter::Priority,
        sign::{Unsigned, authorization, canonical_query, sha256_hex},
        trust::Clients,
    },
    endpoint::Service,
    error::{ErrorKind, Errors},
    http::{Answer, Broken, Transport},
    keys::Keys,
    login::Caller,
    secret::Secret,
    spc::source::kms::SecretRef,
    telemetry::Metrics,
};
use tokio::time::Instant;

const ID: &str = "STS.NUgYrLnoC37mZZCNnAbez";
const NAMES: [&str; 3] = ["SecretName", "VersionId", "VersionStage"];

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([part, place], rest)) = choices(input) else { return Corpus::Reject };
    let lines: Vec<&[u8]> = rest.splitn(6, |byte| *byte == b'\n').collect();
    let [secret, token, first, second, third, body] = lines[..] else { return Corpus::Reject };
    let text = |bytes| std::str::from_utf8(bytes).ok();
    let texts = [secret, token, first, second, third].map(text);
    let [Some(secret), Some(token), Some(first), Some(second), Some(third)] = texts else {
        return Corpus::Reject;
    };
    let values = [first, second, third].map(str::to_owned);
    changed(secret, token, &values, body, part, place.into());
    called(secret, token, &values);
    Corpus::Keep
});

/// One request, as it is signed and as it is checked.
#[derive(Clone, Debug)]
struct Sent {
    secret: Vec<u8>,
    method: String,
    path: String,
    values: [String; 3],
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    authorization: String,
}

fn changed(secret: &str, token: &str, values: &[String; 3], body: &[u8], part: u8, place: usize) {
    let visible = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if secret.is_empty() || !visible(secret) || token.is_empty() || !visible(token) {
        return;
    }
    let (content, headers) = (sha256_hex(body), |content: &str| {
        [
            ("content-type", "application/x-www-form-urlencoded"),
            ("host", "kms.cn-hangzhou.aliyuncs.com"),
            ("x-acs-action", "GetSecretValue"),
            ("x-acs-content-sha256", content),
            ("x-acs-date", "2026-11-23T00:00:00Z"),
            ("x-acs-security-token", token),
            ("x-acs-signature-nonce", "5f3e"),
            ("x-acs-version", "2016-01-20"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    });
    let mut sent = Sent {
        secret: secret.into(),
        method: "POST".to_owned(),
        path: "/".to_owned(),
        values: values.clone(),
        headers: headers(&content),
        body: body.to_vec(),
        authorization: String::new(),
    };
    sent.authorization = sent.signed();
    sent.verify().unwrap();
    let honest = format!("{sent:?}");
    match part % 8 {
        0 => sent.method = other(&sent.method, place),
        1 => sent.path.push('a'),
        2 => {
            let value = &mut sent.values[place % 3];
            *value = if value.is_ascii() { other(value, place) } else { String::new() };
        }
        3 => {
            let count = sent.headers.len();
            let (_, value) = &mut sent.headers[place % count];
            *value = other(value, place);
        }
        4 => match sent.body.len() {
            0 => sent.body.push(0),
            length => sent.body[place % length] ^= 1,
        },
        5 => {
            let length = sent.secret.len();
            sent.secret[place % length] ^= 1;
        }
        6 => {
            let (claim, signature) = sent.authorization.rsplit_once('=').unwrap();
            let at = place % signature.len();
            let digit = if &signature[at..=at] == "0" { "1" } else { "0" };
            let (before, after) = (&signature[..at], &signature[at + 1..]);
            sent.authorization = format!("{claim}={before}{digit}{after}");
        }
        _ => sent.headers.push(("x-acs-more".to_owned(), "1".to_owned())),
    }
    assert_ne!(format!("{sent:?}"), honest);
    assert!(sent.verify().is_err(), "{sent:?}");
}

/// One visible character of it is another.
fn other(text: &str, place: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    match bytes.len() {
        0 => bytes.push(b'a'),
        length => {
            let byte = &mut bytes[place % length];
            *byte = if *byte == b'a' { b'b' } else { b'a' };
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl Sent {
    fn query(&self) -> String {
        canonical_query(NAMES.into_iter().zip(self.values.iter().map(String::as_str)))
    }

    fn signed(&self) -> String {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let unsigned = Unsigned {
            method: &self.method,
            path: &self.path,
            query: &self.query(),
            headers: &headers,
            body_sha256: &sha256_hex(&self.body),
        };
        let secret = Secret::new(String::from_utf8(self.secret.clone()).unwrap());
        authorization(&Keys { id: ID.to_owned(), secret, token: None }, &unsigned)
    }

    fn verify(&self) -> Result<(), String> {
        let claim = Acs3Claim::parse(&self.authorization).map_err(|error| format!("{error:?}"))?;
        assert_eq!(claim.access_key_id, ID);
        let signed = Signed {
            method: &self.method,
            path: &self.path,
            raw_query: &self.query(),
            headers: &self.headers,
            body: &self.body,
        };
        let secret = std::str::from_utf8(&self.secret).unwrap();
        claim.verify(&signed, secret).map_err(|error| format!("{error:?}"))
    }
}

/// What goes out for a secret of that name, version and label.
fn called(secret: &str, token: &str, [name, version, stage]: &[String; 3]) {
    let wire = Arc::new(Wire::default());
    let cloud = Cloud::new(Clients::by(wire.clone()), Arc::new(Metrics::new()), 1, 1);
    let token = Some(Secret::new(token.to_owned()));
    let keys = Keys { id: ID.to_owned(), secret: Secret::new(secret.to_owned()), token };
    let endpoints = endpoints();
    let asked = SecretRef {
        name: name.clone(),
        version_id: Some(version.clone()),
        stage: Some(stage.clone()),
    };
    let options = ReadOptions {
        endpoint: &endpoints.of(Service::Kms, &endpoints.region),
        keys: &keys,
        caller: Caller { login: [0; 32], account: [0; 32] },
        priority: Priority::default(),
        deadline: Instant::now() + std::time::Duration::from_secs(60),
        on_error: &|_: &Failure| {},
        sent: &|| {},
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let failure = runtime.block_on(cloud.get_secret_value(&options, &asked)).err().unwrap();
    let classes = [ErrorKind::Invalid, ErrorKind::Internal];
    check_errors(&Errors::from(failure.error("object 1", "")), &classes);
    let Some((uri, headers)) = wire.0.lock().unwrap().take() else {
        assert_eq!(failure.cause, Cause::Unsendable);
        return;
    };
    assert_eq!(uri.authority().unwrap().as_str(), options.endpoint.host());
    let authorization = headers[AUTHORIZATION].to_str().unwrap();
    let of = |value: &hyper::header::HeaderValue| String::from_utf8(value.as_bytes().to_vec());
    let headers = headers.iter().map(|(name, value)| (name.to_string(), of(value).unwrap()));
    let query = uri.query().unwrap();
    let request = ApiRequest::new("POST", uri.path(), query, headers.collect(), Bytes::new());
    Acs3Claim::parse(authorization).unwrap().verify(&request.signed(), secret).unwrap();
    for (parameter, value) in NAMES.into_iter().zip([name, version, stage]) {
        assert_eq!(request.parameter(parameter), Some(value.as_str()));
    }
}

/// Keeps what was sent, and answers nobody.
#[derive(Debug, Default)]
struct Wire(Mutex<Option<(Uri, HeaderMap)>>);

impl Transport for Wire {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        let (head, _) = request.into_parts();
        *self.0.lock().unwrap() = Some((head.uri, head.headers));
        std::future::ready(Err(Broken::TooLarge)).boxed()
    }
}
