//! A SecretSync of secrets-store-sync-controller as it is written.

use super::value::{At, Text};
use crate::yaml::Position;

#[derive(Debug)]
pub struct SecretSync {
    pub class: Option<Text>,
    pub service_account: Option<Text>,
    pub secret_type: Option<Text>,
    pub data: Vec<Entry>,
}

#[derive(Debug)]
pub struct Entry {
    pub at: Position,
    /// The file.
    pub source: Option<Text>,
    /// The key in the Secret.
    pub key: Option<Text>,
}

impl SecretSync {
    pub(super) fn of(at: At<'_>) -> Self {
        let spec = at.get("spec");
        let text = |key: &str| spec.and_then(|spec| spec.text(key));
        let object = spec.and_then(|spec| spec.get("secretObject"));
        let data = object.into_iter().flat_map(|object| object.list("data"));
        let entry = |at: At<'_>| Entry {
            at: at.position(),
            source: at.text("sourcePath"),
            key: at.text("targetKey"),
        };
        Self {
            class: text("secretProviderClassName"),
            service_account: text("serviceAccountName"),
            secret_type: object.and_then(|object| object.text("type")),
            data: data.map(entry).collect(),
        }
    }
}

/// The pattern of the SecretSync's API:
/// `^[A-Za-z0-9.]([-A-Za-z0-9]+([-._a-zA-Z0-9]?[A-Za-z0-9])*)?(/[0-9]+)*$`
pub fn is_source_path(text: &str) -> bool {
    let (name, numbers) = text.split_at(text.find('/').unwrap_or(text.len()));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let numbered = numbers.is_empty() || numbers.split('/').skip(1).all(digits);
    let plain = |b: &u8| b.is_ascii_alphanumeric();
    let Some((first, rest)) = name.as_bytes().split_first() else { return false };
    if !numbered || !(plain(first) || *first == b'.') {
        return false;
    }
    let run = rest.iter().take_while(|b| plain(b) || **b == b'-').count();
    let (run, mut rest) = rest.split_at(run);
    if run.is_empty() {
        return rest.is_empty();
    }
    loop {
        rest = match rest {
            [] => return true,
            [b, rest @ ..] if plain(b) => rest,
            [b'-' | b'.' | b'_', b, rest @ ..] if plain(b) => rest,
            _ => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tried with the pattern itself, in the controller.
    #[test]
    fn source_paths_are_those_of_the_controllers_pattern() {
        for accepted in
            ["a", "ab", "a-", "ab_c", "ab.c-d", ".ab", "db-password", "tls/0", "ab/1/22"]
        {
            assert!(is_source_path(accepted), "{accepted}");
        }
        for refused in [
            "",
            "a_b",
            "x.y",
            "a.b.c",
            "A_B_C",
            "user_",
            "db/password",
            "a/",
            "-a",
            "ab__c",
            "ab.",
            "a b",
        ] {
            assert!(!is_source_path(refused), "{refused}");
        }
    }
}
