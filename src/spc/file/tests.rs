use super::*;

#[test]
fn paths_that_the_driver_refuses_are_refused() {
    let long = "x".repeat(256);
    let deep = format!("{}x", "a/".repeat(2100));
    for bad in [
        "",
        "/a",
        "..",
        "../a",
        "a/../b",
        "..data",
        "..foo",
        "./a",
        "a//b",
        "a/",
        "a/./b",
        ".",
        "a\0b",
        "a\nb",
        "a\u{200b}b",
        "a\u{202e}b",
        "a\u{2028}",
        "a\u{e000}",
        "a\u{10fffd}",
        "a\u{ffff}",
        &long,
        &deep,
    ] {
        assert!(RelPath::parse(bad).is_err(), "{bad}");
    }
    for good in ["a", "a/b", "a/..b", ".a", "a b", "é", "acs:kms:r:1:secret_x"] {
        assert_eq!(RelPath::parse(good).unwrap().as_str(), good);
    }
    let longest = format!("{}xx", "a/".repeat(2047));
    for good in [&"x".repeat(255), &longest] {
        RelPath::parse(good).unwrap();
    }
    assert_eq!(RelPath::parse(&format!("{longest}x")), Err("is longer than 4096 bytes"));
}

#[test]
fn modes_are_octal_text() {
    for (text, bits) in [("0400", 0o400), ("644", 0o644), ("0777", 0o777)] {
        let mode = FileMode::parse_octal(text).unwrap();
        assert_eq!((mode.bits(), mode.to_string()), (bits, format!("{bits:04o}")));
    }
    for bad in ["", "4", "0o400", "0888", "01777", "10000", "+400", "0000", "r--"] {
        assert_eq!(FileMode::parse_octal(bad), None, "{bad}");
    }
    assert_eq!(FileMode::from_bits(420).unwrap().bits(), 0o644);
    assert_eq!(FileMode::from_bits(0o1777), None);
}

#[test]
fn translation_follows_the_official_provider() {
    let apply = |t: Option<&str>, name: &str| {
        PathTranslation::parse(t).unwrap().apply(name).map(|p| p.as_str().to_owned())
    };
    assert_eq!(apply(None, "a/b").unwrap(), "a_b");
    assert_eq!(apply(Some(""), "/a/b").unwrap(), "_a_b");
    assert_eq!(apply(Some("-"), "a/b").unwrap(), "a-b");
    assert_eq!(apply(Some("fAlse"), "//a/b").unwrap(), "a/b");
    assert!(apply(Some("."), "//a").is_err());
    assert_eq!(apply(Some(" "), "a/b").unwrap(), "a b");
    assert_eq!(apply(Some("/"), "a/b").unwrap(), "a/b");
    assert_eq!(apply(Some("/"), "/a/b"), Err("is an absolute path"));
    for bad in ["ab", "é", "\t", "\u{7f}", "true"] {
        assert!(PathTranslation::parse(Some(bad)).is_err(), "{bad}");
    }
}

#[test]
fn colliding_files_are_named_with_their_owners() {
    let path = |text: &str| RelPath::parse(text).unwrap();
    let mut layout = Layout::default();
    assert!(layout.is_empty());
    layout.place(&path("a"), "objects[1]").unwrap();
    assert!(!layout.is_empty());
    layout.place(&path("a-b"), "objects[1]").unwrap();
    layout.place(&path("d/e"), "objects[2]").unwrap();
    assert!(layout.place(&path("a"), "x").unwrap_err().contains("objects[1]"));
    assert!(layout.place(&path("a/b"), "x").unwrap_err().contains("as a file"));
    assert!(layout.place(&path("d"), "x").unwrap_err().contains("as a directory"));
    layout.place(&path("d/f"), "objects[3]").unwrap();
    assert_eq!(layout.len(), 4);
}
