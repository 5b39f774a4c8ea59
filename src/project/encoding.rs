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
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, stored: &[u8]) -> Result<Vec<u8>, String> {
        decode(encoding, Secret::new(stored.to_vec())).map(|bytes| bytes.expose().clone())
    }

    #[test]
    fn encodings() {
        for (encoding, stored, expected) in [
            (Encoding::Utf8, &b" a\n"[..], Some(&b" a\n"[..])),
            (Encoding::Base64, b"AAH/\n", Some(&[0, 1, 255])),
            (Encoding::Base64, b"AAH", None),
            (Encoding::Base64, b"", Some(b"")),
            (Encoding::Hex, b"00fF\n", Some(&[0, 255])),
            (Encoding::Hex, b"", Some(b"")),
            (Encoding::Hex, b"0", None),
            (Encoding::Hex, b"0g", None),
        ] {
            assert_eq!(decoded(encoding, stored).ok().as_deref(), expected);
        }
    }

    #[test]
    fn wrapped_texts_are_decoded() {
        for text in ["QUJD\r\nREVG\r\n", "QUJD\nREVG", "  QUJD\n\tREVG  \n\n", "Q\nUJ\nDREVG\n"] {
            assert_eq!(decoded(Encoding::Base64, text.as_bytes()).as_deref(), Ok(&b"ABCDEF"[..]));
        }
        for text in ["414243\r\n444546\r\n", "4142434\n44546", " 414243444546\n"] {
            assert_eq!(decoded(Encoding::Hex, text.as_bytes()).as_deref(), Ok(&b"ABCDEF"[..]));
        }
    }

    #[test]
    fn alphabets_and_padding() {
        for text in ["-_8=", "-_8", "+/8=", "+/8", "+/8=\n", "+/8\n=\n"] {
            assert_eq!(decoded(Encoding::Base64, text.as_bytes()).as_deref(), Ok(&[251, 255][..]));
        }
    }

    #[test]
    fn errors_say_where_and_never_what() {
        for (encoding, text, part) in [
            (Encoding::Base64, "QUJD\nRE#G\n", "(line 2, column 3)"),
            (Encoding::Base64, "QUJD REVG", "(line 1, column 5)"),
            (Encoding::Base64, "QUI=\nREVG", "more after its end (line 2, column 1)"),
            (Encoding::Base64, "QUI==", "padding"),
            (Encoding::Base64, "QUJD=", "padding"),
            (Encoding::Base64, "Q", "cut short"),
            (Encoding::Base64, "QUJ", "cut short"),
            (Encoding::Base64, "+-AA", "two alphabets"),
            (Encoding::Base64, "-----BEGIN KEY-----\nQUJD\n", "it is PEM"),
            (Encoding::Base64, "QUJDé", "(line 1, column 5)"),
            (Encoding::Hex, "0x4142", "(line 1, column 2)"),
            (Encoding::Hex, "41\n 4g", "(line 2, column 3)"),
            (Encoding::Hex, "414", "odd number"),
            (Encoding::Hex, "41:42", "(line 1, column 3)"),
        ] {
            let error = decoded(encoding, text.as_bytes()).unwrap_err();
            assert!(error.contains(part) && !error.contains("QU"), "{text:?}: {error}");
        }
    }
}
