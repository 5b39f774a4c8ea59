//! The vectors of the official signer, each accepted and each refused with one byte changed.

use emulator::signature::{Acs3Claim, Signed};
use emulator::{ApiRequest, Service};
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../testdata/acs3-signature.json")).unwrap()
}

struct Wire {
    method: String,
    path: String,
    query: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Wire {
    fn of(vector: &Value) -> Self {
        let inputs = &vector["inputs"];
        let text = |name: &str| inputs[name].as_str().unwrap().to_owned();
        let hex = text("body_hex");
        let digits: Vec<char> = hex.chars().collect();
        let body = digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(&String::from_iter(pair), 16).unwrap())
            .collect();
        // As the wire has them: no client sends a space or a bracket bare.
        let query = vector["wire_query_canonical"].as_str().unwrap();
        let query = query.replace(' ', "%20").replace('[', "%5B").replace(']', "%5D");
        let mut headers = Vec::new();
        for (name, value) in inputs["headers"].as_object().unwrap() {
            match value {
                Value::Array(values) => headers.extend(
                    values.iter().map(|value| (name.clone(), value.as_str().unwrap().to_owned())),
                ),
                value => headers.push((name.clone(), value.as_str().unwrap().to_owned())),
            }
        }
        Self { method: text("method"), path: text("path"), query, headers, body }
    }

    fn verify(&self, authorization: &str, secret: &str) -> Result<(), String> {
        let signed = Signed {
            method: &self.method,
            path: &self.path,
            raw_query: &self.query,
            headers: &self.headers,
            body: &self.body,
        };
        let claim = Acs3Claim::parse(authorization).map_err(|error| error.code)?;
        claim.verify(&signed, secret).map_err(|error| error.code)
    }
}

fn authorizations(vector: &Value) -> Vec<&str> {
    // Where a vector has headers outside the documented set, the official clients' signature
    // covers them too; both forms have to be taken.
    ["expected", "expected_python_sdk_all_headers", "expected_per_documentation"]
        .iter()
        .filter_map(|name| vector[name]["authorization"].as_str())
        .chain(vector["wire"]["authorization_as_sent_by_python_sdk"].as_str())
        .collect()
}

#[test]
fn every_vector_is_accepted() {
    let vectors = vectors();
    let vectors = vectors["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 53);
    let mut signatures = 0;
    for vector in vectors {
        let wire = Wire::of(vector);
        let secret = vector["inputs"]["access_key_secret"].as_str().unwrap();
        for authorization in authorizations(vector) {
            assert_eq!(wire.verify(authorization, secret), Ok(()), "{}", vector["id"]);
            signatures += 1;
        }
    }
    assert!(signatures > 53, "{signatures}");
}

#[test]
fn the_urls_of_the_official_clients_are_accepted() {
    let vectors = vectors();
    let mut seen = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let Some(url) = vector["wire"]["url_as_sent_by_python_sdk"].as_str() else { continue };
        let mut wire = Wire::of(vector);
        wire.query = url.split_once('?').map_or("", |(_, query)| query).to_owned();
        let secret = vector["inputs"]["access_key_secret"].as_str().unwrap();
        let authorization = vector["wire"]["authorization_as_sent_by_python_sdk"].as_str().unwrap();
        assert_eq!(wire.verify(authorization, secret), Ok(()), "{}", vector["id"]);
        seen += 1;
    }
    assert_eq!(seen, 11);
}

#[test]
fn one_changed_byte_is_refused() {
    let refused = Err("SignatureDoesNotMatch".to_owned());
    for vector in vectors()["vectors"].as_array().unwrap() {
        let id = &vector["id"];
        let secret = vector["inputs"]["access_key_secret"].as_str().unwrap();
        let authorization = vector["expected"]["authorization"].as_str().unwrap();
        let signed = vector["expected"]["signed_headers"].as_str().unwrap();

        for at in 0..Wire::of(vector).headers.len() {
            let mut wire = Wire::of(vector);
            let (name, value) = &mut wire.headers[at];
            if !signed.split(';').any(|signed| signed.eq_ignore_ascii_case(name)) {
                continue;
            }
            let mut characters: Vec<char> = value.trim().chars().collect();
            characters[0] = if characters[0] == '0' { '1' } else { '0' };
            *value = String::from_iter(characters);
            assert_eq!(wire.verify(authorization, secret), refused, "{id} {}", wire.headers[at].0);
        }

        let mut wire = Wire::of(vector);
        wire.query.push_str("&Extra=");
        assert_eq!(wire.verify(authorization, secret), refused, "{id} query");

        let mut wire = Wire::of(vector);
        wire.body.push(b'x');
        assert_eq!(wire.verify(authorization, secret), refused, "{id} body");

        let mut wire = Wire::of(vector);
        wire.method = "DELETE".to_owned();
        assert_eq!(wire.verify(authorization, secret), refused, "{id} method");

        let mut wire = Wire::of(vector);
        wire.path = "/other".to_owned();
        assert_eq!(wire.verify(authorization, secret), refused, "{id} path");

        let wire = Wire::of(vector);
        let (start, last) = authorization.split_at(authorization.len() - 1);
        let flipped = format!("{start}{}", if last == "0" { "1" } else { "0" });
        assert_eq!(wire.verify(&flipped, secret), refused, "{id} signature");
        assert_eq!(wire.verify(authorization, &format!("{secret}x")), refused, "{id} secret");
    }
}

#[test]
fn mandatory_headers_have_to_be_signed() {
    let vectors = vectors();
    let vector = &vectors["vectors"][1];
    let secret = vector["inputs"]["access_key_secret"].as_str().unwrap();
    let authorization = vector["expected"]["authorization"].as_str().unwrap();
    let incomplete = Err("IncompleteSignature".to_owned());
    for at in 0..Wire::of(vector).headers.len() {
        let mut wire = Wire::of(vector);
        let (name, _) = wire.headers.remove(at);
        assert_eq!(wire.verify(authorization, secret), incomplete, "without {name}");
        let unsigned =
            authorization.replace(&format!("{name};"), "").replace(&format!(";{name}"), "");
        assert_eq!(Wire::of(vector).verify(&unsigned, secret), incomplete, "unsigned {name}");
    }
    for extra in ["x-acs-security-token", "x-acs-anything", "content-type"] {
        let mut wire = Wire::of(vector);
        wire.headers.push((extra.to_owned(), "value".to_owned()));
        assert_eq!(wire.verify(authorization, secret), incomplete, "{extra}");
    }
    for malformed in ["ACS3-HMAC-SHA256", "ACS3-HMAC-SHA256 Credential=a", "ACS3-HMAC-SHA256 x"] {
        assert_eq!(Wire::of(vector).verify(malformed, secret), incomplete, "{malformed}");
    }
}

#[test]
fn the_anonymous_example_is_recognised() {
    let vectors = vectors();
    let example = &vectors["anonymous_example"];
    let url = example["url"].as_str().unwrap();
    let headers = example["headers"].as_object().unwrap().iter();
    let headers = headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let query = url.split_once('?').unwrap().1;
    let request = ApiRequest::new("POST", "/", query, headers.collect(), Default::default());
    assert_eq!(request.service(), Some(Service::Sts));
    assert_eq!(request.action(), Some("AssumeRoleWithOIDC"));
    for (name, value) in example["query"].as_object().unwrap() {
        assert_eq!(request.parameter(name), value.as_str(), "{name}");
    }
}
