//! Mounts of the program's own pod: what a class asks for, without a driver. The steps, the time that they
//! have and what is recorded of them are those of any mount.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::Instrument;

use super::{Provider, in_time, observe::Observed, trace::Trace};
use crate::{
    error::{ErrorKind, Errors},
    fetch::Origin,
    identity::Identity,
    project::{OutFile, Projection},
    request::{self, Pod, TokenInput, caller::Caller},
    spc::class::Class,
};

/// Who asks for what, with what proof.
#[derive(Debug)]
pub struct OwnMount<'a> {
    pub class: &'a Class,
    pub pod: Pod,
    pub token: TokenInput,
    /// The folder that gets the files.
    pub target_path: &'a str,
}

/// What was mounted.
#[derive(Debug)]
pub struct Mounted {
    pub files: Vec<OutFile>,
    /// How many optional objects were left out.
    pub left_out: usize,
    /// Whether a value is served stale.
    pub stale: bool,
    /// The cache TTL of its values.
    pub interval: Duration,
    /// As whom they were read.
    pub identity: Option<Arc<Identity>>,
}

/// Why nothing was mounted.
#[derive(Debug)]
pub struct NotMounted {
    pub kind: ErrorKind,
    /// For people; as kubelet's Event has it for a mount of the driver.
    pub message: String,
}

impl Provider {
    pub async fn mount_own(&self, wanted: OwnMount<'_>) -> Result<Mounted, NotMounted> {
        let _in_flight = self.observers.metrics.mount_in_flight();
        let mut observed = Observed::begin(&self.observers, wanted.target_path);
        observed.caller(Caller::sidecar(&wanted.class.name, Some(wanted.pod.clone())));
        let span = observed.span();
        self.answer_own(wanted, observed).instrument(span).await
    }

    /// All of it is in the mount's span.
    async fn answer_own(
        &self,
        wanted: OwnMount<'_>,
        mut observed: Observed<'_>,
    ) -> Result<Mounted, NotMounted> {
        let deadline = Instant::now() + self.limit;
        let outcome = in_time(deadline, self.own(wanted, deadline, &mut observed.trace)).await;
        match observed.audit(outcome, deadline).await {
            Ok((Projection { files, left_out }, interval)) => {
                let stale =
                    matches!(observed.trace.from, Some(Origin::Grace(_) | Origin::Stale(_)));
                let identity = observed.trace.identity.clone();
                observed.mounted(files.len());
                Ok(Mounted { files, left_out, stale, interval, identity })
            }
            Err(errors) => {
                let kind = errors.kind();
                Err(NotMounted { kind, message: observed.failed(&errors) })
            }
        }
    }

    async fn own(
        &self,
        wanted: OwnMount<'_>,
        deadline: Instant,
        trace: &mut Trace,
    ) -> Result<(Projection, Duration), Errors> {
        let OwnMount { class, pod, token, .. } = wanted;
        let mount = request::of_class(class, pod, token, &self.endpoints, &self.objects)?;
        let interval = self.freshness.of(mount.spec.refresh);
        let (projection, _) = self.serve((mount, None), deadline, trace).await?;
        Ok((projection, interval))
    }
}
