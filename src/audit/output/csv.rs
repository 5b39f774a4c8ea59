//! CSV after RFC 4180, which a spreadsheet reads as text and never as a formula.

use std::io::{self, Write};

use super::{Cell, Table, time};
use crate::text::shown;

/// What spreadsheets take for the start of a formula, also in their full-width forms.
const FORMULA: [char; 11] =
    ['=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}'];

pub(crate) fn write(out: &mut impl Write, table: &Table<'_>) -> io::Result<()> {
    line(out, table.columns.iter().map(|name| (*name).to_owned()))?;
    for row in &table.rows {
        line(out, row.iter().map(cell))?;
    }
    Ok(())
}

fn line(out: &mut impl Write, fields: impl Iterator<Item = String>) -> io::Result<()> {
    let fields: Vec<String> = fields.map(|text| field(&text)).collect();
    write!(out, "{}\r\n", fields.join(","))
}

fn cell(cell: &Cell<'_>) -> String {
    match cell {
        Cell::Text(text) => harmless(&shown(text)),
        Cell::List(texts) => harmless(&shown(&texts.join(" "))),
        Cell::Number(number) => number.to_string(),
        Cell::Time(at) => at.map(time).unwrap_or_default(),
        Cell::Fraction(fraction) => fraction.map(|of| format!("{of:.4}")).unwrap_or_default(),
    }
}

/// An apostrophe makes a spreadsheet show the rest as it is.
fn harmless(text: &str) -> String {
    match text.starts_with(FORMULA) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn field(text: &str) -> String {
    match text.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn written(texts: &[&str]) -> String {
        let row = texts.iter().map(|text| Cell::Text(Cow::Borrowed(*text))).collect();
        let table = Table { name: "one", columns: &["a", "b"], rows: vec![row] };
        let mut out = Vec::new();
        write(&mut out, &table).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_are_quoted_as_rfc_4180_has_it() {
        assert_eq!(written(&["x", "y z"]), "a,b\r\nx,y z\r\n");
        assert_eq!(written(&["a,b", "say \"no\""]), "a,b\r\n\"a,b\",\"say \"\"no\"\"\"\r\n");
        assert_eq!(written(&["", "a\nb"]), "a,b\r\n,a\\nb\r\n", "a line stays a line");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for start in ["=", "+", "-", "@", "\u{ff1d}", "\u{ff0b}", "\u{ff0d}", "\u{ff20}"] {
            let text = format!("{start}cmd");
            assert_eq!(written(&[&text, "x"]), format!("a,b\r\n'{text},x\r\n"));
        }
        assert_eq!(written(&["\t=1", "\r=1"]), "a,b\r\n\\t=1,\\r=1\r\n");
        assert_eq!(written(&["=\"a\",b", "a=b"]), "a,b\r\n\"'=\"\"a\"\",b\",a=b\r\n");
    }

    #[test]
    fn numbers_times_and_lists_are_written_as_they_are() {
        let row = vec![
            Cell::Number(7),
            Cell::Time(Some(1_700_000_000_000_001)),
            Cell::Time(None),
            Cell::List(vec!["v1", "v2"]),
            Cell::List(vec!["-v1"]),
            Cell::Fraction(Some(0.25)),
            Cell::Fraction(None),
        ];
        let table = Table { name: "one", columns: &["a"], rows: vec![row] };
        let mut out = Vec::new();
        write(&mut out, &table).unwrap();
        let told = "a\r\n7,2023-11-14T22:13:20.000001Z,,v1 v2,'-v1,0.2500,\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), told);
    }
}
