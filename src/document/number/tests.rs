use super::*;

#[test]
fn numbers_are_what_json_writes() {
    for text in
        ["0", "-0", "12", "0.10", "100.00", "1e5", "1E+5", "-1.5e-7", "1234567890123456789012"]
    {
        assert!(is_number(text), "{text}");
    }
    for text in [
        "", "-", "+1", "01", "1.", ".5", "0x1", "1e", "1e+", "1_0", "inf", "1 ", "--1", "1.e5", "٣",
    ] {
        assert!(!is_number(text), "{text}");
    }
}

#[test]
fn comparison_is_exact() {
    let rising = [
        "-1e400",
        "-20",
        "-3",
        "-2.5",
        "-1e-400",
        "0",
        "1e-400",
        "0.1",
        "0.11",
        "1",
        "1.5",
        "2",
        "10",
        "89860012345678901234",
        "89860012345678901235",
        "1e400",
    ];
    for (i, a) in rising.iter().enumerate() {
        for (j, b) in rising.iter().enumerate() {
            assert_eq!(compare(a, b), Some(i.cmp(&j)), "{a} {b}");
        }
    }
    for (a, b) in [("1", "1.0"), ("100", "1e2"), ("0", "-0.00"), ("0.05", "5e-2"), ("0e9", "0")] {
        assert_eq!(compare(a, b), Some(Ordering::Equal), "{a} {b}");
    }
    assert_eq!(compare("1e99999999999999999999", "1"), None);
}

#[test]
fn results_are_exact_or_missing() {
    for (text, floor, ceil) in [
        ("1.10", "1", "2"),
        ("-1.10", "-2", "-1"),
        ("0.0001", "0", "1"),
        ("-1e-400", "-1", "0"),
        ("2.000", "2", "2"),
        ("0.0", "0", "0"),
        ("1e5", "100000", "100000"),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        ),
        ("1.00000000000000000001", "1", "2"),
    ] {
        assert_eq!(round(text, false).as_deref(), Some(floor), "{text}");
        assert_eq!(round(text, true).as_deref(), Some(ceil), "{text}");
    }
    assert_eq!(round("1e400", true), None);
    for (texts, expected) in [
        (&["0.1", "0.2"][..], Some("0.3")),
        (&["1", "2"], Some("3")),
        (&["1.50", "-1.5"], Some("0")),
        (&["-0.05"], Some("-0.05")),
        (&["9007199254740993", "1"], Some("9007199254740994")),
        (&["1e3", "1e-3"], Some("1000.001")),
        (&[], Some("0")),
        (&["1e40"], None),
    ] {
        assert_eq!(sum(texts.iter().copied()).as_deref(), expected, "{texts:?}");
    }
    for (texts, expected) in [
        (&["1", "2"][..], Some("1.5")),
        (&["1", "2", "3"], Some("2")),
        (&["1", "1", "2"], Some("1.3333333333333333")),
        (&["3.7", "0.5", "-7", "9.99", "-2.5", "0"], Some("0.7816666666666666")),
        (&["-1", "-1", "-2"], Some("-1.3333333333333333")),
        (&["2e20", "1", "1"], Some("66666666666666660000")),
        (&[], None),
    ] {
        assert_eq!(average(texts.iter().copied()).as_deref(), expected, "{texts:?}");
    }
}
