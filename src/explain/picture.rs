//! Picture: columns of boxes from pod to files, and lines between them, for whatever draws it.

use std::collections::{BTreeMap, BTreeSet};

use super::Explanation;
use crate::spc::source::noun;

/// From left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Column {
    Workload,
    ServiceAccount,
    Role,
    Secret,
    File,
}

impl Column {
    pub(super) const ALL: [Self; 5] =
        [Self::Workload, Self::ServiceAccount, Self::Role, Self::Secret, Self::File];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Workload => "pods",
            Self::ServiceAccount => "ServiceAccount",
            Self::Role => "identity and role",
            Self::Secret => "secrets",
            Self::File => "files",
        }
    }
}

/// Two lines of text; the second may be empty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Box {
    pub(super) column: Column,
    pub(super) first: String,
    pub(super) second: String,
}

#[derive(Default)]
pub(super) struct Picture {
    /// In the order in which they are met.
    pub(super) boxes: Vec<Box>,
    numbers: BTreeMap<(Box, String), usize>,
    /// From box to box, by their numbers.
    pub(super) lines: Vec<(usize, usize)>,
    drawn: BTreeSet<(usize, usize)>,
}

impl Picture {
    pub(super) fn of(all: &[Explanation]) -> Self {
        let mut picture = Self::default();
        for of in all {
            picture.add(of, all.len() > 1);
        }
        picture
    }

    fn add(&mut self, of: &Explanation, several: bool) {
        let (namespace, account) = (&of.namespace, &of.service_account);
        let volume = of.volume.as_ref().map_or_else(String::new, |name| format!("volume {name}"));
        let user = match of.user.is_empty() {
            true => "pods".to_owned(),
            false => of.user.clone(),
        };
        let own = format!("{user} {volume} {}", of.secret_provider_class);
        let pod = self.place(Column::Workload, &user, &volume, &own);
        let namespace = format!("namespace {namespace}");
        let account = self.place(Column::ServiceAccount, account, &namespace, "");
        self.line(pod, account);
        let identity = format!("identity {}", of.identity.mode);
        let role = of.identity.role.as_ref().unwrap_or(&of.identity.role_from);
        let own_role = self.role(role, &identity);
        self.line(account, own_role);
        for file in &of.files {
            let from = match &file.role {
                Some(other) => {
                    let other = self.role(other, "by AssumeRole");
                    self.line(own_role, other);
                    other
                }
                None => own_role,
            };
            let account =
                file.role.as_deref().unwrap_or(role).split(':').nth(3).unwrap_or_default();
            let where_it_is = format!("{} {account}", file.host);
            let secret =
                self.place(Column::Secret, &file.from, noun(file.object_type), &where_it_is);
            self.line(from, secret);
            // A secret may be in several pods' files.
            let mode = match (&file.jmes_path, several) {
                (_, true) => format!("{}, {user}", file.mode),
                (Some(path), false) => format!("{}, {path}", file.mode),
                (None, false) => file.mode.clone(),
            };
            let file = self.place(Column::File, &file.path, &mode, &own);
            self.line(secret, file);
        }
    }

    /// By its name, with its account below it.
    fn role(&mut self, arn: &str, identity: &str) -> usize {
        let parts = arn.strip_prefix("acs:ram::").and_then(|rest| rest.split_once(":role/"));
        match parts {
            Some((account, name)) => {
                self.place(Column::Role, name, &format!("{identity}, {account}"), arn)
            }
            None => self.place(Column::Role, arn, identity, ""),
        }
    }

    /// Its number. `own`: what else tells it from another with the same texts.
    fn place(&mut self, column: Column, first: &str, second: &str, own: &str) -> usize {
        let one = Box { column, first: first.to_owned(), second: second.to_owned() };
        let next = self.boxes.len();
        let number = *self.numbers.entry((one.clone(), own.to_owned())).or_insert(next);
        if number == next {
            self.boxes.push(one);
        }
        number
    }

    fn line(&mut self, from: usize, to: usize) {
        if self.drawn.insert((from, to)) {
            self.lines.push((from, to));
        }
    }
}

/// With its middle cut out where it is long: ends of ARNs and names tell them apart.
pub(super) fn short(text: &str, most: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= most {
        return text.to_owned();
    }
    let kept = most.saturating_sub(1);
    let start = kept / 3;
    let end = characters.len() - (kept - start);
    let of = |part: Option<&[char]>| part.unwrap_or_default().iter().collect::<String>();
    format!("{}…{}", of(characters.get(..start)), of(characters.get(end..)))
}
