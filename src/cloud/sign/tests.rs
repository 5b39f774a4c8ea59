use std::collections::BTreeMap;

use serde::Deserialize;

use super::*;
use crate::secret::Secret;

#[derive(Deserialize)]
struct File {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    inputs: Inputs,
    body_sha256: String,
    expected: Expected,
    expected_per_documentation: Option<Expected>,
}

#[derive(Deserialize)]
struct Inputs {
    access_key_id: String,
    access_key_secret: String,
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, serde_json::Value>,
    body_hex: String,
}

#[derive(Deserialize)]
struct Expected {
    canonical_request: Option<String>,
    authorization: String,
}

#[test]
fn the_digest_of_nothing_is_what_it_should_be() {
    assert_eq!(sha256_hex(b""), SHA256_OF_NOTHING);
}

/// 53 signatures that the official Python SDK's signer made.
#[test]
fn every_vector_of_the_official_signer_is_reproduced() {
    let file: File =
        serde_json::from_str(include_str!("../../../e2e/emulator/testdata/acs3-signature.json"))
            .unwrap();
    assert_eq!(file.vectors.len(), 53);
    for vector in file.vectors {
        let inputs = &vector.inputs;
        let body: Vec<u8> = (0..inputs.body_hex.len() / 2)
            .map(|n| {
                u8::from_str_radix(inputs.body_hex.get(2 * n..2 * n + 2).unwrap(), 16).unwrap()
            })
            .collect();
        assert_eq!(sha256_hex(&body), vector.body_sha256, "{}", vector.id);
        let query = canonical_query(inputs.query.iter().map(|(k, v)| (k.as_str(), v.as_str())));
        let headers: Vec<(String, String)> = inputs
            .headers
            .iter()
            .flat_map(|(name, value)| {
                let values: Vec<String> = match value {
                    serde_json::Value::Array(values) => {
                        values.iter().map(|v| v.as_str().unwrap().to_owned()).collect()
                    }
                    one => vec![one.as_str().unwrap().to_owned()],
                };
                values.into_iter().map(|value| (name.to_lowercase(), value))
            })
            .collect();
        let headers: Vec<(&str, &str)> =
            headers.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let path = if inputs.path.is_empty() { "/" } else { &inputs.path };
        let unsigned = Unsigned {
            method: &inputs.method,
            path,
            query: &query,
            headers: &headers,
            body_sha256: &vector.body_sha256,
        };
        let keys = Keys {
            id: inputs.access_key_id.clone(),
            secret: Secret::new(inputs.access_key_secret.clone()),
            token: None,
        };
        let expected = vector.expected_per_documentation.unwrap_or(vector.expected);
        if let Some(canonical) = expected.canonical_request {
            assert_eq!(canonical_request(&unsigned).0, canonical, "{}", vector.id);
        }
        assert_eq!(authorization(&keys, &unsigned), expected.authorization, "{}", vector.id);
    }
}

fn with_token() -> [(&'static str, &'static str); 3] {
    [("host", "kms.example"), ("x-acs-security-token", "planted-token"), ("accept", "x")]
}

/// The session's token is in it, and would be in what it grew out of.
#[test]
fn what_is_signed_has_room_for_all_of_it_from_the_start() {
    let headers = with_token();
    let (method, path, query, body_sha256) = ("POST", "/path", "a=b&c=d", SHA256_OF_NOTHING);
    let unsigned = Unsigned { method, path, query, headers: &headers, body_sha256 };
    let (canonical, names) = canonical_request(&unsigned);
    assert!(canonical.contains("\nx-acs-security-token:planted-token\n"), "{canonical}");
    assert_eq!(names, "host;x-acs-security-token");
    assert_eq!(canonical.capacity(), canonical.len() + 1, "all but the first have a \";\"");
}

#[test]
fn a_request_to_sign_shows_no_values_of_headers() {
    let headers = with_token();
    let (method, path, query, body_sha256) = ("POST", "/path", "", SHA256_OF_NOTHING);
    let shown = format!("{:?}", Unsigned { method, path, query, headers: &headers, body_sha256 });
    assert!(shown.contains("/path") && shown.contains("x-acs-security-token"), "{shown}");
    assert!(!shown.contains("planted"), "{shown}");
}
