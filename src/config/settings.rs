//! Reads one setting at a time, from wherever it is given, and remembers what was wrong with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::flag::{self, Flags};
use crate::http;

pub(super) struct Settings<'a> {
    flags: &'a Flags,
    pub(super) environment: &'a [(String, String)],
    mistakes: Vec<String>,
    warnings: Vec<String>,
    /// The variables that were asked for, whether they are set or not.
    pub(super) known: BTreeSet<String>,
    /// What was given for each flag that was asked for, and where.
    pub(super) resolved: BTreeMap<String, (String, String)>,
    /// In place of the usual ones.
    pub(super) defaults: &'static [(&'static str, &'static str)],
}

/// A setting as it is given, with what its giver calls it.
struct Given {
    name: String,
    text: String,
}

impl<'a> Settings<'a> {
    pub(super) fn new(flags: &'a Flags, environment: &'a [(String, String)]) -> Self {
        let (mistakes, warnings, known, resolved) = Default::default();
        Self { flags, environment, mistakes, warnings, known, resolved, defaults: &[] }
    }

    pub(super) fn mistakes(self) -> Vec<String> {
        self.mistakes
    }

    pub(super) fn count_mistakes(&self) -> usize {
        self.mistakes.len()
    }

    pub(super) fn wrong(&mut self, mistake: impl Into<String>) {
        self.mistakes.push(mistake.into());
    }

    /// Something that keeps nobody from being served, and is hardly what the operator wants.
    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }

    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    pub(super) fn is_given(&mut self, flag: &str) -> bool {
        self.text(flag, &[]).is_some()
    }

    pub(super) fn text(&mut self, flag: &str, official: &[&str]) -> Option<String> {
        self.given(flag, official).map(|given| given.text)
    }

    /// The setting as a mistake names it, with what it is set to, or else with its default.
    pub(super) fn with_value(&mut self, flag: &str, default: &str) -> String {
        match self.given(flag, &[]) {
            Some(Given { name, text }) => match name.strip_suffix(')') {
                Some(name) => format!("{name}, {text})"),
                None => format!("{name} ({text})"),
            },
            None => format!("--{flag} ({default})"),
        }
    }

    /// The first of these variables that is set; those that are must agree.
    pub(super) fn env(&mut self, names: &[&str]) -> Option<String> {
        self.variable(names).map(|given| given.text)
    }

    /// A variable of the official clients that turns something on or off.
    pub(super) fn env_bool(&mut self, name: &str) -> Option<bool> {
        let text = self.env(&[name])?;
        let parsed = boolean(&text);
        if parsed.is_none() {
            self.wrong(format!("{name} must be true or false"));
        }
        parsed
    }

    pub(super) fn parsed<T>(
        &mut self,
        flag: &str,
        official: &[&str],
        parse: impl Fn(&str) -> Option<T>,
        form: &str,
    ) -> Option<T> {
        let Given { name, text } = self.given(flag, official)?;
        let parsed = parse(&text);
        if parsed.is_none() {
            self.wrong(format!("{name} must be {form}"));
        }
        parsed
    }

    /// As `parsed`, where the parser says what is wrong.
    pub(super) fn checked<T>(
        &mut self,
        flag: &str,
        official: &[&str],
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let Given { name, text } = self.given(flag, official)?;
        check(&text).map_err(|what| self.wrong(format!("{name}: {what}"))).ok()
    }

    pub(super) fn list<T>(
        &mut self,
        flag: &str,
        parse: impl Fn(&str) -> Option<T>,
        form: &str,
    ) -> Vec<T> {
        let Some(Given { name, text }) = self.given(flag, &[]) else { return Vec::new() };
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let parsed: Vec<_> = items.map(parse).collect();
        if parsed.iter().any(Option::is_none) {
            self.wrong(format!("{name} must be {form}, separated by commas"));
        }
        parsed.into_iter().flatten().collect()
    }

    pub(super) fn flag(&mut self, flag: &str) -> Option<bool> {
        self.parsed(flag, &[], boolean, "true or false")
    }

    /// A time in whole seconds, from one on.
    pub(super) fn seconds(&mut self, flag: &str, most: u64, rule: &str) -> Option<Duration> {
        let seconds = |text: &str| text.parse().ok().filter(|seconds| (1..=most).contains(seconds));
        self.parsed(flag, &[], |text| seconds(text).map(Duration::from_secs), rule)
    }

    pub(super) fn count(&mut self, flag: &str, least: usize, default: usize) -> usize {
        let parse = |text: &str| text.parse().ok().filter(|n| (least..=10_000).contains(n));
        let form = format!("a number from {least} to 10000");
        self.parsed(flag, &[], parse, &form).unwrap_or(default)
    }

    /// The PEM file that a flag names.
    pub(super) fn pem(&mut self, flag: &str) -> Option<Vec<u8>> {
        self.file(flag, |path| {
            let read =
                std::fs::read(path).map_err(|error| format!("cannot be read: {}", error.kind()));
            read.and_then(|pem| http::certificates(&pem).map(|_| pem))
        })
    }

    /// What `read` makes of the file that a flag names.
    pub(super) fn file<T>(
        &mut self,
        flag: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.checked(flag, &[], |path| read(path).map_err(|what| format!("{path} {what}")))
    }

    /// From the flag, else its own variable, else the official names.
    fn given(&mut self, flag: &str, official: &[&str]) -> Option<Given> {
        let given = self.look_up(flag, official)?;
        // Never what may hold a password.
        let text = match given.text.contains('@') && given.text.contains("://") {
            true => "[a URL with a password]".to_owned(),
            false => given.text.clone(),
        };
        self.resolved.insert(flag.to_owned(), (given.name.clone(), text));
        Some(given)
    }

    fn look_up(&mut self, flag: &str, official: &[&str]) -> Option<Given> {
        let own = flag::variable(flag);
        self.known.extend(official.iter().copied().map(str::to_owned));
        if let Some(text) = self.flags.get(flag).filter(|text| !text.is_empty()) {
            return Some(Given { name: format!("--{flag}"), text: text.to_owned() });
        }
        if let Some(given) = self.variable(&[&own]).or_else(|| self.variable(official)) {
            return Some(Given { name: format!("{} (--{flag})", given.name), ..given });
        }
        let (_, text) = self.defaults.iter().find(|(name, _)| *name == flag)?;
        Some(Given { name: format!("--preset (--{flag})"), text: (*text).to_owned() })
    }

    fn variable(&mut self, names: &[&str]) -> Option<Given> {
        self.known.extend(names.iter().copied().map(str::to_owned));
        let environment = self.environment;
        let mut set = names.iter().filter_map(|name| {
            let text = &environment.iter().find(|(known, _)| known == name)?.1;
            let text = text.trim().to_owned();
            (!text.is_empty()).then(|| Given { name: (*name).to_owned(), text })
        });
        let first = set.next()?;
        let other = set.find(|other| other.text != first.text).map(|other| other.name);
        if let Some(other) = other {
            self.wrong(format!("{} and {other} are set and differ: keep one", first.name));
        }
        Some(first)
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}
