use super::{
    text::{Side, columns, notes},
    *,
};
use crate::{
    audit::analysis::coverage::{Coverage, Filter},
    records::Broken,
};

#[test]
fn columns_are_aligned_and_a_long_name_stands_by_itself() {
    let row = |name: &str, number: &str| vec![name.to_owned(), number.to_owned(), "end".to_owned()];
    let long = "a-name-of-more-than-28-characters";
    let heads = [("NAME", Side::Left), ("N", Side::Right), ("LAST", Side::Left)];
    let text = columns(2, &heads, &[row("é", "7"), row(long, "1000")]);
    let lines = [
        "  NAME     N  LAST",
        "  é        7  end",
        "  a-name-of-more-than-28-characters",
        "        1000  end",
    ];
    assert_eq!(text, lines.map(|line| format!("{line}\n")).concat());
    assert_eq!(columns(0, &heads, &[]), "NAME  N  LAST\n");
}

#[test]
fn json_says_what_is_wrong_with_the_record() {
    let mut coverage = Coverage::new(Filter::default());
    coverage.take("a.log", 3, Err(Broken::NoJson));
    let table = Table {
        name: "rows",
        columns: &["text", "number", "time", "list", "part"],
        rows: vec![vec![
            text("=1"),
            Cell::Number(u64::MAX),
            Cell::Time(None),
            Cell::List(vec!["a"]),
            Cell::Fraction(Some(1.0 / 3.0)),
        ]],
    };
    let mut out = Vec::new();
    json::write(&mut out, &coverage, serde_json::json!({ "asked": "x" }), &[table]).unwrap();
    let found: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(found["record"]["broken"][0]["line"], 3);
    assert_eq!(found["record"]["whole"], false);
    assert_eq!(found["asked"], "x");
    let row = serde_json::json!({
        "text": "=1", "number": u64::MAX, "time": null, "list": ["a"], "part": 0.3333,
    });
    assert_eq!(found["rows"], serde_json::json!([row]));
    assert!(notes(&coverage).starts_with("note: 1 line is not understood, and left out\n"));
}
