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
mod tests;
