//! The pipeline: request -> identity -> credentials -> fetch -> project -> response. This file
//! calls the steps in order, keeps the mount's time, and tells the outcome; it decides nothing.

mod audit;
mod trace;

use std::{collections::HashSet, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status};

use crate::{
    audit::Audit,
    endpoint::Endpoints,
    error::{Error, ErrorKind, Errors},
    events::Events,
    fetch::{Fetcher, Origin, require_all},
    identity::{self, kubernetes::ServiceAccounts},
    memory::Memory,
    offload::{self, Offload},
    pb::{self, csi_driver_provider_server::CsiDriverProvider},
    policy::Policy,
    project::{self, project},
    request,
    response::respond,
    server::{AnswerRoom, Deadline, LARGEST_CALL, LeftUnread, RequestRoom},
    spc::{object_cache::ObjectCache, objects::Object},
    telemetry::Metrics,
    turns::Turn,
    value_cache::Freshness,
};
use audit::MountAudit;
use trace::Trace;

#[derive(Debug)]
pub struct Provider {
    pub endpoints: Endpoints,
    pub objects: ObjectCache,
    pub offload: Offload,
    pub memory: Memory,
    pub policy: Policy,
    pub service_accounts: ServiceAccounts,
    pub fetcher: Arc<Fetcher>,
    pub freshness: Freshness,
    pub events: Events,
    pub audit: Audit,
    pub metrics: Arc<Metrics>,
    /// The longest that a mount may take.
    pub limit: Duration,
}

/// Kept back from the caller's time, so that it hears our answer and not its own clock.
const KEPT_BACK: Duration = Duration::from_secs(2);

/// How long a large request waits for room to be parsed into.
const UNPARSED: Duration = Duration::from_secs(2);

impl Provider {
    async fn answer(
        &self,
        request: pb::MountRequest,
        deadline: Instant,
        of_request: Option<RequestRoom>,
        trace: &mut Trace<'_>,
        audit: &mut MountAudit<'_>,
    ) -> Result<(pb::MountResponse, Option<Turn>), Errors> {
        if trace.unread {
            let what = format!("is larger than {} MiB", LARGEST_CALL >> 20);
            let error = Error::invalid("the mount's request", what);
            return Err(error.fix("shorten the SecretProviderClass's parameters").into());
        }
        let bytes = request.attributes.len();
        // Read twice only where somebody may have to wait.
        let large = offload::is_large(bytes);
        let namespace = if large { request::namespace(&request) } else { String::new() };
        // A large request keeps others from being read.
        let soon = deadline.min(Instant::now() + UNPARSED);
        let until = if of_request.is_some() { soon } else { deadline };
        let mut of_objects = self.memory.objects(&namespace, bytes, until).await?;
        let parse = || request::parse(request, &self.endpoints, &self.objects, &mut trace.caller);
        let place = self.offload.acquire(&namespace, bytes, deadline).await?;
        let parsed = offload::run(place.as_ref(), parse);
        drop((place, of_request));
        audit.caller(&trace.caller);
        let mount = parsed?;
        let namespace = &*mount.pod.namespace;
        if let Some(turn) = &mut of_objects {
            turn.keep(mount.spec.objects.iter().map(Object::memory).sum());
        }
        audit.requested(mount.spec.identity);
        trace.objects = Some(mount.spec.objects.clone());
        let identity = identity::resolve(&mount, &self.policy, &self.service_accounts).await?;
        trace.identity(&identity);
        audit.identity(&identity);
        let kept = || self.fetcher.keeps(&identity, &mount.spec.objects);
        let reads = reads(&mount.spec.objects);
        let mut of_values = self.memory.values(namespace, reads, kept, deadline).await?;
        let interval = self.freshness.of(mount.spec.refresh);
        let ends = self.fetcher.fetch(&identity, &mount, interval, deadline).await;
        let mut ends = ends.map_err(|error| identity.named_in(error))?;
        for end in &mut ends {
            end.error = end.error.take().map(|error| identity.named_in(error));
        }
        audit.reads(&mount, &identity, &ends);
        let values = require_all(&mount.spec.objects, &ends)?;
        trace.from = Origin::of(&ends).map_or(trace.from, Origin::name);
        if let Some(turn) = &mut of_values {
            turn.keep(project::held(&values));
        }
        self.metrics.answered(trace.from);
        trace.log_stale(&ends);
        let bytes = project::to_search(&mount.spec.objects, &values);
        let place = self.offload.acquire(namespace, bytes, deadline).await?;
        // Nobody knows how much a search will find: its place is kept until that has room too.
        let copied =
            if place.is_none() { project::to_copy(&mount.spec.objects, &values) } else { 0 };
        let room = self.memory.answer(namespace, copied, deadline).await?;
        let work = || project(&mount.spec.objects, &values);
        let projection = offload::run(place.as_ref(), work)?;
        let found = if place.is_some() { projection.bytes() } else { 0 };
        let room = room.or(self.memory.answer(namespace, found, deadline).await?);
        drop(place);
        drop((values, of_values, of_objects));
        self.metrics.optional_missing(projection.left_out);
        Ok((respond(projection)?, room))
    }

    fn deadline(&self, caller: Option<Instant>) -> Instant {
        let now = Instant::now();
        let own = now + self.limit;
        caller.map_or(own, |caller| {
            let left = caller.saturating_duration_since(now);
            own.min(now + left.saturating_sub(KEPT_BACK.min(left / 5)))
        })
    }
}

#[tonic::async_trait]
impl CsiDriverProvider for Provider {
    async fn version(
        &self,
        _: Request<pb::VersionRequest>,
    ) -> Result<Response<pb::VersionResponse>, Status> {
        Ok(Response::new(pb::VersionResponse {
            version: "v1alpha1".to_owned(),
            runtime_name: env!("CARGO_PKG_NAME").to_owned(),
            runtime_version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }

    async fn mount(
        &self,
        request: Request<pb::MountRequest>,
    ) -> Result<Response<pb::MountResponse>, Status> {
        let _in_flight = self.metrics.mount_in_flight();
        let deadline = self.deadline(request.extensions().get::<Deadline>().map(|d| d.0));
        let unread = request.extensions().get::<LeftUnread>().is_some();
        let of_request = request.extensions().get::<RequestRoom>().cloned();
        // With its extensions goes what they hold of the room.
        let (_, _, request) = request.into_parts();
        // Each step keeps the deadline by itself and says what it waited for; this is the belt.
        let mut trace = Trace::of(&request, unread, &self.metrics);
        let mut audit = MountAudit::open(&self.audit);
        let answer = self.answer(request, deadline, of_request, &mut trace, &mut audit);
        let outcome = match timeout_at(deadline, answer).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(ErrorKind::Internal, "the mount ran out of time")
                .fix("it is tried again")
                .into()),
        };
        let mut room = None;
        let outcome = match outcome {
            Ok((response, of_answer)) => {
                room = of_answer;
                audit.admit(deadline).await.map(|()| response).map_err(Errors::from)
            }
            Err(errors) => {
                audit.refuse(&errors, deadline).await;
                Err(errors)
            }
        };
        trace.ended(&outcome);
        match outcome {
            Ok(response) => {
                self.events.mounted(trace.volume());
                let mut response = Response::new(response);
                if let Some(room) = room {
                    response.extensions_mut().insert(AnswerRoom::from(room));
                }
                Ok(response)
            }
            Err(errors) => {
                let message = errors.message_after(&trace.caller.prefix());
                let message = self.events.failed(trace.volume(), trace.cause(&errors), message);
                Err(Status::new(errors.kind().code(), message))
            }
        }
    }
}

/// How many values the mount fetches.
fn reads(objects: &[Object]) -> usize {
    objects.iter().map(|object| object.read.digest()).collect::<HashSet<_>>().len()
}

/// As gRPC's documentation and every other provider's metrics write it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::NotFound => "NOT_FOUND",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::Unauthenticated => "UNAUTHENTICATED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        _ => "INTERNAL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_kind_has_a_name_for_its_code() {
        use ErrorKind::*;
        let names: std::collections::BTreeSet<_> =
            [Invalid, Denied, Unauthenticated, NotFound, Unusable, Internal]
                .map(|kind| code_name(kind.code()))
                .into();
        assert_eq!(names.len(), 6);
    }
}
