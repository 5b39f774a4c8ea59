//! Token: how far what a finding is about reaches on its line.

use crate::{
    check::finding::Place,
    manifests::{File, source::Source},
    text::cut,
    yaml::Position,
};

/// Longer keys and values are cut.
const LONGEST: usize = 400;

/// The bytes of a line from a place to the end of the key or value there.
pub(super) fn span(source: &Source, at: Position) -> (usize, usize) {
    span_from(source.line(at.line), source.within_line(at))
}

fn span_from(line: &str, start: usize) -> (usize, usize) {
    let rest = cut(line.get(start..).unwrap_or_default(), LONGEST);
    let in_brackets = line.get(..start).is_some_and(|before| before.contains(['{', '[']));
    let length = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => {
            let inner = rest.get(1..).unwrap_or_default();
            let mut escaped = false;
            let end = inner.char_indices().find(|(_, c)| {
                let ends = *c == quote && !escaped;
                escaped = quote == '"' && *c == '\\' && !escaped;
                ends
            });
            end.map_or(rest.trim_end().len(), |(end, _)| end + 2)
        }
        Some(' ' | '\t') => 1,
        _ => {
            let comment = rest.find(" #").unwrap_or(rest.len());
            let key =
                rest.find(": ").or(rest.strip_suffix(':').map(str::len)).unwrap_or(rest.len());
            // The next line of a text in quotes.
            let line_break = rest.find("\\n").unwrap_or(rest.len());
            let bracket = rest.find([',', ']', '}']).filter(|_| in_brackets).unwrap_or(rest.len());
            let end = comment.min(key).min(bracket).min(line_break);
            rest.get(..end).unwrap_or_default().trim_end().len()
        }
    };
    let one = rest.chars().next().map_or(0, char::len_utf8);
    (start, start + length.max(one))
}

/// Line, column and the column behind the end, counted from 1 in characters.
pub(super) fn columns(place: &Place, files: &[File]) -> (u32, u32, u32) {
    let length = files.get(place.file).map_or(0, |file| {
        let (start, end) = span(&file.source, place.at);
        let token = file.source.line(place.at.line).get(start..end);
        token.map_or(0, |token| token.chars().count())
    });
    let length = u32::try_from(length.max(1)).unwrap_or(u32::MAX);
    (place.at.line, place.at.column, place.at.column.saturating_add(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(line: &str, column: usize) -> &str {
        let start = line.char_indices().nth(column - 1).unwrap().0;
        let (start, end) = span_from(line, start);
        line.get(start..end).unwrap()
    }

    #[test]
    fn span_reaches_to_the_end_of_a_key_or_value() {
        assert_eq!(token("  - objectName: a/b # x", 5), "objectName");
        assert_eq!(token("  - objectName: a/b # x", 17), "a/b");
        assert_eq!(token("a: 'x: y' # z", 4), "'x: y'");
        assert_eq!(token(r#"a: "x\" y" z"#, 4), r#""x\" y""#);
        assert_eq!(token("{a: b, c: d}", 5), "b");
        assert_eq!(token("é: ü  ", 4), "ü");
        assert_eq!(token("a:", 1), "a");
        assert_eq!((span_from("ab", 2), span_from("", 0)), ((2, 2), (0, 0)));
    }
}
