//! Documents of a text, by its lines alone, so that one that is broken hides no other; and the kind of each
//! at first sight, so that what is of no interest is not read.

/// A document as it is in the text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// The line on which `text` starts, counted from 1.
    pub(super) line: u32,
    pub(super) text: &'a str,
}

/// `---` at a line's start, which nothing within a document can have, begins the next. What follows on
/// that line belongs to it.
pub(super) fn documents(text: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = Some(Part { line: 1, text });
    std::iter::from_fn(move || {
        let Part { line, text } = rest.take()?;
        // What begins with a marker is after it.
        let own = usize::from(is_marker(text)) * MARKER.len();
        let mut number = line;
        let mut at = own;
        while let Some(end) = text.get(at..)?.find(['\n', '\r']) {
            let after = at + end;
            let length = if text.get(after..)?.starts_with("\r\n") { 2 } else { 1 };
            at = after + length;
            number = number.saturating_add(1);
            if is_marker(text.get(at..)?) {
                rest = Some(Part { line: number, text: text.get(at..)? });
                return Some(Part { line, text: text.get(..at)? });
            }
        }
        Some(Part { line, text })
    })
    .filter(|part| !part.text.is_empty())
}

const MARKER: &str = "---";

fn is_marker(text: &str) -> bool {
    let after = text.strip_prefix(MARKER);
    after.is_some_and(|after| after.is_empty() || after.starts_with([' ', '\t', '\n', '\r']))
}

/// The kind that a document says at the start of a line, as block mappings have it. `None` where that is
/// not certain: no such line, or more than one.
pub(super) fn kind(text: &str) -> Option<&str> {
    let mut kinds = text.split(['\n', '\r']).filter_map(|line| line.strip_prefix("kind:"));
    let kind = kinds.next()?;
    if kinds.next().is_some() {
        return None;
    }
    let kind = kind.split(" #").next().unwrap_or_default().trim();
    let name = kind.trim_matches(['"', '\'']);
    let plain = |b: u8| b.is_ascii_alphanumeric();
    (!name.is_empty() && name.bytes().all(plain)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(u32, &str)> {
        documents(text).map(|part| (part.line, part.text)).collect()
    }

    #[test]
    fn documents_are_told_apart_by_markers_at_the_start_of_a_line() {
        assert_eq!(parts("a: 1\n---\nb: 2\n"), [(1, "a: 1\n"), (2, "---\nb: 2\n")]);
        assert_eq!(parts("--- # x\na: 1\n---\n"), [(1, "--- # x\na: 1\n"), (3, "---\n")]);
        assert_eq!(parts("a: |\n  ---\n  b\n"), [(1, "a: |\n  ---\n  b\n")]);
        assert_eq!(parts("a\r\n---\r\nb\r---\rc").len(), 3);
        assert_eq!(parts("a\r\n---\r\nb\r---\rc")[2].0, 4);
        assert_eq!(parts("----\n---a\n"), [(1, "----\n---a\n")]);
        assert!(parts("").is_empty());
    }

    #[test]
    fn kind_is_certain_where_one_line_says_it() {
        assert_eq!(kind("apiVersion: v1\nkind: Secret # x\ndata:\n  kind: a"), Some("Secret"));
        assert_eq!(kind("kind: \"Secret\"\r\n"), Some("Secret"));
        for uncertain in ["kind: a\nkind: b", "{kind: Secret}", "kind:\n  a", "kind: {{ .x }}", ""]
        {
            assert_eq!(kind(uncertain), None, "{uncertain}");
        }
    }
}
