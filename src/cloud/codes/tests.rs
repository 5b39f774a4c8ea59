use super::*;

const SERVICES: [Service; 3] = [Service::Sts, Service::Kms, Service::Oos];

fn of(row: &Known) -> &[Service] {
    match &row.service {
        Some(service) => std::slice::from_ref(service),
        None => &SERVICES,
    }
}

#[test]
fn every_row_is_reachable_and_its_status_agrees_with_its_cause() {
    for row in KNOWN {
        let code = row.code.replace('*', ".Example");
        for service in of(row) {
            let found = find(*service, &code).unwrap();
            assert_eq!((found.code, found.cause), (row.code, row.cause), "{service:?} {code}");
            let cause = cause(*service, row.status, &code, false);
            assert_eq!(cause, row.cause, "{service:?} {code}");
        }
    }
}

/// `optional` leaves out what does not exist, so no other answer may say that.
#[test]
fn only_the_services_own_codes_for_a_missing_object_mean_that_it_is_missing() {
    let missing = |row: &&Known| row.cause == Cause::NotFound;
    let rows: Vec<_> = KNOWN.iter().filter(missing).map(|row| (row.service, row.code)).collect();
    let expected = [(KMS, "Forbidden.ResourceNotFound"), (OOS, "EntityNotExists.Parameter")];
    assert_eq!(rows, expected);
    for service in SERVICES {
        for code in ["Unheard.Of", "EntityNotExists.Other", "InvalidResource.NotFound"] {
            assert_eq!(cause(service, 404, code, true), Cause::Unusable, "{service:?} {code}");
        }
    }
    let other = cause(Service::Oos, 404, "Forbidden.ResourceNotFound", true);
    assert_eq!(other, Cause::Unusable, "another service's code");
}

#[test]
fn a_code_that_is_not_known_is_classified_by_its_status() {
    for (status, code, expected) in [
        (429, "Unheard.Of", Cause::Throttled),
        (403, "Other.Throttling", Cause::Throttled),
        (500, "Forbidden.NoPermission", Cause::Server),
        (401, "NoSuchKey", Cause::Unauthenticated),
        (403, "Forbidden.SomethingNew", Cause::Denied),
        (409, "Rejected.SomethingNew", Cause::Unusable),
        (400, "Teapot", Cause::Invalid),
    ] {
        assert_eq!(cause(Service::Kms, status, code, false), expected, "{status} {code}");
    }
}

#[test]
fn no_code_counts_with_a_status_that_the_services_errors_do_not_have() {
    for status in [200, 302, 402, 405, 407, 408, 410, 413, 418, 421, 428, 431, 451] {
        for code in ["Forbidden.ResourceNotFound", "Forbidden.NoPermission", "Unheard.Of"] {
            let cause = cause(Service::Kms, status, code, true);
            assert_eq!(cause, Cause::OnTheWay, "{status} {code}");
        }
    }
}

#[test]
fn an_unknown_access_key_of_a_session_is_a_session_that_is_over() {
    for (temporary, expected) in [(true, Cause::SessionRefused), (false, Cause::Unauthenticated)] {
        let found = cause(Service::Kms, 404, "InvalidAccessKeyId.NotFound", temporary);
        assert_eq!(found, expected);
    }
}
