//! The pipeline: request -> identity -> credentials -> fetch -> project -> response. This file
//! calls the steps in order, keeps the mount's time, and tells the outcome; it decides nothing.

mod account;
mod seen;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status};

use crate::{
    aside::Aside,
    audit::Audit,
    cloud::endpoint::Endpoints,
    error::{Class, Error, Errors},
    events::Events,
    fetch::{Fetcher, Origin, whole},
    identity::{self, Policy, kubernetes::ServiceAccounts},
    pb::{self, csi_driver_provider_server::CsiDriverProvider},
    project::{self, project},
    request::{self, known::Known},
    response::respond,
    server::{Deadline, LARGEST_CALL, LeftUnread},
    telemetry::Metrics,
    values::Freshness,
};
use account::Account;
use seen::Seen;

#[derive(Debug)]
pub struct Provider {
    pub endpoints: Endpoints,
    pub known: Known,
    pub aside: Aside,
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

impl Provider {
    async fn answer(
        &self,
        request: pb::MountRequest,
        deadline: Instant,
        seen: &mut Seen<'_>,
        account: &mut Account<'_>,
    ) -> Result<pb::MountResponse, Errors> {
        if seen.unread {
            let what = format!("is larger than {} MiB", LARGEST_CALL >> 20);
            let error = Error::invalid("the mount's request", what);
            return Err(error.fix("shorten the SecretProviderClass's parameters").into());
        }
        let bytes = request.attributes.len();
        let parse = || request::parse(request, &self.endpoints, &self.known, &mut seen.caller);
        let parsed = self.aside.run(bytes, deadline, parse).await?;
        account.caller(&seen.caller);
        let mount = parsed?;
        account.requested(mount.identity);
        seen.objects = Some(mount.objects.clone());
        let identity = identity::choose(&mount, &self.policy, &self.service_accounts).await?;
        seen.identity(&identity);
        account.identity(&identity);
        let interval = self.freshness.of(mount.refresh);
        let ends = self.fetcher.fetch(&identity, &mount, interval, deadline).await;
        let mut ends = ends.map_err(|error| identity.named_in(error))?;
        for end in &mut ends {
            end.error = end.error.take().map(|error| identity.named_in(error));
        }
        account.reads(&mount, &identity, &ends);
        let values = whole(&mount.objects, &ends)?;
        seen.from = Origin::of(&ends).map_or(seen.from, Origin::name);
        self.metrics.answered(seen.from);
        seen.log_stale(&ends);
        let bytes = project::to_search(&mount.objects, &values);
        let projection =
            self.aside.run(bytes, deadline, || project(&mount.objects, &values)).await??;
        self.metrics.optional_missing(projection.left_out);
        Ok(respond(projection)?)
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
        // Each step keeps the deadline by itself and says what it waited for; this is the belt.
        let request = request.into_inner();
        let mut seen = Seen::of(&request, unread, &self.metrics);
        let mut account = Account::open(&self.audit);
        let answer = self.answer(request, deadline, &mut seen, &mut account);
        let outcome = match timeout_at(deadline, answer).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Error::new(Class::Internal, "the mount ran out of time")
                .fix("it is tried again")
                .into()),
        };
        let outcome = match outcome {
            Ok(response) => account.admit(deadline).await.map(|()| response).map_err(Errors::from),
            Err(errors) => {
                account.refuse(&errors);
                Err(errors)
            }
        };
        seen.ended(&outcome);
        match outcome {
            Ok(response) => {
                self.events.mounted(seen.volume());
                Ok(Response::new(response))
            }
            Err(errors) => {
                let message = errors.message_after(&seen.caller.prefix());
                let message = self.events.failed(seen.volume(), seen.cause(&errors), message);
                Err(Status::new(errors.class().code(), message))
            }
        }
    }
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
    fn every_class_has_a_name_for_its_code() {
        use Class::*;
        let names: std::collections::BTreeSet<_> =
            [Invalid, Denied, Unauthenticated, NotFound, Unusable, Internal]
                .map(|class| code_name(class.code()))
                .into();
        assert_eq!(names.len(), 6);
    }
}
