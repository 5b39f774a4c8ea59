//! Mount observer: hands the trace of one mount to log, metrics, Events and the audit record when it
//! ends, however it ends.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;

use super::{audit, code_name, event, log, trace::Trace};
use crate::{
    audit::Audit,
    digest::Digest,
    error::Errors,
    events::Events,
    refresh_events::{Failure, RefreshEvents},
    request::caller::{Caller, Via},
    telemetry::{
        Metrics,
        volumes::{Failing, Refreshed},
    },
};

/// Where mounts are recorded.
#[derive(Debug)]
pub struct Observers {
    pub audit: Audit,
    pub events: Events,
    /// Events of this program's own, where the operator wants them.
    pub refresh_events: Option<RefreshEvents>,
    pub metrics: Arc<Metrics>,
}

/// One mount that is observed. A mount whose caller goes away is recorded too.
#[derive(Debug)]
pub(super) struct Observed<'a> {
    observers: &'a Observers,
    pub(super) trace: Trace,
    /// Whether what is logged now is in the mount's span.
    in_span: bool,
    ended: bool,
    audited: bool,
}

impl<'a> Observed<'a> {
    pub(super) fn begin(observers: &'a Observers, target_path: &str) -> Self {
        let recorded = observers.audit.is_on();
        let trace = Trace::of(target_path, recorded);
        Self { observers, trace, in_span: false, ended: false, audited: !recorded }
    }

    /// The span that the rest of the mount runs in. It is made when it is known who asks.
    pub(super) fn span(&mut self) -> Span {
        self.in_span = true;
        log::span(&self.trace)
    }

    pub(super) fn caller(&mut self, caller: Caller) {
        self.trace.caller = caller;
    }

    /// Nothing is handed out without its record, where the operator wants that.
    pub(super) async fn audit<T>(
        &mut self,
        outcome: Result<T, Errors>,
        deadline: Instant,
    ) -> Result<T, Errors> {
        let audit = &self.observers.audit;
        if std::mem::replace(&mut self.audited, true) {
            return outcome;
        }
        match outcome {
            Ok(answer) => {
                let records = audit::mounted(&self.trace);
                if !records.is_empty() {
                    audit.admit(records, deadline).await?;
                }
                Ok(answer)
            }
            Err(errors) => {
                let records = audit::failed(&self.trace, &errors);
                if !records.is_empty() {
                    audit.refuse(records, deadline).await;
                }
                Err(errors)
            }
        }
    }

    pub(super) fn mounted(mut self, files: usize) {
        log::mounted(&self.trace, files);
        let volume = event::volume(&self.trace);
        self.observers.events.mounted(volume);
        self.count("OK", volume);
        if let Some(events) = &self.observers.refresh_events {
            events.mounted(&volume);
        }
    }

    /// What kubelet gets: the words of the first time, where this failure repeats an earlier one.
    pub(super) fn failed(mut self, errors: &Errors) -> String {
        log::failed(&self.trace, errors);
        self.observers.metrics.mount_failed(errors.reason().name());
        let (volume, cause) = (event::volume(&self.trace), event::cause(&self.trace, errors));
        let failing = self.count(code_name(errors.kind().code()), volume);
        let message = errors.message_after(&self.trace.caller.prefix());
        self.refresh_failed(volume, failing, errors);
        self.observers.events.failed(volume, cause, message)
    }

    /// Where the pod has its files, the driver answers kubelet that all is well.
    fn refresh_failed(&self, volume: Digest, failing: Option<Failing>, errors: &Errors) {
        let Caller { pod: Some(pod), class: Some(class), via: Some(Via::Driver) } =
            &self.trace.caller
        else {
            return;
        };
        if let (Some(events), Some(failing)) = (&self.observers.refresh_events, failing) {
            let mount = &self.trace.id;
            events.failed(volume, failing, &Failure { mount, pod, class, errors });
        }
    }

    /// Since when the volume has been failing, if it does.
    fn count(&mut self, code: &'static str, volume: Digest) -> Option<Failing> {
        self.ended = true;
        let metrics = &self.observers.metrics;
        metrics.mount(self.trace.mode(), code, self.trace.started.elapsed());
        if let Some(from) = self.trace.from {
            metrics.answered(from.name());
        }
        metrics.optional_missing(self.trace.left_out);
        let stale = self.trace.stale().max();
        let how = match stale {
            _ if code != "OK" => Refreshed::Failed,
            Some(age) => {
                metrics.stale(age);
                Refreshed::Stale
            }
            None => Refreshed::Fresh,
        };
        // The sync controller mounts nothing, and names no class.
        let class = self.trace.caller.class.as_deref()?;
        let [namespace, ..] = self.trace.pod();
        metrics.volumes.ended(volume, (namespace, class), how)
    }
}

/// A caller that is gone waits for nothing.
impl Drop for Observed<'_> {
    fn drop(&mut self) {
        if !self.ended {
            let span = if self.in_span { Span::none() } else { log::span(&self.trace) };
            let _in_span = span.enter();
            let (code, reason) = match std::thread::panicking() {
                true => ("PANIC", "the provider panicked"),
                false => ("CALLER_GONE", "the caller went away before the answer"),
            };
            log::abandoned(&self.trace, code, reason);
            self.count(code, event::volume(&self.trace));
        }
        if !self.audited {
            let records = audit::abandoned(&self.trace);
            if !records.is_empty() {
                self.observers.audit.note(records);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_without_an_answer_is_counted_by_how_it_ended() {
        let observers = Observers {
            audit: Audit::off(),
            events: Events::default(),
            refresh_events: None,
            metrics: Arc::new(Metrics::new()),
        };
        let begin = || Observed::begin(&observers, "");
        drop(begin());
        begin().mounted(0);
        let fault = std::panic::AssertUnwindSafe(|| {
            let _observed = begin();
            panic!("a fault");
        });
        std::panic::catch_unwind(fault).unwrap_err();
        let text = observers.metrics.text();
        for outcome in ["CALLER_GONE", "OK", "PANIC"] {
            let count = format!("{{identity=\"undecided\",outcome=\"{outcome}\"}} 1");
            assert!(text.contains(&count), "{outcome}: {text}");
        }
    }
}
