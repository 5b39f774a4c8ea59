//! Set: all manifests given, with what a mount would say of each class, and who uses it.

use std::collections::BTreeMap;

use super::{
    Settings,
    finding::{Finding, Place, Show},
    mount::{self, Verdict},
};
use crate::{
    manifests::{
        Body, File, Manifest,
        class::Class,
        secret_sync::SecretSync,
        value::Text,
        workload::{Volume, Workload},
    },
    spc::object_cache::ObjectCache,
    yaml::Position,
};

/// `spec.provider` of our classes, which is the socket's name.
pub(crate) const PROVIDER: &str = "alibabacloud";

pub(crate) struct Set<'a> {
    pub(crate) files: &'a [File],
    pub(crate) settings: &'a Settings,
    pub(crate) cache: ObjectCache,
    pub(crate) classes: Vec<KnownClass<'a>>,
    by_name: BTreeMap<&'a str, Vec<usize>>,
}

/// A class with where it is.
pub(crate) struct KnownClass<'a> {
    pub(crate) given: Of<'a, Class>,
    pub(crate) is_ours: bool,
    /// `None` for other providers' classes, and where `objects` is no text.
    pub(crate) verdict: Option<Verdict>,
}

/// One part of a manifest, with all that it is part of.
pub(crate) struct Of<'a, T> {
    pub(crate) index: usize,
    pub(crate) file: &'a File,
    pub(crate) manifest: &'a Manifest,
    pub(crate) body: &'a T,
}

impl<T> Clone for Of<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Of<'_, T> {}

impl<'a, T> Of<'a, T> {
    pub(crate) fn with<U>(self, body: &'a U) -> Of<'a, U> {
        let Of { index, file, manifest, .. } = self;
        Of { index, file, manifest, body }
    }

    pub(crate) fn place(&self, at: Position) -> Place {
        Place { file: self.index, at, show: Show::Line }
    }

    /// Where only the name is to be seen.
    pub(crate) fn name_only(&self, at: Position) -> Place {
        Place { file: self.index, at, show: Show::Name }
    }

    pub(crate) fn at_name(&self) -> Place {
        self.place(self.manifest.name_at())
    }

    /// `SecretProviderClass shop/checkout`.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.manifest.kind.text, self.manifest.full_name())
    }

    pub(crate) fn found(&self, findings: &mut Vec<Finding>, finding: Finding) {
        findings.push(Finding { object: self.title(), ..finding });
    }
}

impl Of<'_, Class> {
    /// Where what is missing among the parameters belongs.
    pub(crate) fn at_parameters(&self) -> Place {
        self.body.parameters_at.map_or_else(|| self.at_name(), |at| self.place(at))
    }
}

impl<'a> Set<'a> {
    pub(crate) fn of(files: &'a [File], settings: &'a Settings) -> Self {
        let cache = ObjectCache::default();
        let classes = each(files).filter_map(|of| {
            let Body::Class(class) = of.body else { return None };
            let is_ours = class.provider.as_ref().is_some_and(|name| &*name.text == PROVIDER);
            // What is said of a list in place of a text is enough.
            let readable =
                class.parameter("objects").is_none_or(|pair| mount::is_text(&pair.value));
            let namespace = of.manifest.namespace.as_ref().map(|text| &*text.text);
            let verdict = (is_ours && readable)
                .then(|| mount::verdict(class, &[], namespace, settings, &cache));
            Some(KnownClass { given: of.with(class), is_ours, verdict })
        });
        let classes: Vec<_> = classes.collect();
        let mut by_name: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, class) in classes.iter().enumerate() {
            if let Some(name) = &class.given.manifest.name {
                by_name.entry(&name.text).or_default().push(number);
            }
        }
        Self { files, settings, cache, classes, by_name }
    }

    pub(crate) fn manifests(&self) -> impl Iterator<Item = Of<'a, Body>> {
        each(self.files)
    }

    pub(crate) fn workloads(&self) -> impl Iterator<Item = Of<'a, Workload>> {
        self.manifests().filter_map(|of| match of.body {
            Body::Workload(workload) => Some(of.with(workload)),
            _ => None,
        })
    }

    pub(crate) fn volumes(&self) -> impl Iterator<Item = (Of<'a, Workload>, &'a Volume)> {
        self.workloads().flat_map(|of| of.body.volumes.iter().map(move |volume| (of, volume)))
    }

    pub(crate) fn syncs(&self) -> impl Iterator<Item = Of<'a, SecretSync>> {
        self.manifests().filter_map(|of| match of.body {
            Body::Sync(sync) => Some(of.with(sync)),
            _ => None,
        })
    }

    /// The class that a pod or SecretSync names.
    pub(crate) fn class(&self, name: &str, user: &Manifest) -> Named<'_, 'a> {
        let all = self.by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        let mut known = all.iter().filter_map(|number| self.classes.get(*number));
        let beside = |class: &&KnownClass<'a>| {
            same_namespace(class.given.manifest.namespace.as_ref(), user.namespace.as_ref())
        };
        match (known.clone().find(beside), known.next()) {
            (Some(class), _) => Named::Class(class),
            (None, Some(other)) => Named::Elsewhere(other),
            (None, None) => Named::NotGiven,
        }
    }
}

/// Which class a name means.
pub(crate) enum Named<'s, 'a> {
    Class(&'s KnownClass<'a>),
    /// There is one in another namespace alone.
    Elsewhere(&'s KnownClass<'a>),
    NotGiven,
}

/// Whether two objects can be in one namespace: where none is written, `kubectl` decides it.
pub(crate) fn same_namespace(one: Option<&Text>, other: Option<&Text>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.text == other.text,
        _ => true,
    }
}

fn each(files: &[File]) -> impl Iterator<Item = Of<'_, Body>> {
    files.iter().enumerate().flat_map(|(index, file)| {
        let of = move |manifest| Of { index, file, manifest, body: &manifest.body };
        file.manifests.iter().map(of)
    })
}
