use super::*;
use crate::{
    endpoint::Endpoints,
    error::ErrorKind,
    secret::Secret,
    spc::{
        context::Context,
        file::{FileMode, PathTranslation},
        objects,
    },
};

const ROLE: &str = "acs:ram::1:role/web";
const PARTNER: &str = "acs:ram::2:role/partner";
const INSTANCE: &str = "kst-1.cryptoservice.kms.aliyuncs.com";

const SHARED: [Mode; 4] = [Mode::Provider, Mode::RamRole, Mode::AccessKey, Mode::EcsRole];
const OWN: [Mode; 2] = [Mode::Pod, Mode::NodePublishSecret];

fn keys(id: &str, secret: &str) -> Arc<Keys> {
    let secret = Secret::new(secret.to_owned());
    Arc::new(Keys { id: id.to_owned(), secret, token: None })
}

/// Everything is set up and allowed.
fn policy() -> Policy {
    Policy {
        share: Share::Pod,
        default: DefaultMode::Mode(Mode::Pod),
        allowed: Mode::ALL.into(),
        cross_account_roles: Vec::new(),
        namespaces: None,
        oidc_provider: OidcProviderArn::of_cluster("1", "c"),
        role: RoleArn::parse(ROLE),
        token_file: Some("/token".into()),
        keys: Some(keys("LTAI1", "s")),
        ecs_metadata: true,
        session_name: None,
        session_lifetime: Duration::from_secs(3600),
    }
}

fn auto() -> Policy {
    Policy { default: DefaultMode::Auto, ..policy() }
}

/// Where the operator lists these endpoints.
fn spec_with(identity: RequestedIdentity, objects: &str, allowed: &[&str]) -> Spec {
    let allowed = allowed.iter().map(|glob| Glob::new(glob)).collect();
    let endpoints = Endpoints { allowed, ..Endpoints::of_hangzhou() };
    let context = Context {
        endpoints: &endpoints,
        region: &endpoints.region,
        translation: PathTranslation::Off,
        mode: FileMode::default(),
    };
    let objects = objects::parse(objects, &context).unwrap().into();
    Spec { identity, ..Spec::of(objects) }
}

fn spec(identity: RequestedIdentity) -> Spec {
    spec_with(identity, "- objectName: a", &[])
}

fn of_mode(mode: Mode, objects: &str) -> Spec {
    spec_with(RequestedIdentity::Mode(mode), objects, &[])
}

fn decide(spec: &Spec, policy: &Policy) -> Result<Decision, Errors> {
    policy.decide(spec, &NodePublishKeys::Absent, None)
}

/// The only error that there is.
fn refused(spec: &Spec, policy: &Policy) -> Error {
    let errors: Vec<Error> = decide(spec, policy).unwrap_err().into_iter().collect();
    let [error] = <[Error; 1]>::try_from(errors).unwrap();
    error
}

fn decision(mode: Mode, chosen_by: ChosenBy) -> Decision {
    Decision { mode, chosen_by }
}

#[test]
fn class_that_names_an_identity_has_it() {
    for mode in Mode::ALL {
        let decided = decide(&spec(RequestedIdentity::Mode(mode)), &policy()).unwrap();
        assert_eq!(decided, decision(mode, ChosenBy::SecretProviderClass));
    }
}

#[test]
fn class_that_names_no_identity_has_the_operators_default() {
    for mode in Mode::ALL {
        let policy = Policy { default: DefaultMode::Mode(mode), ..policy() };
        let decided = decide(&spec(RequestedIdentity::Default), &policy).unwrap();
        assert_eq!(decided, decision(mode, ChosenBy::OperatorDefault));
    }
}

#[test]
fn identity_that_is_not_allowed_is_denied_with_those_that_are() {
    let allowed = [Mode::Pod, Mode::EcsRole].into();
    let policy = Policy { allowed, ..policy() };
    let error = refused(&spec(RequestedIdentity::Mode(Mode::AccessKey)), &policy);
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(
        error.to_string(),
        "identity access-key is not allowed here (allowed: pod, ecs-role); the operator can allow it \
         with --allowed-identities=pod,ecs-role,access-key"
    );
}

#[test]
fn allowed_identity_that_is_not_set_up_is_decided_on_all_the_same() {
    let policy = Policy { keys: None, ..policy() };
    let decided = decide(&spec(RequestedIdentity::Mode(Mode::AccessKey)), &policy).unwrap();
    assert_eq!(decided.mode, Mode::AccessKey);
}

#[test]
fn class_without_the_pods_token_is_refused_where_pod_is_the_default() {
    let error = refused(&spec(RequestedIdentity::NotPod), &policy());
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(&*error.subject, "parameter usePodServiceAccountToken");
}

#[test]
fn class_without_the_pods_token_has_another_default() {
    let policy = Policy { default: DefaultMode::Mode(Mode::EcsRole), ..policy() };
    let decided = decide(&spec(RequestedIdentity::NotPod), &policy).unwrap();
    assert_eq!(decided, decision(Mode::EcsRole, ChosenBy::OperatorDefault));
}

#[test]
fn auto_takes_the_first_that_is_set_up_in_the_official_order() {
    let mut policy = auto();
    let mut chosen = Vec::new();
    let brought = NodePublishKeys::Keys(keys("LTAI2", "s"));
    let mut next = |policy: &Policy, keys: &NodePublishKeys| {
        let decided = policy.decide(&spec(RequestedIdentity::Default), keys, None).unwrap();
        assert_eq!(decided.chosen_by, ChosenBy::Auto);
        chosen.push(decided.mode);
    };
    next(&policy, &brought);
    policy.token_file = None;
    next(&policy, &brought);
    policy.role = None;
    next(&policy, &brought);
    next(&policy, &NodePublishKeys::Absent);
    policy.keys = None;
    next(&policy, &NodePublishKeys::Absent);
    assert_eq!(chosen, Mode::ALL[1..]);
}

#[test]
fn auto_with_nothing_set_up_is_unusable_and_never_pod() {
    let policy = Policy { role: None, keys: None, ecs_metadata: false, ..auto() };
    let error = refused(&spec(RequestedIdentity::Default), &policy);
    assert_eq!(error.kind(), ErrorKind::Unusable);
    assert_eq!(&*error.hint, "set identity: pod in the SecretProviderClass");
}

#[test]
fn auto_holds_for_a_class_without_the_pods_token() {
    let decided = decide(&spec(RequestedIdentity::NotPod), &auto()).unwrap();
    assert_eq!(decided, decision(Mode::Provider, ChosenBy::Auto));
}

#[test]
fn auto_that_comes_to_what_is_not_allowed_is_denied_and_takes_no_other() {
    let policy = Policy { allowed: [Mode::Pod, Mode::EcsRole].into(), ..auto() };
    let error = refused(&spec(RequestedIdentity::Default), &policy);
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.message.starts_with("identity provider is not allowed"), "{error}");
}

#[test]
fn auto_takes_a_secret_for_an_access_key_if_it_has_any_part_of_one() {
    let policy = Policy { role: None, ..auto() };
    let chosen = |keys| policy.decide(&spec(RequestedIdentity::Default), &keys, None).unwrap().mode;
    let unusable = NodePublishKeys::Unusable("the Secret has access_key alone".to_owned());
    assert_eq!(chosen(unusable), Mode::NodePublishSecret);
    let others = NodePublishKeys::Others("the Secret has other entries".to_owned());
    assert_eq!(chosen(others), Mode::AccessKey);
}

#[test]
fn role_of_the_class_is_for_identity_pod_alone() {
    for mode in Mode::ALL {
        let role = RoleArn::parse(ROLE);
        let decided = decide(&Spec { role, ..spec(RequestedIdentity::Mode(mode)) }, &policy());
        if mode == Mode::Pod {
            assert_eq!(decided.unwrap().mode, mode);
        } else {
            let errors = decided.unwrap_err();
            assert_eq!(errors.kind(), ErrorKind::Invalid);
            assert!(errors.message().starts_with("parameter roleArn: "), "{errors:?}");
        }
    }
}

fn in_other_account(role: &str) -> String {
    format!("- {{objectName: a, crossAccountRoleArn: '{role}'}}")
}

#[test]
fn shared_identity_assumes_no_role_that_is_not_listed() {
    for mode in SHARED {
        let roles = vec![Glob::new("acs:ram::3:role/*")];
        let policy = Policy { cross_account_roles: roles, ..policy() };
        let error = refused(&of_mode(mode, &in_other_account(PARTNER)), &policy);
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(&*error.subject, "object 1 \"a\", field crossAccountRoleArn");
        assert!(error.message.contains(mode.name()) && error.message.contains(PARTNER), "{error}");
    }
}

#[test]
fn shared_identity_assumes_roles_that_any_pattern_lists() {
    for mode in SHARED {
        let roles = vec![Glob::new("acs:ram::3:role/*"), Glob::new("acs:ram::2:role/*")];
        let policy = Policy { cross_account_roles: roles, ..policy() };
        decide(&of_mode(mode, &in_other_account(PARTNER)), &policy).unwrap();
    }
}

#[test]
fn identity_of_the_pods_own_assumes_any_role() {
    for mode in OWN {
        decide(&of_mode(mode, &in_other_account(PARTNER)), &policy()).unwrap();
    }
}

#[test]
fn every_object_with_a_role_that_is_not_listed_is_told() {
    let objects = format!(
        "- objectName: a\n- {{objectName: b, crossAccountRoleArn: '{PARTNER}'}}\n\
         - {{objectName: c, crossAccountRoleArn: '{PARTNER}'}}\n"
    );
    let errors = decide(&of_mode(Mode::EcsRole, &objects), &policy()).unwrap_err();
    let subjects: Vec<&str> = errors.iter().map(|error| &*error.subject).collect();
    assert_eq!(
        subjects,
        ["object 2 \"b\", field crossAccountRoleArn", "object 3 \"c\", field crossAccountRoleArn"]
    );
}

fn at_instance() -> String {
    format!("- {{objectName: a, kmsEndpoint: {INSTANCE}}}")
}

#[test]
fn shared_identity_goes_to_no_instance_that_is_not_listed() {
    for mode in SHARED {
        let error = refused(&of_mode(mode, &at_instance()), &policy());
        assert_eq!(error.kind(), ErrorKind::Denied);
        assert_eq!(&*error.subject, "object 1 \"a\", field kmsEndpoint");
        assert!(error.message.ends_with(&format!("{INSTANCE} is not listed")), "{error}");
    }
}

#[test]
fn shared_identity_goes_to_instances_that_are_listed() {
    for mode in SHARED {
        let spec = spec_with(RequestedIdentity::Mode(mode), &at_instance(), &["kst-1.*"]);
        decide(&spec, &policy()).unwrap();
    }
}

#[test]
fn identity_of_the_pods_own_goes_to_any_instance() {
    for mode in OWN {
        decide(&of_mode(mode, &at_instance()), &policy()).unwrap();
    }
}

#[test]
fn every_mode_lacks_what_it_needs_and_nothing_else() {
    const OIDC: &str = "--oidc-provider-arn (or --account-id and --cluster-id)";
    const KEYS: &str = "ACCESS_KEY_ID with SECRET_ACCESS_KEY";
    let all = policy();
    let none = Policy { oidc_provider: None, role: None, token_file: None, keys: None, ..policy() };
    for (mode, lacks) in [
        (Mode::Pod, &[OIDC][..]),
        (Mode::Provider, &[OIDC, "--role-arn", "--oidc-token-file"]),
        (Mode::RamRole, &[KEYS, "--role-arn"]),
        (Mode::NodePublishSecret, &[]),
        (Mode::AccessKey, &[KEYS]),
        (Mode::EcsRole, &[]),
    ] {
        assert_eq!(none.lacks(mode), lacks, "{mode}");
        assert_eq!(all.lacks(mode), [""; 0], "{mode}");
    }
    let off = Policy { ecs_metadata: false, ..policy() };
    assert!(off.lacks(Mode::EcsRole)[0].starts_with("instance metadata, which"));
}

#[test]
fn setting_that_a_mode_requires_is_given_out_or_told_with_all_that_it_lacks() {
    assert_eq!(policy().require(&Some(7), Mode::Provider), Ok(&7));
    let policy = Policy { role: None, token_file: None, ..policy() };
    let error = policy.require(&policy.role, Mode::Provider).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unusable);
    assert_eq!(
        &*error.message,
        "identity provider cannot be used: the operator has not set --role-arn and --oidc-token-file"
    );
}

#[test]
fn keys_are_swapped_if_the_secret_alone_looks_like_an_id() {
    let swapped = |id: &str, secret: &str| {
        Policy { keys: Some(keys(id, secret)), ..policy() }.has_swapped_keys()
    };
    assert!(swapped("s", "LTAI1"));
    assert!(!swapped("LTAI1", "s"));
    assert!(!swapped("LTAI1", "LTAI2"));
    assert!(!Policy { keys: None, ..policy() }.has_swapped_keys());
}

#[test]
fn names_of_who_chose_are_those_of_the_audit_record() {
    let all = [ChosenBy::SecretProviderClass, ChosenBy::OperatorDefault, ChosenBy::Auto];
    assert_eq!(all.map(ChosenBy::name), ["secretproviderclass", "operator-default", "auto"]);
}
