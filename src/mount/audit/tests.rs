use std::time::Duration;

use super::*;
use crate::{
    error::Reason,
    keys::Keys,
    login::KeyedLogin,
    names::OidcProviderArn,
    policy::ChosenBy,
    request::caller::Caller,
    secret::Secret,
    spc::{RequestedIdentity, mode::Mode, objects::tests::parsed},
};

const ROLE: &str = "acs:ram::1:role/web";
const PARTNER: &str = "acs:ram::2:role/partner";
const HOST: &str = "kms-vpc.cn-hangzhou.aliyuncs.com";
const STS: &str = "sts-vpc.cn-hangzhou.aliyuncs.com";

const ONE: &str = "- objectName: a";
const TWO: &str = "- objectName: a\n- objectName: b\n";

/// Of a mount of the pod shop/web-1, whose objects were read like this.
fn trace(objects: &str, reads: Vec<Read>) -> Trace {
    let own = str::to_owned;
    let pod = Pod {
        namespace: own("shop"),
        name: own("web-1"),
        uid: own("u-1"),
        service_account: own("web"),
    };
    Trace {
        caller: Caller { pod: Some(pod), class: Some(own("checkout")), via: Some(Via::Driver) },
        requested: RequestedIdentity::Mode(Mode::Pod),
        identity: Some(identity(Mode::Pod, own_role()).into()),
        objects: Some(parsed(objects).unwrap().into()),
        reads,
        ..Trace::of("", true)
    }
}

const SESSION: &str = "shop@web@web-1";

fn identity(mode: Mode, login: Login) -> Identity {
    Identity {
        mode,
        chosen_by: ChosenBy::SecretProviderClass,
        own_allowed: true,
        login: KeyedLogin::new(login),
        session_name: SESSION.to_owned(),
        trust_hint: String::new(),
    }
}

fn own_role() -> Login {
    let provider = "acs:ram::1:oidc-provider/ack";
    Login::Oidc {
        role: RoleArn::parse(ROLE).unwrap(),
        provider: OidcProviderArn::parse(provider).unwrap(),
        token: Arc::new(Secret::new("token".to_owned())),
        subject: "system:serviceaccount:shop:web".to_owned(),
        shared: false,
        name: SESSION.to_owned(),
        lifetime: Duration::from_secs(3600),
    }
}

fn access_key() -> Login {
    Login::Keys(Arc::new(Keys {
        id: "LTAI1".to_owned(),
        secret: Secret::new("secret".to_owned()),
        token: None,
    }))
}

/// Of a request of which nothing could be read.
fn blank() -> Trace {
    Trace::of("", true)
}

fn ended(origin: Origin) -> Read {
    Read { time: Timestamp::now(), origin, value: None, missing: false, error: None }
}

fn got() -> Read {
    let value = ValueFacts { version: "v7".to_owned(), request_id: "r-value".to_owned() };
    Read { value: Some(value), ..ended(Origin::Cloud) }
}

fn no(error: Error) -> Read {
    Read { error: Some(error), ..ended(Origin::Cloud) }
}

/// What a host of the cloud said.
fn told(reason: Reason, code: &str, request: &str, host: &str) -> Error {
    Error {
        code: Some(code.into()),
        request: Some(request.into()),
        host: Some(host.into()),
        ..Error::new(reason, "it says no")
    }
}

fn denied() -> Error {
    told(Reason::Denied, "Forbidden.NoPermission", "r-error", HOST)
}

fn gone() -> Error {
    told(Reason::NotFound, "Forbidden.ResourceNotFound", "r-error", HOST)
}

fn invalid() -> Error {
    Error::new(Reason::InvalidRole, "is wrong").subject("parameter roleArn")
}

fn events(records: &[Record]) -> Vec<(Event, &'static str)> {
    records.iter().map(|record| (record.event, record.outcome)).collect()
}

// Mounts that succeeded.

#[test]
fn mount_has_a_record_for_each_object_in_their_order() {
    let records = mounted(&trace(TWO, vec![got(), got()]));
    assert_eq!(events(&records), [(Event::Read, "OK"); 2]);
    let objects: Vec<&str> = records.iter().map(|record| &*record.object).collect();
    assert_eq!(objects, ["a", "b"]);
    assert!(records.iter().all(|record| record.mounted));
}

#[test]
fn record_of_a_read_tells_what_was_read_where() {
    let records = mounted(&trace(ONE, vec![got()]));
    let record = &records[0];
    assert_eq!(record.object_type, "kms");
    assert_eq!(record.resource, "acs:kms:cn-hangzhou:1:secret/a");
    assert_eq!((&*record.version, &*record.request_id), ("v7", "r-value"));
    assert_eq!((&*record.endpoint, record.source), (HOST, "cloud"));
    assert_eq!((&*record.code, &*record.reason), ("", ""));
}

#[test]
fn record_tells_who_asked() {
    let mount = trace(ONE, vec![got()]);
    let records = mounted(&mount);
    let asked = &records[0].asked;
    assert_eq!(asked.mount, mount.id);
    assert_eq!(
        [&asked.namespace, &asked.pod, &asked.uid, &asked.service_account],
        ["shop", "web-1", "u-1", "web"]
    );
    assert_eq!((&*asked.secret_provider_class, asked.via), ("checkout", "driver"));
    assert_eq!(
        [asked.identity, asked.identity_requested, asked.identity_chosen_by],
        ["pod", "pod", "secretproviderclass"]
    );
}

#[test]
fn optional_object_that_does_not_exist_is_missing() {
    let read = Read { missing: true, ..no(gone()) };
    let records = mounted(&trace("- {objectName: a, optional: true}", vec![read]));
    assert_eq!(events(&records), [(Event::Read, "MISSING")]);
    assert!(records[0].mounted);
}

#[test]
fn value_of_memory_says_so() {
    let records = mounted(&trace(ONE, vec![Read { origin: Origin::Memory, ..got() }]));
    assert_eq!((records[0].outcome, records[0].source), ("OK", "memory"));
}

#[test]
fn stale_value_is_served_with_its_age_and_the_reason() {
    let age = Duration::from_millis(61_900);
    for (origin, source) in [(Origin::Grace(age), "grace"), (Origin::Stale(age), "stale")] {
        let read = Read { origin, error: Some(Error::new(Reason::Fault, "why")), ..got() };
        let record = mounted(&trace(ONE, vec![read])).remove(0);
        assert_eq!((record.outcome, record.source), ("OK", source));
        assert_eq!(record.reason, "last read 61 s ago; why");
    }
}

#[test]
fn stale_value_has_its_own_request_and_host_beside_the_code_of_the_failure() {
    let error = told(Reason::Throttled, "Throttling", "r-error", STS);
    let read = Read { origin: Origin::Stale(Duration::ZERO), error: Some(error), ..got() };
    let record = mounted(&trace(ONE, vec![read])).remove(0);
    assert_eq!((&*record.request_id, &*record.endpoint), ("r-value", HOST));
    assert_eq!(record.code, "Throttling");
}

// As whom.

#[test]
fn object_is_read_as_the_mounts_own_role() {
    let record = mounted(&trace(ONE, vec![got()])).remove(0);
    let asked = &record.asked;
    assert_eq!((&*asked.role, &*asked.session), (ROLE, "shop@web@web-1"));
}

#[test]
fn object_of_another_account_is_read_as_the_role_there() {
    let objects = format!("- objectName: b\n- {{objectName: a, crossAccountRoleArn: '{PARTNER}'}}");
    let mut trace = trace(&objects, vec![got(), got()]);
    trace.identity = Some(identity(Mode::AccessKey, access_key()).into());
    let records = mounted(&trace);
    let [own, other] = &*records else { panic!() };
    assert_eq!((&*own.asked.role, &*own.asked.access_key_id), ("", "LTAI1"));
    assert_eq!((&*other.asked.role, &*other.asked.access_key_id), (PARTNER, ""));
    assert_eq!(other.resource, "acs:kms:cn-hangzhou:2:secret/a");
}

#[test]
fn resource_of_a_login_without_a_role_is_of_an_unknown_account() {
    let mut trace = trace(ONE, vec![got()]);
    trace.identity = Some(identity(Mode::EcsRole, Login::EcsRole).into());
    assert_eq!(mounted(&trace)[0].resource, "acs:kms:cn-hangzhou:*:secret/a");
}

#[test]
fn who_asked_is_held_once_for_all_objects_of_a_role() {
    let other = format!("crossAccountRoleArn: '{PARTNER}'");
    let objects = format!("{TWO}- {{objectName: c, {other}}}\n- {{objectName: d, {other}}}\n");
    let records = mounted(&trace(&objects, vec![got(), got(), got(), got()]));
    let same = |a: usize, b: usize| Arc::ptr_eq(&records[a].asked, &records[b].asked);
    assert!(same(0, 1) && same(2, 3) && !same(1, 2));
}

// Mounts that failed.

#[test]
fn read_that_failed_is_the_record_of_its_mount() {
    let records = failed(&trace(TWO, vec![got(), no(denied())]), &denied().into());
    assert_eq!(events(&records), [(Event::Read, "OK"), (Event::Read, "PERMISSION_DENIED")]);
    assert!(records.iter().all(|record| !record.mounted));
}

#[test]
fn read_that_failed_tells_what_the_cloud_said() {
    let records = failed(&trace(ONE, vec![no(denied())]), &denied().into());
    let record = &records[0];
    assert_eq!((&*record.code, &*record.request_id), ("Forbidden.NoPermission", "r-error"));
    assert!(record.reason.starts_with("it says no"), "{}", record.reason);
}

#[test]
fn read_that_failed_at_its_login_names_the_host_of_that() {
    let error = told(Reason::Denied, "NoPermission", "r-error", STS);
    let records = failed(&trace(ONE, vec![no(error.clone())]), &error.into());
    assert_eq!(records[0].endpoint, STS);
}

#[test]
fn read_that_failed_here_names_the_host_that_was_to_be_asked() {
    let error = Error::new(Reason::Fault, "a fault of ours");
    let records = failed(&trace(ONE, vec![no(error.clone())]), &error.into());
    assert_eq!((&*records[0].endpoint, &*records[0].code), (HOST, ""));
}

#[test]
fn read_that_failed_has_the_version_that_was_asked_for() {
    let objects = "- {objectName: a, objectVersion: v1}";
    let records = failed(&trace(objects, vec![no(denied())]), &denied().into());
    assert_eq!(records[0].version, "v1");
}

#[test]
fn object_that_must_exist_and_does_not_is_not_found() {
    let read = Read { missing: true, ..no(gone()) };
    let records = failed(&trace(ONE, vec![read]), &gone().into());
    assert_eq!(events(&records), [(Event::Read, "NOT_FOUND")]);
}

#[test]
fn read_that_ended_without_a_reason_is_a_fault() {
    let records = failed(&trace(ONE, vec![ended(Origin::Cloud)]), &denied().into());
    assert_eq!(records[0].outcome, "INTERNAL");
}

#[test]
fn mount_that_failed_after_its_reads_has_a_record_of_its_own() {
    let optional = "- objectName: a\n- {objectName: b, optional: true}\n";
    let reads = vec![got(), Read { missing: true, ..no(gone()) }];
    let records = failed(&trace(optional, reads), &invalid().into());
    assert_eq!(
        events(&records),
        [(Event::Read, "OK"), (Event::Read, "MISSING"), (Event::Refusal, "INVALID_ARGUMENT")]
    );
    assert!(records.iter().all(|record| !record.mounted));
    assert_eq!(records[2].reason, "parameter roleArn: is wrong");
}

#[test]
fn mount_that_failed_before_its_reads_tells_as_whom_it_would_have_read() {
    let records = failed(&trace(ONE, Vec::new()), &invalid().into());
    assert_eq!(events(&records), [(Event::Refusal, "INVALID_ARGUMENT")]);
    assert_eq!((&*records[0].asked.role, &*records[0].asked.pod), (ROLE, "web-1"));
}

#[test]
fn mount_without_an_identity_tells_what_was_asked_for() {
    let trace = Trace { identity: None, ..trace(ONE, Vec::new()) };
    let records = failed(&trace, &denied().into());
    let asked = &records[0].asked;
    assert_eq!((asked.identity, asked.identity_requested), ("", "pod"));
    assert_eq!((asked.identity_chosen_by, &*asked.role), ("", ""));
}

#[test]
fn mount_of_which_nothing_could_be_read_has_a_record() {
    let records = failed(&blank(), &invalid().into());
    assert_eq!(events(&records), [(Event::Refusal, "INVALID_ARGUMENT")]);
    let asked = &records[0].asked;
    assert!(!asked.mount.is_empty());
    let empty = [&asked.namespace, &asked.pod, &asked.secret_provider_class];
    assert_eq!((empty, asked.via), ([""; 3].map(str::to_owned).each_ref(), ""));
}

#[test]
fn refusal_tells_the_first_answer_of_a_host() {
    let second = told(Reason::Denied, "NoPermission", "r-2", STS);
    let third = told(Reason::Denied, "Other", "r-3", HOST);
    let errors = Errors::of(vec![invalid(), second, third]).unwrap();
    let record = failed(&blank(), &errors).remove(0);
    assert_eq!([&record.code, &record.request_id, &record.endpoint], ["NoPermission", "r-2", STS]);
}

#[test]
fn refusal_has_the_outcome_that_the_driver_gets_and_all_reasons() {
    let errors = Errors::of(vec![denied(), invalid()]).unwrap();
    let record = failed(&blank(), &errors).remove(0);
    assert_eq!(record.outcome, "INVALID_ARGUMENT");
    assert!(record.reason.contains("it says no") && record.reason.contains("is wrong"));
}

#[test]
fn mount_that_was_given_up_is_a_fault_of_its_own() {
    for reads in [vec![], vec![got()]] {
        let records = abandoned(&trace(ONE, reads));
        let last = records.last().unwrap();
        assert_eq!((last.event, last.outcome, last.mounted), (Event::Refusal, "INTERNAL", false));
        assert!(last.reason.starts_with("the caller went away"), "{}", last.reason);
    }
}

#[test]
fn mount_that_was_given_up_after_a_failed_read_has_that_alone() {
    let records = abandoned(&trace(ONE, vec![no(denied())]));
    assert_eq!(events(&records), [(Event::Read, "PERMISSION_DENIED")]);
}

#[test]
fn texts_of_the_request_are_escaped() {
    let mut trace = trace(ONE, vec![got()]);
    trace.caller.pod.as_mut().unwrap().name = "web\u{202e}1".to_owned();
    assert_eq!(mounted(&trace)[0].asked.pod, "web\\u{202e}1");
}
