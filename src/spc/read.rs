//! Read: what to read, where, and as whom. Two objects with the same one are fetched once.

use std::sync::Arc;

use super::source::Source;
use crate::{
    digest::{Digest, Parts},
    endpoint::{Endpoint, regional},
    names::RoleArn,
};

#[derive(Debug)]
pub struct Read {
    pub endpoint: Endpoint,
    pub source: Source,
    pub cross_account_role: Option<RoleArn>,
    digest: Digest,
}

impl Read {
    pub fn new(
        endpoint: Endpoint,
        source: Source,
        cross_account_role: Option<RoleArn>,
    ) -> Arc<Self> {
        let mut parts = Parts::new();
        parts.part(endpoint.host());
        parts.part(cross_account_role.as_ref().map_or("", RoleArn::as_str));
        parts.part(source.facts().object_type());
        source.facts().digest(&mut parts);
        Arc::new(Self { endpoint, source, cross_account_role, digest: parts.digest() })
    }

    /// Of everything that tells it from another read.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// As policies of RAM name it; `*` stands for what is not known.
    pub fn resource(&self, account: &str) -> String {
        let facts = self.source.facts();
        self.resources(facts.name(), account).into_iter().next().unwrap_or_default()
    }

    /// All resources that reading it needs a permission on, as if it had this name.
    pub fn resources(&self, name: &str, account: &str) -> Vec<String> {
        let region = regional(self.endpoint.host()).map_or("*", |(_, region)| region);
        self.source.facts().resources(name, region, account)
    }

    /// About how many bytes it takes.
    pub(super) fn memory(&self) -> usize {
        let role = self.cross_account_role.as_ref().map_or(0, |role| role.as_str().len());
        size_of::<Self>() + self.endpoint.host().len() + self.source.facts().memory() + role
    }
}
