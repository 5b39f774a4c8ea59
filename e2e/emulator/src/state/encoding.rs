//! RFC 3986 percent-encoding, form decoding and hexadecimal.

use std::fmt::Write as _;

/// Name and value of one parameter, as bytes: clients may send anything.
pub type Pair = (Vec<u8>, Vec<u8>);

pub(crate) fn percent_encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Decodes `application/x-www-form-urlencoded`, the form official clients put into URLs too.
pub(crate) fn decode_form(text: &[u8]) -> Vec<Pair> {
    text.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = halves.next().unwrap_or_default();
            (decode(name), decode(halves.next().unwrap_or_default()))
        })
        .collect()
}

fn decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex_digit(*high), hex_digit(*low)) {
                (Some(high), Some(low)) => {
                    out.push(high << 4 | low);
                    rest = after;
                }
                _ => out.push(b'%'),
            },
            _ => out.push(first),
        }
    }
    out
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// Sorted and encoded as the signatures want it.
pub(crate) fn canonical_query(pairs: &[Pair], encode_names: bool) -> String {
    let mut sorted: Vec<&Pair> = pairs.iter().collect();
    sorted.sort();
    let encoded: Vec<String> = sorted
        .into_iter()
        .map(|(name, value)| {
            let name = if encode_names {
                percent_encode(name)
            } else {
                String::from_utf8_lossy(name).into_owned()
            };
            format!("{name}={}", percent_encode(value))
        })
        .collect();
    encoded.join("&")
}
