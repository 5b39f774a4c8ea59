//! Mount log: one line a mount, in a span that ties all lines below it to the pod.

use tracing::Span;

use super::{code_name, trace::Trace};
use crate::{error::Errors, fetch::Origin, request::caller::Via, telemetry::log::MOUNT_SPAN};

/// Log filters name it.
const TARGET: &str = "provider::mount";

/// Who asks, as far as that could be read.
pub(super) fn span(trace: &Trace) -> Span {
    let [namespace, pod, uid, service_account] = trace.pod();
    tracing::error_span!(
        target: MOUNT_SPAN,
        "mount",
        mount = trace.id,
        namespace,
        pod,
        uid,
        service_account,
        secret_provider_class = trace.caller.class.as_deref(),
        via = trace.caller.via.map(Via::name),
    )
}

pub(super) fn mounted(trace: &Trace, files: usize) {
    let (identity, identity_chosen_by) = (trace.mode(), trace.chosen_by());
    let from = trace.from.map_or("nowhere", Origin::name);
    let took_ms = took_ms(trace);
    stale(trace);
    tracing::info!(target: TARGET, identity, identity_chosen_by, from, files, took_ms, "mounted");
}

pub(super) fn failed(trace: &Trace, errors: &Errors) {
    let (identity, identity_chosen_by) = (trace.mode(), trace.chosen_by());
    let code = code_name(errors.kind().code());
    let took_ms = took_ms(trace);
    let (reason, error) = (errors.reason().name(), errors.message());
    stale(trace);
    tracing::warn!(
        target: TARGET,
        identity,
        identity_chosen_by,
        code,
        reason,
        took_ms,
        error,
        "mount failed"
    );
}

/// The caller went away before the answer, as kubelet does after two minutes and the driver when it is
/// restarted; or a fault of ours ended the mount.
pub(super) fn abandoned(trace: &Trace, code: &'static str, reason: &str) {
    let (identity, identity_chosen_by) = (trace.mode(), trace.chosen_by());
    let took_ms = took_ms(trace);
    stale(trace);
    tracing::warn!(target: TARGET, identity, identity_chosen_by, code, took_ms, "{reason}");
}

/// A number in JSON too, which 128 bits are not.
fn took_ms(trace: &Trace) -> u64 {
    u64::try_from(trace.started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Where stale values were served: how many, how old, and why.
fn stale(trace: &Trace) {
    if trace.from.is_none() {
        return;
    }
    let stale = trace.reads.iter().filter_map(|read| match read.origin {
        Origin::Grace(age) | Origin::Stale(age) => Some((age, &read.error)),
        Origin::Cloud | Origin::Memory => None,
    });
    let stale: Vec<_> = stale.collect();
    if let Some((age, error)) = stale.iter().max_by_key(|(age, _)| *age) {
        tracing::warn!(
            target: TARGET,
            objects = stale.len(),
            oldest_s = age.as_secs(),
            error = error.as_ref().map(ToString::to_string),
            "the cloud does not answer or throttles: stale values are served"
        );
    }
}
