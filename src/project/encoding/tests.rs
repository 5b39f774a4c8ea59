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
