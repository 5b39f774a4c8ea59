//! Mount trace: what is known of one mount when it ends: its log line, its count in the metrics, and
//! what makes its failure the same as an earlier one. A mount whose caller goes away has these too.

use std::sync::Arc;

use tokio::time::Instant;

use super::code_name;
use crate::{
    digest::{Digest, Parts, joined},
    error::Errors,
    fetch::{Origin, ReadOutcome},
    identity::Identity,
    pb,
    request::caller::{Caller, Via},
    spc::objects::Object,
    telemetry::Metrics,
};

/// Log filters name it.
const TARGET: &str = "provider::mount";

#[derive(Debug)]
pub(super) struct Trace<'a> {
    metrics: &'a Metrics,
    started: Instant,
    target_path: String,
    /// It was too large to be looked at.
    pub(super) unread: bool,
    pub(super) caller: Caller,
    pub(super) objects: Option<Arc<[Object]>>,
    identity: &'static str,
    chosen_by: &'static str,
    /// As whom the cloud is asked.
    who: String,
    /// Where the values came from.
    pub(super) from: &'static str,
    ended: bool,
}

impl<'a> Trace<'a> {
    pub(super) fn of(request: &pb::MountRequest, unread: bool, metrics: &'a Metrics) -> Self {
        Self {
            metrics,
            started: Instant::now(),
            target_path: request.target_path.clone(),
            unread,
            caller: Caller::default(),
            objects: None,
            identity: "undecided",
            chosen_by: "",
            who: String::new(),
            from: "nowhere",
            ended: false,
        }
    }

    pub(super) fn identity(&mut self, identity: &Identity) {
        self.identity = identity.mode.name();
        self.chosen_by = identity.chosen_by.name();
        self.who = identity.login.who();
    }

    /// Tells this volume from all others. The sync controller mounts all of its own at one path.
    pub(super) fn volume(&self) -> Digest {
        let mut parts = Parts::new();
        let class = self.caller.class.as_deref().unwrap_or_default();
        for part in self.pod().into_iter().chain([class, &self.target_path]) {
            parts.part(part);
        }
        parts.digest()
    }

    /// Tells this failure from others of the same volume: what went wrong, what was asked for, in
    /// which version, and as whom.
    pub(super) fn cause(&self, errors: &Errors) -> Digest {
        let mut parts = Parts::new();
        errors.cause(&mut parts);
        for part in [self.identity, self.chosen_by, &self.who] {
            parts.part(part);
        }
        let objects = self.objects.iter().flat_map(|objects| objects.iter());
        objects.fold(parts.digest(), |digest, object| joined(&digest, object.read.digest()))
    }

    pub(super) fn ended(&mut self, outcome: &Result<pb::MountResponse, Errors>) {
        let [namespace, pod, uid, service_account] = self.pod();
        let Self { identity, chosen_by: identity_chosen_by, from, .. } = *self;
        let secret_provider_class = self.caller.class.as_deref();
        let via = self.caller.via.map(Via::name);
        let took = self.started.elapsed();
        let took_ms = took.as_millis();
        let code = match outcome {
            Ok(response) => {
                let files = response.files.len();
                tracing::info!(
                    target: TARGET,
                    namespace,
                    pod,
                    uid,
                    service_account,
                    secret_provider_class,
                    via,
                    identity,
                    identity_chosen_by,
                    from,
                    files,
                    took_ms,
                    "mounted"
                );
                "OK"
            }
            Err(errors) => {
                let code = code_name(errors.kind().code());
                let error = errors.message();
                tracing::warn!(
                    target: TARGET,
                    namespace,
                    pod,
                    uid,
                    service_account,
                    secret_provider_class,
                    via,
                    identity,
                    identity_chosen_by,
                    code,
                    took_ms,
                    error,
                    "mount failed"
                );
                code
            }
        };
        self.ended = true;
        self.metrics.mount(identity, code, took);
    }

    pub(super) fn log_stale(&self, ends: &[ReadOutcome]) {
        let stale = |end: &ReadOutcome| match end.origin {
            Origin::Grace(age) | Origin::Stale(age) => Some((age, end.error.clone())),
            Origin::Cloud | Origin::Memory => None,
        };
        let stale: Vec<_> = ends.iter().filter_map(stale).collect();
        if let Some((age, error)) = stale.iter().max_by_key(|(age, _)| *age) {
            let [namespace, pod, uid, service_account] = self.pod();
            tracing::warn!(
                target: TARGET,
                namespace,
                pod,
                uid,
                service_account,
                secret_provider_class = self.caller.class.as_deref(),
                objects = stale.len(),
                oldest_s = age.as_secs(),
                error = error.as_ref().map(ToString::to_string),
                "the cloud does not answer or throttles: stale values are served"
            );
        }
    }

    /// Namespace, name, uid and ServiceAccount, as far as they could be read.
    fn pod(&self) -> [&str; 4] {
        self.caller
            .pod
            .as_ref()
            .map_or([""; 4], |pod| [&pod.namespace, &pod.name, &pod.uid, &pod.service_account])
    }
}

/// The caller went away before the answer, as kubelet does after two minutes and the driver when it is
/// restarted; or a fault of ours ended the mount.
impl Drop for Trace<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (code, reason) = match std::thread::panicking() {
            true => ("PANIC", "the provider panicked"),
            false => ("CALLER_GONE", "the caller went away before the answer"),
        };
        let [namespace, pod, uid, service_account] = self.pod();
        let took = self.started.elapsed();
        tracing::warn!(
            target: TARGET,
            namespace,
            pod,
            uid,
            service_account,
            secret_provider_class = self.caller.class.as_deref(),
            via = self.caller.via.map(Via::name),
            identity = self.identity,
            identity_chosen_by = self.chosen_by,
            code,
            took_ms = took.as_millis(),
            "{reason}"
        );
        self.metrics.mount(self.identity, code, took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_without_an_answer_is_counted_by_how_it_ended() {
        let metrics = Metrics::new();
        let trace = || Trace::of(&pb::MountRequest::default(), false, &metrics);
        drop(trace());
        let mut answered = trace();
        answered.ended(&Ok(pb::MountResponse::default()));
        drop(answered);
        let fault = std::panic::AssertUnwindSafe(|| {
            let _seen = trace();
            panic!("a fault");
        });
        std::panic::catch_unwind(fault).unwrap_err();
        let text = metrics.text();
        for outcome in ["CALLER_GONE", "OK", "PANIC"] {
            let count = format!("{{identity=\"undecided\",outcome=\"{outcome}\"}} 1");
            assert!(text.contains(&count), "{outcome}: {text}");
        }
    }

    #[test]
    fn volume_is_told_from_others_by_pod_class_and_path() {
        let metrics = Metrics::new();
        let of = |path: &str, class: &str, uid: &str, account: &str| {
            let target_path = path.to_owned();
            let request = pb::MountRequest { target_path, ..pb::MountRequest::default() };
            let mut trace = Trace::of(&request, false, &metrics);
            trace.caller.class = Some(class.to_owned());
            trace.caller.pod = Some(crate::request::Pod {
                namespace: "shop".to_owned(),
                name: "p".to_owned(),
                uid: uid.to_owned(),
                service_account: account.to_owned(),
            });
            trace.ended = true;
            trace.volume()
        };
        let one = of("/a", "c", "1", "web");
        assert_eq!(one, of("/a", "c", "1", "web"));
        for other in [
            of("/b", "c", "1", "web"),
            of("/a", "d", "1", "web"),
            of("/a", "c", "2", "web"),
            of("/a", "c", "1", "api"),
        ] {
            assert_ne!(one, other);
        }
    }
}
