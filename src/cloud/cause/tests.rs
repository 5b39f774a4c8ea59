use super::*;
use crate::http::{ConnectionError, Untrusted};

const REFUSALS: [Cause; 8] = [
    Cause::Denied,
    Cause::Invalid,
    Cause::NoRole,
    Cause::NotFound,
    Cause::NoVersion,
    Cause::SessionRefused,
    Cause::Unauthenticated,
    Cause::Unusable,
];

const PASSING: [Cause; 6] = [
    Cause::Broken(Broken::Connection(ConnectionError::Refused)),
    Cause::Garbled,
    Cause::OnTheWay,
    Cause::Server,
    Cause::Throttled,
    Cause::TimedOut,
];

const OTHERS: [Cause; 10] = [
    Cause::Broken(Broken::Certificate(Untrusted::Expired)),
    Cause::Broken(Broken::TooLarge),
    Cause::Clock,
    Cause::IssuerUnread,
    Cause::NoPlace(Full::Service(1)),
    Cause::NoPlace(Full::Host(1)),
    Cause::NonceUsed,
    Cause::OldInstance,
    Cause::UnknownApi,
    Cause::Unsendable,
];

fn all() -> impl Iterator<Item = Cause> {
    REFUSALS.into_iter().chain(PASSING).chain(OTHERS)
}

#[test]
fn refusal_ends_what_was_read_before_and_nothing_else_does() {
    for cause in all() {
        assert_eq!(cause.is_refusal(), REFUSALS.contains(&cause), "{cause:?}");
    }
}

#[test]
fn failure_passes_if_asking_again_can_help() {
    for cause in all() {
        assert_eq!(cause.is_transient(), PASSING.contains(&cause), "{cause:?}");
    }
}

#[test]
fn object_is_missing_only_if_the_cloud_says_that_it_does_not_exist() {
    for cause in all() {
        assert_eq!(cause.is_missing(), cause == Cause::NotFound, "{cause:?}");
    }
}

#[test]
fn failure_of_the_host_or_the_identity_is_none_of_a_batch() {
    for cause in [
        Cause::Broken(Broken::Connection(ConnectionError::Refused)),
        Cause::Broken(Broken::Certificate(Untrusted::Expired)),
        Cause::Clock,
        Cause::Server,
        Cause::SessionRefused,
        Cause::Throttled,
        Cause::TimedOut,
        Cause::Unauthenticated,
    ] {
        assert!(!cause.is_of_a_batch(), "{cause:?}");
    }
}

#[test]
fn failure_that_one_object_can_cause_is_of_a_batch() {
    for cause in [
        Cause::Broken(Broken::TooLarge),
        Cause::Denied,
        Cause::Invalid,
        Cause::NotFound,
        Cause::OldInstance,
        Cause::UnknownApi,
        Cause::Unusable,
    ] {
        assert!(cause.is_of_a_batch(), "{cause:?}");
    }
}

#[test]
fn failure_that_passes_is_internal_and_no_fault_of_the_pods_author() {
    for cause in PASSING {
        assert_eq!(cause.kind(), ErrorKind::Internal, "{cause:?}");
    }
}

#[test]
fn refusal_has_the_kind_of_what_its_owner_has_to_mend() {
    let kinds = REFUSALS.map(Cause::kind);
    use ErrorKind::{Denied, Invalid, NotFound, Unauthenticated, Unusable};
    assert_eq!(
        kinds,
        [Denied, Invalid, NotFound, NotFound, NotFound, Unauthenticated, Unauthenticated, Unusable]
    );
}
