//! Template: which of the Go templates of a Secret stand for one value as it is, and what the others use.

/// What a template comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Template<'a> {
    /// The value of this key, unchanged.
    Key(&'a str),
    /// The same text always.
    Fixed,
    /// What it uses, in words.
    Other(String),
}

pub(super) fn read(text: &str) -> Template<'_> {
    let Some((before, rest)) = text.split_once("{{") else { return Template::Fixed };
    let Some((action, after)) = rest.split_once("}}") else {
        return Template::Other("an action without its end".to_owned());
    };
    if before.is_empty() && after.is_empty() {
        let action = action.strip_prefix('-').unwrap_or(action);
        let action = action.strip_suffix('-').unwrap_or(action).trim();
        let mut parts = action.split('|').map(str::trim);
        let key = parts.next().and_then(|first| first.strip_prefix('.')).filter(|key| is_key(key));
        if let Some(key) = key
            && parts.all(|function| function == "toString")
        {
            return Template::Key(key);
        }
    }
    let functions = functions(text);
    Template::Other(match functions.as_slice() {
        [] => "text around values, or several values in one".to_owned(),
        names => format!("functions ({})", names.join(", ")),
    })
}

fn is_key(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    !text.is_empty() && text.bytes().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit())
}

/// Names of functions and keywords within its actions: a few, short, and never what is quoted.
fn functions(text: &str) -> Vec<String> {
    const MOST: usize = 8;
    let mut names: Vec<String> = Vec::new();
    for part in text.split("{{").skip(1) {
        let action = part.split("}}").next().unwrap_or_default();
        let unquoted = action.split(['"', '`']).step_by(2);
        for word in unquoted.flat_map(|piece| piece.split([' ', '\t', '\n', '|', '(', ')', ','])) {
            let first = word.starts_with(|c: char| c.is_ascii_alphabetic());
            if first && is_key(word) && word.len() <= 32 && !names.iter().any(|name| name == word) {
                names.push(word.to_owned());
            }
        }
    }
    names.truncate(MOST);
    names
}

/// A path of gjson that means the same as a JMESPath.
pub(super) fn property(text: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let number = text.bytes().all(|b| b.is_ascii_digit());
    if text.is_empty() || number || !text.bytes().all(plain) {
        return None;
    }
    Some(match is_key(text) {
        true => text.to_owned(),
        false => format!("\"{text}\""),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_of_one_value_is_its_key() {
        for text in ["{{ .a }}", "{{.a}}", "{{- .a -}}", "{{ .a | toString }}"] {
            assert_eq!(read(text), Template::Key("a"), "{text}");
        }
        assert_eq!(read("plain"), Template::Fixed);
        let told = |text| match read(text) {
            Template::Other(what) => what,
            other => panic!("{other:?}"),
        };
        assert_eq!(told("x{{ .a }}"), "text around values, or several values in one");
        assert_eq!(told("{{ .a | upper }}"), "functions (upper)");
        assert_eq!(told("{{ if eq .a \"secret word\" }}b{{ end }}"), "functions (if, eq, end)");
        assert_eq!(told("{{ .a"), "an action without its end");
        assert_eq!(told("{{ .a.b }}"), "text around values, or several values in one");
    }

    #[test]
    fn property_is_exact_where_it_is_one_key() {
        assert_eq!(property("user").as_deref(), Some("user"));
        assert_eq!(property("pass-word").as_deref(), Some("\"pass-word\""));
        for text in ["", "a.b", "0", "a#", "a|b", "*", "a\\.b", "é"] {
            assert_eq!(property(text), None, "{text}");
        }
    }
}
