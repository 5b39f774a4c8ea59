//! Mount event: what makes a failure the same as an earlier one, so that kubelet counts one Event.

use super::trace::Trace;
use crate::{
    digest::{Digest, Parts, joined},
    error::Errors,
};

/// Tells this volume from all others. The sync controller mounts all of its own at one path.
pub(super) fn volume(trace: &Trace) -> Digest {
    let mut parts = Parts::new();
    let class = trace.caller.class.as_deref().unwrap_or_default();
    for part in trace.pod().into_iter().chain([class, &trace.target_path]) {
        parts.part(part);
    }
    parts.digest()
}

/// Tells this failure from others of the same volume: what went wrong, what was asked for, in which
/// version, and as whom.
pub(super) fn cause(trace: &Trace, errors: &Errors) -> Digest {
    let mut parts = Parts::new();
    errors.cause(&mut parts);
    let who = trace.identity.as_ref().map(|identity| identity.login.who()).unwrap_or_default();
    for part in [trace.mode(), trace.chosen_by(), &who] {
        parts.part(part);
    }
    let objects = trace.objects.iter().flat_map(|objects| objects.iter());
    objects.fold(parts.digest(), |digest, object| joined(&digest, object.read.digest()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Pod;

    #[test]
    fn volume_is_told_from_others_by_pod_class_and_path() {
        let of = |path: &str, class: &str, uid: &str, account: &str| {
            let mut trace = Trace::of(path, false);
            trace.caller.class = Some(class.to_owned());
            trace.caller.pod = Some(Pod {
                namespace: "shop".to_owned(),
                name: "p".to_owned(),
                uid: uid.to_owned(),
                service_account: account.to_owned(),
            });
            volume(&trace)
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
