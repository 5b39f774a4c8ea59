//! The pipeline: request -> identity -> credentials -> fetch -> project -> response. This file
//! calls the steps in order, keeps the mount's time, and tells the outcome; it decides nothing.

mod account;

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};
use tonic::{Code, Request, Response, Status};

use crate::{
    aside::Aside,
    audit::Audit,
    cloud::endpoint::Endpoints,
    digest::Parts,
    error::{Class, Error, Errors},
    events::Events,
    fetch::{Fetcher, Origin, ReadEnd, whole},
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
        seen: &mut Seen,
        account: &mut Account<'_>,
    ) -> Result<pb::MountResponse, Errors> {
        if seen.unread {
            let what = format!("is larger than {} MiB", LARGEST_CALL >> 20);
            let error = Error::invalid("the mount's request", what);
            return Err(error.fix("shorten the SecretProviderClass's parameters").into());
        }
        let bytes = request.attributes.len();
        let parse = || request::parse(request, &self.endpoints, &self.known, &mut seen.pod);
        let parsed = self.aside.run(bytes, deadline, parse).await?;
        seen.pod.iter().for_each(|pod| account.pod(pod));
        let mount = parsed?;
        let identity = identity::choose(&mount, &self.policy, &self.service_accounts).await?;
        seen.identity = identity.mode.name();
        account.identity(&identity);
        let interval = self.freshness.of(mount.refresh);
        let ends = self.fetcher.fetch(&identity, &mount, interval, deadline).await?;
        account.reads(&mount, &identity, &ends);
        let values = whole(&mount.objects, &ends)?;
        seen.from = Origin::of(&ends).map_or(seen.from, Origin::name);
        self.metrics.answered(seen.from);
        tell_of_grace(seen, &ends);
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

/// What is known of a mount by the time it is told about.
#[derive(Debug)]
struct Seen {
    /// It was too large to be looked at.
    unread: bool,
    pod: Option<request::Pod>,
    identity: &'static str,
    /// Where the values came from.
    from: &'static str,
}

impl Seen {
    /// Namespace, name, uid and ServiceAccount, as far as they could be read.
    fn pod(&self) -> [&str; 4] {
        self.pod
            .as_ref()
            .map_or([""; 4], |pod| [&pod.namespace, &pod.name, &pod.uid, &pod.service_account])
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
        let started = Instant::now();
        let _in_flight = self.metrics.mount_in_flight();
        let deadline = self.deadline(request.extensions().get::<Deadline>().map(|d| d.0));
        let unread = request.extensions().get::<LeftUnread>().is_some();
        let mut seen = Seen { unread, pod: None, identity: "undecided", from: "nowhere" };
        // Each step keeps the deadline by itself and says what it waited for; this is the belt.
        let request = request.into_inner();
        let mut volume = Parts::new();
        volume.part(&request.target_path);
        let volume = volume.digest();
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
        let took = started.elapsed();
        self.tell(&seen, &outcome, took);
        match outcome {
            Ok(response) => {
                self.events.mounted(volume);
                Ok(Response::new(response))
            }
            Err(errors) => {
                let mut cause = Parts::new();
                errors.cause(&mut cause);
                let message = self.events.failed(volume, cause.digest(), errors.message());
                Err(Status::new(errors.class().code(), message))
            }
        }
    }
}

impl Provider {
    fn tell(&self, seen: &Seen, outcome: &Result<pb::MountResponse, Errors>, took: Duration) {
        let [namespace, pod, uid, service_account] = seen.pod();
        let Seen { identity, from, .. } = seen;
        let took_ms = took.as_millis();
        let code = match outcome {
            Ok(response) => {
                let files = response.files.len();
                tracing::info!(
                    namespace,
                    pod,
                    uid,
                    service_account,
                    identity,
                    from,
                    files,
                    took_ms,
                    "mounted"
                );
                "OK"
            }
            Err(errors) => {
                let code = code_name(errors.class().code());
                let error = errors.message();
                tracing::warn!(
                    namespace,
                    pod,
                    uid,
                    service_account,
                    identity,
                    code,
                    took_ms,
                    error,
                    "mount failed"
                );
                code
            }
        };
        self.metrics.mount(identity, code, took);
    }
}

fn tell_of_grace(seen: &Seen, ends: &[ReadEnd]) {
    let grace = |end: &ReadEnd| match end.origin {
        Origin::Grace(age) => Some((age, end.error.clone())),
        Origin::Cloud | Origin::Memory => None,
    };
    let last: Vec<_> = ends.iter().filter_map(grace).collect();
    if let Some((age, error)) = last.iter().max_by_key(|(age, _)| *age) {
        let [namespace, pod, uid, service_account] = seen.pod();
        tracing::warn!(
            namespace,
            pod,
            uid,
            service_account,
            objects = last.len(),
            oldest_s = age.as_secs(),
            error = error.as_ref().map(ToString::to_string),
            "the cloud does not answer: last values stand in"
        );
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
