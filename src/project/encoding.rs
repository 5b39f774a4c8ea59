//! Encodings: base64 and hexadecimal as people's tools write them, wrapped or not. What could have
//! been cut short or is something else is refused with its place.

use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};

use crate::{secret::Secret, spc::objects::Encoding};

pub(super) fn decode(
    encoding: Encoding,
    stored: Secret<Vec<u8>>,
) -> Result<Secret<Vec<u8>>, String> {
    match encoding {
        Encoding::Utf8 => Ok(stored),
        Encoding::Base64 => base64(stored.expose())
            .map(Secret::new)
            .map_err(|what| format!("is not base64, as objectEncoding says: {what}")),
        Encoding::Hex => hex(stored.expose())
            .map(Secret::new)
            .map_err(|what| format!("is not hexadecimal, as objectEncoding says: {what}")),
    }
}

/// The bytes of all lines without the blanks around them, each with its line and column from 1.
fn bytes(text: &[u8]) -> impl Iterator<Item = (usize, usize, u8)> {
    text.split(|byte| *byte == b'\n').enumerate().flat_map(|(line, text)| {
        let indent = text.len() - text.trim_ascii_start().len();
        let inside = text.trim_ascii().iter().enumerate();
        inside.map(move |(column, byte)| (line + 1, indent + column + 1, *byte))
    })
}

fn strange(line: usize, column: usize) -> String {
    format!("a character that it does not have (line {line}, column {column})")
}

/// Of either alphabet, with or without padding: each text has one meaning.
fn base64(text: &[u8]) -> Result<Vec<u8>, String> {
    if text.trim_ascii_start().starts_with(b"-----BEGIN") {
        return Err("it is PEM; leave objectEncoding out".to_owned());
    }
    let (mut digits, mut padding) = (Vec::with_capacity(text.len()), 0);
    let (mut standard, mut url) = (false, false);
    for (line, column, byte) in bytes(text) {
        match byte {
            b'=' => {
                padding += 1;
                continue;
            }
            _ if padding > 0 => {
                return Err(format!("there is more after its end (line {line}, column {column})"));
            }
            b'+' | b'/' => standard = true,
            b'-' | b'_' => url = true,
            byte if byte.is_ascii_alphanumeric() => {}
            _ => return Err(strange(line, column)),
        }
        digits.push(match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => byte,
        });
    }
    if standard && url {
        return Err("it mixes the characters + / and - _ of two alphabets".to_owned());
    }
    if padding > 2 || padding > 0 && (digits.len() + padding) % 4 != 0 {
        return Err("its padding (=) does not fit its length".to_owned());
    }
    STANDARD_NO_PAD.decode(digits).map_err(|_| "it is cut short".to_owned())
}

fn hex(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut decoded = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for (line, column, byte) in bytes(text) {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let digit = digit.ok_or_else(|| strange(line, column))?;
        high = match high {
            None => Some(digit),
            Some(high) => {
                decoded.push(high << 4 | digit);
                None
            }
        };
    }
    match high {
        None => Ok(decoded),
        Some(_) => Err("it has an odd number of digits".to_owned()),
    }
}

#[cfg(test)]
mod tests;
