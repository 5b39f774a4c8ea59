//! Manifests: a text of YAML or JSON becomes those Kubernetes objects in it that have to do with mounts,
//! each part with its place in the text. Other kinds are passed over unread.

pub mod class;
pub mod csi_driver;
mod document;
pub mod locate;
pub mod secret_sync;
pub mod service_account;
pub mod source;
mod split;
pub mod tree;
pub mod value;
pub mod workload;

use class::Class;
use csi_driver::CsiDriver;
use secret_sync::SecretSync;
use service_account::ServiceAccount;
use source::Source;
use value::Text;
use workload::Workload;

use crate::yaml::{Budget, Position};

/// The largest text that is read. A List of ten thousand SecretProviderClasses has a tenth of it.
pub const MOST_BYTES: usize = 64 << 20;

/// Of one document: far more than a List of all of a large cluster's SecretProviderClasses takes.
const BUDGET: Budget = Budget { depth: 100, nodes: 1_000_000, bytes: MOST_BYTES };

/// One text, and what is in it.
#[derive(Debug)]
pub struct File {
    pub source: Source,
    pub documents: Vec<Document>,
    pub manifests: Vec<Manifest>,
    pub unreadable: Vec<Unreadable>,
    /// Objects of other kinds.
    pub passed_over: usize,
}

/// Of which lines a document is, both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Document {
    pub first_line: u32,
    pub last_line: u32,
}

/// Why a document could not be read.
#[derive(Debug)]
pub struct Unreadable {
    pub at: Position,
    pub reason: &'static str,
    /// Whether it speaks of the Secrets Store CSI Driver or its sync controller.
    pub concerns_us: bool,
    /// Whether it may hold a value of a Secret or of a container's environment.
    pub may_hold_values: bool,
}

/// A Kubernetes object.
#[derive(Debug)]
pub struct Manifest {
    pub at: Position,
    /// As written.
    pub kind: Text,
    pub api_version: Option<Text>,
    pub name: Option<Text>,
    pub namespace: Option<Text>,
    /// Its name is made by the API server.
    pub generate_name: bool,
    pub body: Body,
}

#[derive(Debug)]
pub enum Body {
    Class(Class),
    Sync(SecretSync),
    ServiceAccount(ServiceAccount),
    Workload(Workload),
    CsiDriver(CsiDriver),
}

impl File {
    pub fn read(name: String, text: String) -> Self {
        let mut file = Self::of(Source::new(name, text));
        let text = std::mem::take(&mut file.source.text);
        for part in split::documents(&text) {
            document::read(&part, &mut file);
        }
        // Nothing will be said of it.
        if !file.manifests.is_empty() || !file.unreadable.is_empty() {
            file.source.text = text;
        }
        file
    }

    /// One that is no text, or too large a one.
    pub fn unread(name: String, reason: &'static str) -> Self {
        let mut file = Self::of(Source::new(name, String::new()));
        let at = Position { line: 1, column: 1 };
        let unreadable = Unreadable { at, reason, concerns_us: true, may_hold_values: true };
        file.unreadable.push(unreadable);
        file
    }

    fn of(source: Source) -> Self {
        let (documents, manifests, unreadable) = (Vec::new(), Vec::new(), Vec::new());
        Self { source, documents, manifests, unreadable, passed_over: 0 }
    }
}

impl Manifest {
    /// `namespace/name`, or the name alone where no namespace is given.
    pub fn full_name(&self) -> String {
        let name = self.name.as_ref().map_or("", |name| &name.text);
        match &self.namespace {
            Some(namespace) => format!("{}/{name}", namespace.text),
            None => name.to_owned(),
        }
    }

    /// Where its name is, or else the object itself.
    pub fn name_at(&self) -> Position {
        self.name.as_ref().map_or(self.at, |name| name.at)
    }
}

#[cfg(test)]
mod tests;
