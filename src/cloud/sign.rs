//! The V3 request signature, ACS3-HMAC-SHA256: pure, so that the recorded vectors can hold it to
//! the official signer byte for byte.

use std::fmt::{self, Write as _};

use aws_lc_rs::{digest, hmac};

use crate::keys::Keys;

/// The parts of one attempt that the signature covers.
pub struct Unsigned<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// As `canonical_query` returned it; goes on the wire byte for byte.
    pub query: &'a str,
    /// Lower-case names.
    pub headers: &'a [(&'a str, &'a str)],
    pub body_sha256: &'a str,
}

/// Without the headers' values: the session token is one of them.
impl fmt::Debug for Unsigned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Unsigned")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

pub const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// The value of the `Authorization` header.
pub fn authorization(keys: &Keys, unsigned: &Unsigned<'_>) -> String {
    let (canonical, signed_headers) = canonical_request(unsigned);
    let to_sign = [ALGORITHM, "\n", &sha256_hex(canonical.as_bytes())].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, keys.secret.expose().as_bytes());
    let signature = hex(hmac::sign(&key, to_sign.as_bytes()).as_ref());
    let signed = [" Credential=", &keys.id, ",SignedHeaders=", &signed_headers];
    [ALGORITHM, &signed.concat(), ",Signature=", &signature].concat()
}

/// Sorted by name, RFC 3986 percent-encoded.
pub fn canonical_query<'a>(parameters: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut sorted: Vec<_> = parameters.into_iter().collect();
    sorted.sort_unstable();
    let length = sorted.iter().map(|(name, value)| name.len() + value.len() + 2).sum();
    let mut query = String::with_capacity(length);
    for (name, value) in sorted {
        if !query.is_empty() {
            query.push('&');
        }
        percent_encode(&mut query, name);
        query.push('=');
        percent_encode(&mut query, value);
    }
    query
}

/// The same encoding for a form body, written into a buffer that can be wiped.
pub fn percent_encode(out: &mut String, text: &str) {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    if text.bytes().all(plain) {
        return out.push_str(text);
    }
    for byte in text.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

pub const SHA256_OF_NOTHING: &str =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// Canonical request and the list of signed header names. Only the documented headers are signed,
/// so that a proxy that rewrites another cannot break the signature.
fn canonical_request(unsigned: &Unsigned<'_>) -> (String, String) {
    let signed = |name: &str| name.starts_with("x-acs-") || matches!(name, "host" | "content-type");
    let mut headers: Vec<(&str, &str)> = unsigned.headers.to_vec();
    headers.retain(|(name, _)| signed(name));
    headers.iter_mut().for_each(|(_, value)| *value = value.trim());
    headers.sort_unstable();
    let Unsigned { method, path, query, body_sha256, .. } = unsigned;
    let length: usize = headers.iter().map(|(name, value)| 2 * name.len() + value.len() + 3).sum();
    let length = length + method.len() + path.len() + query.len() + body_sha256.len() + 5;
    let mut canonical = String::with_capacity(length);
    for line in [method, path, query] {
        canonical.push_str(line);
        canonical.push('\n');
    }
    let mut names = String::new();
    for same in headers.chunk_by(|(name, _), (next, _)| name == next) {
        for (place, (name, value)) in same.iter().enumerate() {
            if place == 0 {
                names.push_str(if names.is_empty() { "" } else { ";" });
                names.push_str(name);
                canonical.push_str(name);
            }
            canonical.push(if place == 0 { ':' } else { ',' });
            canonical.push_str(value);
        }
        canonical.push('\n');
    }
    for line in ["\n", &names, "\n", body_sha256] {
        canonical.push_str(line);
    }
    (canonical, names)
}

pub fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
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
            serde_json::from_str(include_str!("../../e2e/emulator/testdata/acs3-signature.json"))
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
        let shown =
            format!("{:?}", Unsigned { method, path, query, headers: &headers, body_sha256 });
        assert!(shown.contains("/path") && shown.contains("x-acs-security-token"), "{shown}");
        assert!(!shown.contains("planted"), "{shown}");
    }
}
