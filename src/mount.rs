//! Mounts: the gRPC service. It keeps the mount's time, has the steps called (`pipeline.rs`), and tells
//! the outcome (`observe.rs`).

mod audit;
mod event;
mod log;
mod observe;
mod own;
mod pipeline;
mod state;
mod trace;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status};
use tracing::Instrument;

use crate::{
    endpoint::Endpoints,
    error::{Error, Errors, Reason},
    fetch::Fetcher,
    freshness::Freshness,
    identity::kubernetes::ServiceAccounts,
    memory::Memory,
    offload::Offload,
    pb::{self, csi_driver_provider_server::CsiDriverProvider},
    policy::Policy,
    request::Mount,
    server::{AnswerRoom, Deadline, LARGEST_CALL, LeftUnread, RequestRoom},
    spc::object_cache::ObjectCache,
    turns::Turn,
};
use observe::Observed;
pub use observe::Observers;
pub use own::{Mounted, NotMounted, OwnMount};
pub use state::State;

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
    pub observers: Observers,
    /// The longest that a mount may take.
    pub limit: Duration,
}

/// Kept back from the caller's time, so that it hears our answer and not its own clock.
const KEPT_BACK: Duration = Duration::from_secs(2);

impl Provider {
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
        let _in_flight = self.observers.metrics.mount_in_flight();
        let deadline = self.deadline(request.extensions().get::<Deadline>().map(|d| d.0));
        let unread = request.extensions().get::<LeftUnread>().is_some();
        let of_request = request.extensions().get::<RequestRoom>().cloned();
        // With its extensions goes what they hold of the room.
        let (_, _, request) = request.into_parts();
        let mut observed = Observed::begin(&self.observers, &request.target_path);
        let parsed = if unread {
            Err(too_large().into())
        } else {
            let parsing = self.parse(request, deadline, of_request, &mut observed);
            in_time(deadline, parsing).await
        };
        let span = observed.span();
        self.answer(parsed, deadline, observed).instrument(span).await
    }
}

impl Provider {
    /// What comes after the request was parsed: all of it is in the mount's span.
    async fn answer(
        &self,
        parsed: Result<(Mount, Option<Turn>), Errors>,
        deadline: Instant,
        mut observed: Observed<'_>,
    ) -> Result<Response<pb::MountResponse>, Status> {
        let outcome = match parsed {
            Ok(mount) => {
                in_time(deadline, self.respond(mount, deadline, &mut observed.trace)).await
            }
            Err(errors) => Err(errors),
        };
        match observed.audit(outcome, deadline).await {
            Ok((response, room)) => {
                observed.mounted(response.files.len());
                let mut response = Response::new(response);
                if let Some(room) = room {
                    response.extensions_mut().insert(AnswerRoom::from(room));
                }
                Ok(response)
            }
            Err(errors) => Err(Status::new(errors.kind().code(), observed.failed(&errors))),
        }
    }
}

/// Each step keeps the deadline by itself and says what it waited for; this is the belt.
async fn in_time<T>(
    deadline: Instant,
    step: impl Future<Output = Result<T, Errors>>,
) -> Result<T, Errors> {
    timeout_at(deadline, step).await.unwrap_or_else(|_| Err(out_of_time().into()))
}

fn too_large() -> Error {
    let what = format!("is larger than {} MiB", LARGEST_CALL >> 20);
    Error::new(Reason::MalformedRequest, what)
        .subject("the mount's request")
        .hint("shorten the SecretProviderClass's parameters")
}

fn out_of_time() -> Error {
    Error::new(Reason::OutOfTime, "the mount ran out of time").hint("it is tried again")
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
        use crate::error::ErrorKind::*;
        let names: std::collections::BTreeSet<_> =
            [Invalid, Denied, Unauthenticated, NotFound, Unusable, Internal]
                .map(|kind| code_name(kind.code()))
                .into();
        assert_eq!(names.len(), 6);
    }
}
