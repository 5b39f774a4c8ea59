use std::{path::PathBuf, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::*;
use crate::{
    endpoint::Endpoints,
    error::Reason,
    keys::Keys,
    names::{Glob, OidcProviderArn},
    policy::{DefaultMode, namespaces::NamespaceRules},
    request::{NodePublishKeys, Pod, PodToken, TokenInput, caller::Via},
    secret::Secret,
    spc::{
        RequestedIdentity, Spec,
        context::Context,
        file::{FileMode, PathTranslation},
        objects,
    },
};

const ROLE: &str = "acs:ram::1:role/web";
const OPERATORS_ROLE: &str = "acs:ram::1:role/provider";
const PARTNER: &str = "acs:ram::2:role/partner";

fn pod(namespace: &str, service_account: &str, name: &str) -> Pod {
    let own = str::to_owned;
    Pod {
        namespace: own(namespace),
        name: own(name),
        uid: String::new(),
        service_account: own(service_account),
    }
}

#[test]
fn mode_names_round_trip() {
    for mode in Mode::ALL {
        assert_eq!(Mode::parse(mode.name()), Some(mode));
    }
    assert_eq!(Mode::parse("Pod"), None);
    let all = "pod, provider, ram-role, node-publish-secret, access-key, ecs-role";
    assert_eq!(Mode::list(), all);
}

fn role(arn: &str) -> RoleArn {
    RoleArn::parse(arn).unwrap()
}

fn keys(id: &str) -> Arc<Keys> {
    Arc::new(Keys { id: id.to_owned(), secret: Secret::new("s".to_owned()), token: None })
}

fn token_of(namespace: &str, service_account: &str) -> String {
    let subject = format!("system:serviceaccount:{namespace}:{service_account}");
    format!("e30.{}.c", URL_SAFE_NO_PAD.encode(format!(r#"{{"sub":"{subject}"}}"#)))
}

fn token(jwt: &str, expires: Option<jiff::Timestamp>) -> TokenInput {
    TokenInput::Token(PodToken { jwt: Arc::new(Secret::new(jwt.to_owned())), expires })
}

/// Of the pod shop/web-1, which has a token and a role; `fields` are beside the object's name.
fn mount(identity: RequestedIdentity, fields: &str) -> Mount {
    let endpoints = Endpoints::of_hangzhou();
    let context = Context {
        endpoints: &endpoints,
        region: &endpoints.region,
        translation: PathTranslation::Off,
        mode: FileMode::parse_octal("0400").unwrap(),
    };
    Mount {
        pod: pod("shop", "web", "web-1"),
        via: Via::Driver,
        token: token(&token_of("shop", "web"), None),
        node_publish_keys: NodePublishKeys::Keys(keys("published")),
        spec: Spec {
            identity,
            role: (identity == RequestedIdentity::Mode(Mode::Pod)).then(|| role(ROLE)),
            ..Spec::of(
                objects::parse(&format!("- {{objectName: a{fields}}}"), &context).unwrap().into(),
            )
        },
    }
}

/// Everything is set up and allowed, but for a token file.
fn policy() -> Policy {
    Policy {
        share: Share::Pod,
        default: DefaultMode::Mode(Mode::Pod),
        allowed: Mode::ALL.into(),
        cross_account_roles: Vec::new(),
        namespaces: None,
        oidc_provider: OidcProviderArn::of_cluster("1", "c"),
        role: Some(role(OPERATORS_ROLE)),
        token_file: None,
        keys: Some(keys("operator")),
        ecs_metadata: true,
        session_name: None,
        session_lifetime: Duration::from_secs(900),
    }
}

async fn chosen(mount: &Mount, policy: &Policy) -> Result<Identity, Error> {
    let chosen = resolve(mount, policy, &ServiceAccounts::new(None)).await;
    chosen.map_err(|errors| errors.iter().next().unwrap().clone())
}

fn decided(mount: &Mount, policy: &Policy) -> Result<Mode, Error> {
    let decision = policy.decide(&mount.spec, &mount.node_publish_keys, None);
    let first = |errors: Errors| errors.iter().next().unwrap().clone();
    decision.map(|decision| decision.mode).map_err(first)
}

async fn refused(mount: &Mount, policy: &Policy) -> (ErrorKind, String) {
    let error = chosen(mount, policy).await.unwrap_err();
    (error.kind(), error.to_string())
}

#[tokio::test]
async fn each_mode_logs_in_with_what_is_its_own() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), " own.token\n").unwrap();
    let policy = Policy { token_file: Some(file.path().to_owned()), ..policy() };
    for mode in Mode::ALL {
        let identity = chosen(&mount(RequestedIdentity::Mode(mode), ""), &policy).await.unwrap();
        assert_eq!((identity.mode, &*identity.session_name), (mode, "shop@web@web-1"));
        let login = match &*identity.login {
            Login::Keys(keys) => keys.id.clone(),
            Login::EcsRole => "the machine's".to_owned(),
            Login::Oidc { role, provider, token, subject, shared, name, lifetime } => {
                assert_eq!(provider, policy.oidc_provider.as_ref().unwrap());
                let token = token.expose();
                format!("{role} by {token} for {name} {} {subject} {shared}", lifetime.as_secs())
            }
            Login::Assume { base, role, name, lifetime } => {
                format!("{role} from {} for {name} {}", base.who(), lifetime.as_secs())
            }
        };
        let (own, subject) = (token_of("shop", "web"), "system:serviceaccount:shop:web");
        let expected = match mode {
            Mode::Pod => format!("{ROLE} by {own} for shop@web@web-1 3600 {subject} false"),
            Mode::Provider => {
                let subject = "the provider's own";
                format!("{OPERATORS_ROLE} by own.token for shop@web@web-1 900 {subject} false")
            }
            Mode::RamRole => {
                format!("{OPERATORS_ROLE} from the access key for shop@web@web-1 900")
            }
            Mode::NodePublishSecret => "published".to_owned(),
            Mode::AccessKey => "operator".to_owned(),
            Mode::EcsRole => "the machine's".to_owned(),
        };
        assert_eq!(login, expected);
    }
    std::fs::write(file.path(), " \n").unwrap();
    let told = refused(&mount(RequestedIdentity::Mode(Mode::Provider), ""), &policy).await;
    assert_eq!(told.0, ErrorKind::Unusable);
    assert!(told.1.ends_with(" is empty"), "{}", told.1);
}

#[tokio::test]
async fn the_operator_may_name_the_sessions_that_pods_share() {
    let policy = Policy { session_name: Some("node-7".to_owned()), ..policy() };
    let identity =
        chosen(&mount(RequestedIdentity::Mode(Mode::RamRole), ""), &policy).await.unwrap();
    assert!(matches!(&*identity.login, Login::Assume { name, .. } if name == "node-7"));
    let identity = chosen(&mount(RequestedIdentity::Mode(Mode::Pod), ""), &policy).await.unwrap();
    assert!(matches!(&*identity.login, Login::Oidc { name, .. } if name == "shop@web@web-1"));
}

/// A role that the class names is refused before it is looked up.
#[tokio::test]
async fn role_that_was_looked_up_is_held_against_the_rules_of_the_namespace() {
    let ruled = |roles: &str| {
        let rules = format!("rules:\n- {{namespaces: [shop], roles: ['{roles}']}}");
        let namespaces = Some(NamespaceRules::parse(&rules).unwrap());
        Policy { namespaces, role: Some(role(ROLE)), ..policy() }
    };
    let mut mount = mount(RequestedIdentity::Mode(Mode::Pod), "");
    (mount.via, mount.spec.role) = (Via::Sidecar, None);
    let error = chosen(&mount, &ruled("acs:ram::1:role/other")).await.unwrap_err();
    assert_eq!(error.reason, Reason::RoleNotAllowed);
    let identity = chosen(&mount, &ruled("acs:ram::1:role/we*")).await.unwrap();
    assert!(matches!(&*identity.login, Login::Oidc { role, .. } if role.as_str() == ROLE));
}

#[tokio::test]
async fn a_mode_that_is_not_set_up_is_refused_and_no_other_is_tried() {
    let nothing =
        || Policy { oidc_provider: None, role: None, keys: None, ecs_metadata: false, ..policy() };
    for (mode, what) in [
        (Mode::Pod, "the operator has not set --oidc-provider-arn"),
        (
            Mode::Provider,
            "the operator has not set --oidc-provider-arn (or --account-id and --cluster-id) and \
             --role-arn",
        ),
        (
            Mode::RamRole,
            "the operator has not set ACCESS_KEY_ID with SECRET_ACCESS_KEY and --role-arn",
        ),
        (Mode::AccessKey, "the operator has not set ACCESS_KEY_ID with SECRET_ACCESS_KEY"),
        (Mode::EcsRole, "instance metadata is disabled here"),
    ] {
        let (class, told) = refused(&mount(RequestedIdentity::Mode(mode), ""), &nothing()).await;
        assert_eq!(class, ErrorKind::Unusable);
        assert!(told.starts_with(&format!("identity {mode} cannot be used: {what}")), "{told}");
    }
    let mut mount = mount(RequestedIdentity::Mode(Mode::NodePublishSecret), "");
    for (keys, what) in [
        (NodePublishKeys::Absent, "the mount brought no Secret"),
        (
            NodePublishKeys::Others("the Secret has other entries".into()),
            "has other entries; the pod",
        ),
        (NodePublishKeys::Unusable("no entry access_key".into()), "used: no entry access_key;"),
    ] {
        mount.node_publish_keys = keys;
        let (class, told) = refused(&mount, &policy()).await;
        assert_eq!(class, ErrorKind::Unusable);
        assert!(told.contains(what), "{told}");
    }
}

#[tokio::test]
async fn only_what_the_operator_allows_is_used() {
    for mode in Mode::ALL {
        let mut policy = policy();
        policy.allowed.remove(&mode);
        let (class, told) = refused(&mount(RequestedIdentity::Mode(mode), ""), &policy).await;
        assert_eq!(class, ErrorKind::Denied);
        assert!(told.starts_with(&format!("identity {mode} is not allowed here")), "{told}");
    }
}

#[tokio::test]
async fn a_role_of_the_mount_is_for_the_pod_s_own_identity() {
    for mode in Mode::ALL {
        let mut mount = mount(RequestedIdentity::Mode(mode), "");
        mount.spec.role = Some(role(ROLE));
        match mode {
            Mode::Pod => assert!(chosen(&mount, &policy()).await.is_ok()),
            mode => {
                let (class, told) = refused(&mount, &policy()).await;
                assert_eq!(class, ErrorKind::Invalid);
                assert!(told.contains(&format!("this mount's is {mode}")), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn an_identity_that_pods_share_is_led_on_only_where_the_operator_agreed() {
    let fields = format!(", crossAccountRoleArn: '{PARTNER}'");
    let listed = Policy {
        cross_account_roles: vec![Glob::new("acs:ram::3:*"), Glob::new("acs:ram::2:*")],
        ..policy()
    };
    for mode in [Mode::RamRole, Mode::AccessKey, Mode::EcsRole] {
        let mount = mount(RequestedIdentity::Mode(mode), &fields);
        let (class, told) = refused(&mount, &policy()).await;
        assert_eq!(class, ErrorKind::Denied);
        assert!(told.contains(&format!("identity {mode} is shared by pods")), "{told}");
        chosen(&mount, &listed).await.unwrap();
    }
    for mode in [Mode::Pod, Mode::NodePublishSecret] {
        let identity =
            chosen(&mount(RequestedIdentity::Mode(mode), &fields), &policy()).await.unwrap();
        match &*identity.assume_role(&role(PARTNER)) {
            Login::Assume { base, role, name, lifetime } => {
                assert_eq!(base.who(), identity.login.who());
                assert_eq!(
                    (role.as_str(), name.as_str(), lifetime.as_secs()),
                    (PARTNER, "shop@web@web-1", 3600)
                );
            }
            login => panic!("{login:?}"),
        }
    }
}

#[tokio::test]
async fn nothing_said_means_the_default_and_auto_the_first_that_is_set_up() {
    let mode = async |requested: RequestedIdentity, policy: &Policy| {
        let mut mount = mount(requested, "");
        mount.spec.role = None;
        decided(&mount, policy).map_err(|error| error.to_string())
    };
    for default in Mode::ALL {
        let policy = Policy { default: DefaultMode::Mode(default), ..policy() };
        assert_eq!(policy.default.to_string(), default.name());
        assert_eq!(mode(RequestedIdentity::Default, &policy).await, Ok(default));
        match default {
            Mode::Pod => {
                let told = mode(RequestedIdentity::NotPod, &policy).await.unwrap_err();
                assert!(told.contains("--default-identity=auto"), "{told}");
            }
            default => assert_eq!(mode(RequestedIdentity::NotPod, &policy).await, Ok(default)),
        }
    }
    assert_eq!(DefaultMode::Auto.to_string(), "auto");

    let auto = |role_set: bool, provider: bool, file: bool, keys_set: bool| Policy {
        default: DefaultMode::Auto,
        role: role_set.then(|| role(OPERATORS_ROLE)),
        oidc_provider: OidcProviderArn::of_cluster("1", "c").filter(|_| provider),
        token_file: file.then(PathBuf::new),
        keys: keys_set.then(|| keys("operator")),
        ..policy()
    };
    let mut mount = mount(RequestedIdentity::NotPod, "");
    mount.spec.role = None;
    let bare = || {
        let mut bare = self::mount(RequestedIdentity::Default, "");
        bare.spec.role = None;
        Mount { node_publish_keys: NodePublishKeys::Absent, ..bare }
    };
    let (secret, without) = (Mode::NodePublishSecret, Mode::AccessKey);
    for (policy, expected) in [
        (auto(true, true, true, true), (Mode::Provider, Mode::Provider)),
        (auto(true, true, true, false), (Mode::Provider, Mode::Provider)),
        (auto(false, true, true, true), (secret, without)),
        (auto(true, false, true, true), (Mode::RamRole, Mode::RamRole)),
        (auto(true, true, false, true), (Mode::RamRole, Mode::RamRole)),
        (auto(true, false, false, false), (secret, Mode::EcsRole)),
        (auto(false, false, false, true), (secret, without)),
        (auto(false, false, false, false), (secret, Mode::EcsRole)),
    ] {
        let found = (decided(&mount, &policy).unwrap(), decided(&bare(), &policy).unwrap());
        assert_eq!(found, expected, "{policy:?}");
    }
    let nothing = Policy { ecs_metadata: false, ..auto(false, false, false, false) };
    let told = decided(&bare(), &nothing).unwrap_err();
    assert_eq!(
        (told.kind(), &*told.message),
        (ErrorKind::Unusable, "no identity is configured here")
    );
}

#[tokio::test]
async fn a_pod_proves_itself_with_a_token_that_is_its_own_and_not_over() {
    let mut mount = mount(RequestedIdentity::Mode(Mode::Pod), "");
    let (past, future) = ("2020-01-01T00:00:00Z".parse().ok(), "2126-01-01T00:00:00Z".parse().ok());
    for (input, what) in [
        (TokenInput::Absent, "the driver sent no ServiceAccount token"),
        (
            TokenInput::OtherAudiences(vec!["vault".to_owned(), "a\nb".to_owned()]),
            "the driver sent tokens for \"vault\", ",
        ),
        (token("a.b.c", past), "the pod's token has expired; kubelet renews it"),
    ] {
        mount.token = input;
        let (class, told) = refused(&mount, &policy()).await;
        assert_eq!(class, ErrorKind::Unauthenticated);
        assert!(told.starts_with(&format!("identity pod cannot be used: {what}")), "{told}");
    }
    mount.token = TokenInput::Absent;
    mount.via = Via::SyncController;
    let (_, told) = refused(&mount, &policy()).await;
    assert!(told.contains("the sync controller sent no") && told.contains("tokenRequestAudience"));
    mount.via = Via::Driver;
    for expires in [None, future] {
        mount.token = token("a.b.c", expires);
        let login = chosen(&mount, &policy()).await.unwrap().login;
        assert!(matches!(&*login, Login::Oidc { token, .. } if token.expose() == "a.b.c"));
    }
}

#[tokio::test]
async fn where_pods_share_a_session_each_still_has_a_token_of_the_service_account() {
    let policy = Policy { share: Share::ServiceAccount, ..policy() };
    let mut mount = mount(RequestedIdentity::Mode(Mode::Pod), "");
    let identity = chosen(&mount, &policy).await.unwrap();
    assert_eq!(identity.session_name, "shop@web");
    let Login::Oidc { subject, shared: true, name, .. } = &*identity.login else {
        panic!("{identity:?}")
    };
    assert_eq!((&**subject, &**name), ("system:serviceaccount:shop:web", "shop@web"));
    let others = [
        token_of("shop", "api"),
        token_of("bank", "web"),
        "a".to_owned(),
        "a.!.c".to_owned(),
        format!("a.{}.c", URL_SAFE_NO_PAD.encode("{}")),
    ];
    for jwt in others {
        mount.token = token(&jwt, None);
        let (class, told) = refused(&mount, &policy).await;
        assert_eq!(class, ErrorKind::Unauthenticated);
        assert!(told.contains("is not one of system:serviceaccount:shop:web; kubelet"), "{told}");
    }
    // No other mode is a ServiceAccount's.
    let identity =
        chosen(&self::mount(RequestedIdentity::Mode(Mode::RamRole), ""), &policy).await.unwrap();
    assert_eq!(identity.session_name, "shop@web@web-1");
}

#[tokio::test]
async fn what_would_mend_the_trust_is_said_where_nothing_else_is() {
    let hinted = async |mode: Mode, error: Error| {
        chosen(&mount(RequestedIdentity::Mode(mode), ""), &policy())
            .await
            .unwrap()
            .with_hint(error)
            .hint
            .to_string()
    };
    let error = || Error::new(Reason::Unauthenticated, "no");
    assert_eq!(
        hinted(Mode::Pod, error()).await,
        "the trust policy of acs:ram::1:role/web must allow \
         acs:ram::1:oidc-provider/ack-rrsa-c with oidc:aud sts.aliyuncs.com and oidc:sub \
         system:serviceaccount:shop:web"
    );
    assert_eq!(hinted(Mode::Pod, error().hint("try")).await, "try");
    assert_eq!(hinted(Mode::EcsRole, error()).await, "");
}

#[tokio::test]
async fn identity_says_by_whom_it_was_chosen_and_how_a_pod_can_have_its_own() {
    let identity = async |requested: RequestedIdentity, policy: &Policy| {
        let mut mount = mount(requested, "");
        mount.spec.role = None;
        chosen(&mount, policy).await.unwrap()
    };
    let keys = || Policy { default: DefaultMode::Mode(Mode::AccessKey), ..policy() };
    let shared = identity(RequestedIdentity::Default, &keys()).await;
    assert_eq!(shared.described(), "identity access-key, the operator's default");
    assert!(shared.own_instead().starts_with("set identity: pod in the SecretProviderClass"));
    let none = Policy { allowed: [Mode::AccessKey].into(), ..keys() };
    let shared = identity(RequestedIdentity::Default, &none).await;
    assert!(shared.own_instead().starts_with("have the operator allow identity pod"));
    let auto = Policy { default: DefaultMode::Auto, ..policy() };
    let first = identity(RequestedIdentity::NotPod, &auto).await;
    assert_eq!(first.described(), "identity ram-role, the first that the operator set up");
    let asked = identity(RequestedIdentity::Mode(Mode::NodePublishSecret), &policy()).await;
    let described = "identity node-publish-secret, set in the SecretProviderClass";
    assert_eq!((asked.described().as_str(), asked.own_instead().as_str()), (described, ""));

    let host = Some("kms.example".into());
    let error = Error { host, ..Error::new(Reason::Denied, "no") };
    assert_eq!(asked.named_in(error.clone()).to_string(), format!("no ({described})"));
    let passing = Error { reason: Reason::Timeout, ..error };
    assert_eq!(asked.named_in(passing.clone()), passing);
}

#[tokio::test]
async fn sidecar_has_the_role_of_its_variable_or_of_its_class_and_names_its_own_session() {
    let arn = |name: &str| RoleArn::parse(&format!("acs:ram::1:role/{name}")).unwrap();
    let mut mount = mount(RequestedIdentity::Mode(Mode::Pod), "");
    (mount.via, mount.spec.role) = (Via::Sidecar, None);
    let mut policy = policy();
    (policy.role, policy.session_name) = (None, None);
    let (_, told) = refused(&mount, &policy).await;
    assert!(told.starts_with("the pod: has no RAM role"), "{told}");
    for (variable, class, works) in [
        (Some("a"), None, true),
        (None, Some("a"), true),
        (Some("a"), Some("a"), true),
        (Some("a"), Some("b"), false),
    ] {
        (policy.role, mount.spec.role) = (variable.map(arn), class.map(arn));
        let found = chosen(&mount, &policy).await;
        assert_eq!(found.is_ok(), works, "{variable:?} {class:?}");
        if let Ok(identity) = found {
            assert!(matches!(&*identity.login, Login::Oidc { role, .. } if *role == arn("a")));
            assert_eq!(identity.session_name, "shop@web@web-1");
        }
    }
    (policy.role, mount.spec.role) = (Some(arn("a")), None);
    policy.session_name = Some("checkout-7".to_owned());
    assert_eq!(chosen(&mount, &policy).await.unwrap().session_name, "checkout-7");
    mount.token = TokenInput::Unusable("/token is empty".to_owned());
    let (_, told) = refused(&mount, &policy).await;
    assert!(told.contains("the token file /token is empty; ACK's pod-identity webhook"), "{told}");
}
