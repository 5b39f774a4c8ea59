//! Calls: what a mount asks the cloud for, as its plan has it.

use std::collections::BTreeSet;

use super::{Assumed, Mount};
use crate::{
    api::Api,
    endpoint::{Endpoint, Service},
    names::RoleArn,
    plan,
    spc::{mode::LoginCall, read::Read, source::Batch},
};

/// A login, or one read of values.
pub(crate) struct Call<'a> {
    /// `None` is the instance's metadata, which is no API.
    pub(crate) api: Option<Api>,
    pub(crate) host: String,
    /// Which role is got, or with which of another account it is read.
    pub(crate) role: Option<&'a RoleArn>,
    /// Empty for a login.
    pub(crate) reads: Vec<&'a Read>,
}

/// In the order in which they are made, when nothing is cached.
pub(crate) fn calls<'a>(mount: &'a Mount, assumed: &Assumed) -> Vec<Call<'a>> {
    let endpoints = &assumed.settings.endpoints;
    let sts = endpoints.of(Service::Sts, &endpoints.region);
    let login = |api, role| Call { api, host: sts.host().to_owned(), role, reads: vec![] };
    let mut calls = Vec::new();
    match mount.decision.mode.facts().login {
        LoginCall::WithToken => calls.push(login(Some(Api::AssumeRoleWithOidc), None)),
        LoginCall::WithKeys => calls.push(login(Some(Api::AssumeRole), None)),
        LoginCall::Metadata => {
            let host = METADATA.to_owned();
            calls.push(Call { api: None, host, role: None, reads: vec![] });
        }
        LoginCall::None => {}
    }
    let reads = reads(mount);
    // Each object may name another role. Without one of its own, none but these is got.
    let others: BTreeSet<&RoleArn> =
        reads.iter().filter_map(|read| read.cross_account_role.as_ref()).collect();
    calls.extend(others.into_iter().map(|role| login(Some(Api::AssumeRole), Some(role))));
    let may = |_, batch: &Batch<'_>| batch.api != Api::BatchGetSecretValue || assumed.kms_batch;
    for call in plan::calls(&reads, may) {
        let of: Vec<&Read> = call.reads.iter().filter_map(|at| reads.get(*at).copied()).collect();
        let Some(first) = of.first() else { continue };
        calls.push(Call {
            api: Some(call.api),
            host: host(&first.endpoint),
            role: first.cross_account_role.as_ref(),
            reads: of,
        });
    }
    calls
}

const METADATA: &str = "100.100.100.200";

fn host(endpoint: &Endpoint) -> String {
    endpoint.host().to_owned()
}

/// What it reads, each once.
pub(crate) fn reads(mount: &Mount) -> Vec<&Read> {
    let mut seen = BTreeSet::new();
    let all = mount.spec.objects.iter().map(|object| &*object.read);
    all.filter(|read| seen.insert(*read.digest())).collect()
}
