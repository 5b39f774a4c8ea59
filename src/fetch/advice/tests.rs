use std::sync::Arc;

use super::{
    super::tests::{access_key, identity, pod},
    *,
};
use crate::{
    keys::Keys,
    secret::Secret,
    spc::{mode::Mode, objects::tests::parsed},
};

const PARTNERS: &str = "acs:kms:cn-hangzhou:2:secret/a";

fn object(fields: &str) -> Object {
    parsed(&format!("- {{{fields}}}")).unwrap().remove(0)
}

/// What to do about an object that is denied to a pod, alone or not.
fn denied_to_pod(fields: &str, alone: bool) -> String {
    hint(Cause::Denied, &object(fields), &pod("t"), alone)
}

#[test]
fn denied_object_has_the_statement_to_add() {
    assert_eq!(
        denied_to_pod("objectName: a", true),
        "allow role acs:ram::1:role/web kms:GetSecretValue on it: {\"Effect\":\"Allow\",\
         \"Action\":\"kms:GetSecretValue\",\"Resource\":\"acs:kms:cn-hangzhou:1:secret/a\"}"
    );
}

#[test]
fn denied_parameter_has_both_actions_and_resources() {
    assert_eq!(
        denied_to_pod("objectName: /a/b, objectType: oos", true),
        "allow role acs:ram::1:role/web oos:GetSecretParameter and kms:GetSecretValue on it: \
         {\"Effect\":\"Allow\",\"Action\":[\"oos:GetSecretParameter\",\"kms:GetSecretValue\"],\
         \"Resource\":[\"acs:oos:cn-hangzhou:1:secretparameter/a/b\",\
         \"acs:kms:cn-hangzhou:1:secret/a/b\"]}"
    );
}

#[test]
fn several_denied_objects_have_one_statement_for_any_name() {
    let fix = denied_to_pod("objectName: a", false);
    assert!(fix.ends_with("\"Resource\":\"acs:kms:cn-hangzhou:1:secret/NAME\"}"), "{fix}");
}

#[test]
fn denied_object_is_named_up_to_a_hundred_characters() {
    for (length, named) in [(100, true), (101, false)] {
        let name = "x".repeat(length);
        let fix = denied_to_pod(&format!("objectName: {name}"), true);
        assert_eq!(fix.contains(&name), named, "{length}");
        assert_eq!(fix.contains("secret/NAME"), !named, "{length}");
    }
}

#[test]
fn denied_secret_of_another_account_needs_a_role_of_that() {
    assert_eq!(
        denied_to_pod(&format!("objectName: '{PARTNERS}'"), true),
        "the secret is account 2's, and role acs:ram::1:role/web is of account 1: set \
         crossAccountRoleArn to a role of account 2 that may read it"
    );
}

#[test]
fn denied_secret_of_the_roles_own_account_needs_a_permission() {
    let fields = format!("objectName: '{PARTNERS}', crossAccountRoleArn: 'acs:ram::2:role/p'");
    let fix = denied_to_pod(&fields, true);
    assert!(fix.starts_with("allow role acs:ram::2:role/p kms:GetSecretValue on it"), "{fix}");
}

#[test]
fn denied_shared_identity_is_told_of_the_pods_own() {
    let fix = hint(Cause::Denied, &object("objectName: a"), &access_key(), true);
    assert!(fix.contains("\"acs:kms:cn-hangzhou:*:secret/a\"}, or set identity: pod"), "{fix}");
}

#[test]
fn denied_role_of_another_account_is_not_told_of_the_pods_own() {
    let fields = "objectName: a, crossAccountRoleArn: 'acs:ram::2:role/p'";
    let fix = hint(Cause::Denied, &object(fields), &access_key(), true);
    assert!(fix.ends_with("\"acs:kms:cn-hangzhou:2:secret/a\"}"), "{fix}");
}

#[test]
fn object_that_does_not_exist_is_looked_for_by_what_was_asked() {
    let of = |cause, fields| hint(cause, &object(fields), &pod("t"), true);
    let version = "objectName: a, objectVersion: v1";
    assert_eq!(of(Cause::NotFound, "objectName: a"), "check its name, region and version");
    assert_eq!(
        of(Cause::NoVersion, version),
        "check its name, region and version: version id \"v1\" was asked for"
    );
    assert_eq!(of(Cause::NoVersion, "objectName: a"), "check its name, region and version");
    assert_eq!(of(Cause::Invalid, "objectName: a"), "check its name");
    assert_eq!(
        of(Cause::Invalid, version),
        "check its name and version: version id \"v1\" was asked for"
    );
}

#[test]
fn optional_object_without_its_version_is_told_what_optional_is_for() {
    let optional = object("objectName: a, objectVersion: v1, optional: true");
    let fix = hint(Cause::NoVersion, &optional, &pod("t"), true);
    assert!(fix.ends_with("; optional is for one that does not exist at all"), "{fix}");
}

#[test]
fn access_key_that_is_not_taken_is_to_be_checked() {
    for cause in [Cause::SessionRefused, Cause::Unauthenticated] {
        let fix = hint(cause, &object("objectName: a"), &access_key(), true);
        assert_eq!(fix, "check the keys of access key LTAI1");
    }
}

#[test]
fn session_that_is_not_taken_is_tried_again() {
    let role = "objectName: a, crossAccountRoleArn: 'acs:ram::2:role/p'";
    for (fields, identity, who) in [
        ("objectName: a", pod("t"), "role acs:ram::1:role/web"),
        (role, access_key(), "role acs:ram::2:role/p"),
    ] {
        assert_eq!(
            hint(Cause::SessionRefused, &object(fields), &identity, true),
            format!("the session that {who} was given is not taken; the mount is tried again")
        );
    }
}

#[test]
fn failure_that_says_all_has_no_advice() {
    for cause in [Cause::Throttled, Cause::Server, Cause::TimedOut, Cause::Unusable, Cause::Clock] {
        assert_eq!(hint(cause, &object("objectName: a"), &pod("t"), true), "", "{cause:?}");
    }
}

#[test]
fn key_that_may_be_a_secret_is_not_named() {
    let secret = Secret::new("LTAI1".to_owned());
    let keys = Keys { id: "planted".to_owned(), secret, token: None };
    let identity = identity(Mode::AccessKey, Login::Keys(Arc::new(keys)));
    let fix = hint(Cause::Unauthenticated, &object("objectName: a"), &identity, true);
    assert_eq!(fix, "check the keys of the access key");
}
