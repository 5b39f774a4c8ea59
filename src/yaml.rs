//! YAML (and so JSON) into a plain tree, within a budget, and with errors that say where but never
//! what: a document that does not parse may be a secret.

use std::fmt;

use serde_json::Value;
use serde_saphyr::{Error, MergeKeyPolicy, Options};

/// Deep enough for any document that a person wrote.
const MAX_DEPTH: usize = 32;
const MAX_NODES: usize = 20_000;
const MAX_ALIASES: usize = 100;
const MAX_BYTES: usize = 1 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    reason: &'static str,
    line: u64,
    column: u64,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {}, column {})", self.reason, self.line, self.column)
    }
}

/// Numbers with a leading zero or underscores stay text: `0400` is a file mode, not 256 or 400.
pub fn parse(text: &str) -> Result<Value, Malformed> {
    serde_saphyr::from_str_with_options(text, options()).map_err(|error| {
        let mut cause = &error;
        while let Error::AliasError { error, .. } | Error::WithSnippet { error, .. } = cause {
            cause = error;
        }
        let reason = match cause {
            Error::Budget { .. }
            | Error::AliasExpansionLimitExceeded { .. }
            | Error::AliasReplayLimitExceeded { .. }
            | Error::AliasReplayStackDepthExceeded { .. }
            | Error::AliasReplayCounterOverflow { .. } => {
                "too large, too deeply nested, or too many aliases"
            }
            Error::DuplicateMappingKey { .. } => "the same key twice",
            Error::MergeKeyNotAllowed { .. } => "merge keys (<<) are not accepted",
            Error::MultipleDocuments { .. } => "more than one YAML document",
            _ => "not valid YAML",
        };
        let at = error.location();
        Malformed {
            reason,
            line: at.map_or(0, |at| at.line()),
            column: at.map_or(0, |at| at.column()),
        }
    })
}

fn options() -> Options {
    let mut options = Options::default();
    options.with_snippet = false;
    options.strict_booleans = true;
    options.leading_zero_numbers_as_strings = true;
    options.underscored_numbers_as_strings = true;
    options.merge_keys = MergeKeyPolicy::Error;
    if let Some(budget) = &mut options.budget {
        budget.max_reader_input_bytes = Some(MAX_BYTES);
        budget.max_depth = MAX_DEPTH;
        budget.flow_nesting_limit = MAX_DEPTH + 8;
        budget.max_nodes = MAX_NODES;
        budget.max_aliases = MAX_ALIASES;
        // One more than is accepted, so that the reader says what is wrong.
        budget.max_documents = 2;
        budget.max_total_scalar_bytes = MAX_BYTES;
    }
    options
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_keep_the_meaning_their_author_saw() {
        let tree = parse("a: 0400\nb: 1_000\nc: yes\nd: 3\ne: true\nf: 1.5\ng:\n").unwrap();
        assert_eq!(
            tree,
            json!({"a": "0400", "b": "1_000", "c": "yes", "d": 3, "e": true, "f": 1.5, "g": null})
        );
    }

    #[test]
    fn errors_say_where_and_never_what() {
        for (text, part) in [
            ("a: hunter2\na: hunter2", "the same key twice"),
            ("a: [hunter2", "not valid YAML"),
            ("a: &x {b: hunter2}\nc:\n  <<: *x", "merge keys"),
            ("a: hunter2\n---\nb: hunter2", "more than one"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn bombs_are_refused() {
        let laughs = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
            let aliases = vec![format!("*a{}", n - 1); 9].join(",");
            format!("{text}a{n}: &a{n} [{aliases}]\n")
        });
        let deep = format!("{}x", "- ".repeat(MAX_DEPTH + 1));
        let wide = "- x\n".repeat(MAX_NODES + 1);
        for bomb in [laughs, deep, wide] {
            let error = parse(&bomb).unwrap_err();
            assert!(error.to_string().starts_with("too large"), "{error}");
        }
        // The reader's own guard comes first.
        assert!(parse(&"[".repeat(2_000)).is_err());
    }
}
