//! Identifiers and key material.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // aws-lc aborts rather than return weak randomness, so there is nothing to handle.
    let _ = rand::fill(&mut bytes);
    bytes
}

/// `XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX`, upper case as in real answers.
pub(crate) fn request_id() -> String {
    uuid().to_uppercase()
}

pub(crate) fn uuid() -> String {
    let hex = crate::state::encoding::hex(&bytes::<16>());
    let mut out = String::with_capacity(36);
    for (index, digit) in hex.chars().enumerate() {
        if [8, 12, 16, 20].contains(&index) {
            out.push('-');
        }
        out.push(digit);
    }
    out
}

pub(crate) fn access_key_id() -> String {
    format!("STS.N{}", alphanumeric(24))
}

pub(crate) fn access_key_secret() -> String {
    alphanumeric(44)
}

/// Long, and with the characters that break careless encoding.
pub(crate) fn security_token() -> String {
    format!("CAIS{}/+==", STANDARD.encode(bytes::<480>()))
}

pub(crate) fn alphanumeric(length: usize) -> String {
    let mut out = String::with_capacity(length);
    while out.len() < length {
        let chars = bytes::<64>().map(char::from);
        out.extend(chars.into_iter().filter(char::is_ascii_alphanumeric));
    }
    out.truncate(length);
    out
}
