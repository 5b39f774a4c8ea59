//! One mount, one identity, decided before the first call; never a second choice.

use emulator::{Fault, FaultEffect};
use provider::identity::kubernetes::ROLE_TTL;
use tonic::{Code, Status};

use crate::{
    driver::{PodVolume, Volume},
    table::{Table, steady},
    world::{AUDIENCE, Setup, World},
};

const SHARED: &str = "- {objectName: shared/greeting, objectAlias: greeting}";
const PROVIDER_ROLE: &str = "acs:ram::1234567890123456:role/provider";

/// An operator who allows a mode and has set up all that it needs.
fn operator(mode: &str) -> Setup {
    let setup = Setup::default().flag("allowed-identities", mode).flag("default-identity", mode);
    let keys = |setup: Setup| {
        setup
            .env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001")
            .env("SECRET_ACCESS_KEY", "planted-access-key-secret-0001")
    };
    match mode {
        "provider" => setup.own_token().env("ALICLOUD_ROLE_ARN", PROVIDER_ROLE),
        "ram-role" => keys(setup).env("ALICLOUD_ROLE_ARN", PROVIDER_ROLE),
        "access-key" => keys(setup),
        _ => setup,
    }
}

/// The same, with one thing missing or wrong. As the default such a mode would fail the start.
fn careless_operator(mode: &str) -> Setup {
    let setup = Setup::default()
        .flag("allowed-identities", &format!("{mode},node-publish-secret"))
        .flag("default-identity", "node-publish-secret");
    match mode {
        "pod" => setup.without_oidc_provider(),
        "provider" => setup.env("ALICLOUD_ROLE_ARN", PROVIDER_ROLE),
        "ram-role" => setup
            .env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000002")
            .env("SECRET_ACCESS_KEY", "planted-access-key-secret-0002")
            .env("ALICLOUD_ROLE_ARN", PROVIDER_ROLE),
        "access-key" => setup
            .env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001")
            .env("SECRET_ACCESS_KEY", "planted-not-the-key-secret"),
        "ecs-role" => setup.flag("ecs-role-name", "another"),
        _ => setup,
    }
}

fn volume(world: &World, mode: &str, keys: &[(&str, &str)]) -> PodVolume {
    let volume = world.pod("web", "web-1").objects(SHARED).parameter("identity", mode);
    keys.iter().fold(volume, |volume, (name, value)| volume.secret(name, value))
}

fn cell(outcome: &Result<Volume, Status>) -> String {
    match outcome {
        Ok(_) => "OK".to_owned(),
        Err(status) => format!("{:?}: {}", status.code(), steady(status.message())),
    }
}

/// Every mode: as it works, as the operator's boundary refuses it, and as it fails when set up
/// wrongly. Nothing else is tried: no call is made as anybody else.
#[tokio::test]
async fn every_mode_works_or_is_refused_or_fails_by_itself() {
    const KEYS: [(&str, &str); 2] = [
        ("Access_Key", "LTAI5tEXAMPLEKEYID000002"),
        ("access_SECRET", "planted-access-key-secret-0002"),
    ];
    let principals = [
        ("pod", "acs:ram::1234567890123456:role/web"),
        ("provider", PROVIDER_ROLE),
        ("ram-role", PROVIDER_ROLE),
        ("node-publish-secret", "acs:ram::1234567890123456:user/tenant"),
        ("access-key", "acs:ram::1234567890123456:user/ci"),
        ("ecs-role", "acs:ram::1234567890123456:role/node"),
    ];
    let mut table = Table::new(
        "# Identity modes and their answers\n\nFor each mode: set up and allowed; set up but not \
         allowed by `--allowed-identities`; allowed but set up wrongly. The SecretProviderClass's \
         name, with which a message begins, is left out. A test makes this table.",
        &["identity", "works", "refused by policy", "configured but failing"],
    );
    for (mode, principal) in principals {
        let keys = if mode == "node-publish-secret" { &KEYS[..] } else { &[] };
        let world = operator(mode).start().await;
        let works = world.mount(&volume(&world, mode, keys)).await;
        assert!(works.is_ok(), "{mode}: {works:?}");
        let reads = world.calls("GetSecretValue");
        assert_eq!(reads.len(), 1);
        assert_eq!(reads[0].principal.as_ref().unwrap().arn, principal, "{mode}");
        world.finish().await;

        let other = if mode == "pod" { "access-key" } else { "pod" };
        let world = operator(other).start().await;
        let refused = world.mount(&volume(&world, mode, keys)).await;
        assert_eq!(refused.as_ref().unwrap_err().code(), Code::PermissionDenied, "{mode}");
        assert!(refused.as_ref().unwrap_err().message().contains("--allowed-identities="));
        assert!(world.emulator.requests().is_empty(), "{mode}: {:?}", world.emulator.requests());
        world.finish().await;

        let world = careless_operator(mode).start().await;
        let failing = world.mount(&volume(&world, mode, &keys[..keys.len().min(1)])).await;
        assert!(failing.is_err(), "{mode}");
        assert!(world.calls("GetSecretValue").iter().all(|call| call.status != 200), "{mode}");
        world.finish().await;
        table.row(&[mode, &cell(&works), &cell(&refused), &cell(&failing)]);
    }
    table.holds("identity-modes.md");
}

/// What keeps a pod from proving itself: the reason, the fix, and not one read.
#[tokio::test]
async fn a_pod_that_cannot_prove_itself_is_told_why_and_reads_nothing() {
    let mut table = Table::new(
        "# When a pod cannot prove itself\n\nIdentity `pod`. In none of these cases is a secret \
         asked for, or another identity tried. The SecretProviderClass's name, with which a message \
         begins, is left out. A test makes this table.",
        &["situation", "answer"],
    );
    let world = World::start().await;
    let pod = |account: &str| world.pod(account, "p-1").objects(SHARED);
    let without_token = |account: &str| PodVolume::new("shop", account, "p-1").objects(SHARED);
    let expired = world.emulator.expired_pod_token(
        "shop",
        "web",
        "p-1",
        "uid-of-p-1",
        AUDIENCE,
        std::time::Duration::from_secs(60),
    );
    let foreign = world.token(&without_token("web"), "api.example");
    let cases = [
        ("the ServiceAccount has no annotation", pod("bare"), Code::FailedPrecondition),
        ("the ServiceAccount does not exist", pod("nobody"), Code::FailedPrecondition),
        ("two annotations name different roles", pod("web-torn"), Code::InvalidArgument),
        ("the annotation is not an ARN", pod("web-malformed"), Code::InvalidArgument),
        (
            "annotation and parameter roleArn differ",
            pod("web").parameter("roleArn", "acs:ram::1234567890123456:role/api"),
            Code::InvalidArgument,
        ),
        ("the role does not exist", pod("web-gone"), Code::NotFound),
        ("the role's trust policy does not match", pod("intruder"), Code::Unauthenticated),
        ("the driver sends no token", without_token("web"), Code::Unauthenticated),
        (
            "the driver sends tokens for other audiences",
            without_token("web").token("vault", "x.y.z-planted", "2126-01-01T00:00:00Z"),
            Code::Unauthenticated,
        ),
        (
            "the token expired, as kubelet says",
            without_token("web").token(AUDIENCE, &expired, "2020-01-01T00:00:00Z"),
            Code::Unauthenticated,
        ),
        (
            "the token expired, as STS says",
            without_token("web").token(AUDIENCE, &expired, "2126-01-01T00:00:00Z"),
            Code::Unauthenticated,
        ),
        (
            "the token is for another audience",
            without_token("web").token(AUDIENCE, &foreign, "2126-01-01T00:00:00Z"),
            Code::Unauthenticated,
        ),
        (
            "the token is made up",
            without_token("web").token(AUDIENCE, "planted.made.up", "2126-01-01T00:00:00Z"),
            Code::Unauthenticated,
        ),
    ];
    for (situation, volume, code) in cases {
        let outcome = world.mount(&volume).await;
        assert_eq!(outcome.as_ref().unwrap_err().code(), code, "{situation}: {outcome:?}");
        table.row(&[situation, &cell(&outcome)]);
    }
    assert!(world.calls("GetSecretValue").is_empty());
    world.finish().await;

    let rbac = ("kubernetes:\n", "kubernetes:\n  forbid_service_accounts: true\n");
    let world = Setup::default().cloud(rbac.0, rbac.1).start().await;
    let outcome = world.web(SHARED).await;
    table.row(&["the look-up is forbidden by RBAC", &cell(&outcome)]);
    assert_eq!(outcome.unwrap_err().code(), Code::FailedPrecondition);
    assert!(world.calls("AssumeRoleWithOIDC").is_empty());
    world.finish().await;
    table.holds("pod-identity-errors.md");
}

#[tokio::test]
async fn a_role_comes_from_either_annotation_or_the_parameter() {
    let world = World::start().await;
    let role = "acs:ram::1234567890123456:role/web";
    for account in ["web", "web-by-name"] {
        let same = world.pod(account, "p").objects(SHARED).parameter("roleArn", role);
        world.mount(&same).await.unwrap();
    }
    world.finish().await;

    let world = Setup::default().flag("service-account-lookup", "false").start().await;
    let named = world.pod("web", "p").objects(SHARED).parameter("roleArn", role);
    world.mount(&named).await.unwrap();
    let unnamed = world.web(SHARED).await.unwrap_err();
    assert!(unnamed.message().contains("set parameter roleArn"), "{}", unnamed.message());
    assert!(!world.emulator.requests().iter().any(|call| call.service == "kubernetes"));
    world.finish().await;
}

#[tokio::test]
async fn the_official_switch_means_pod_in_any_letter_case() {
    let world = World::start().await;
    for value in ["true", "True", "TRUE"] {
        let pod = world.pod("web", "p").objects(SHARED);
        world.mount(&pod.parameter("usePodServiceAccountToken", value)).await.unwrap();
    }
    for (name, value) in [("usePodServiceAccountToken", "yes"), ("identity", "Pod")] {
        let pod = world.pod("web", "p").objects(SHARED).parameter(name, value);
        let status = world.mount(&pod).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().contains(name), "{}", status.message());
    }
    let torn = world.pod("web", "p").objects(SHARED);
    let torn =
        torn.parameter("identity", "provider").parameter("usePodServiceAccountToken", "true");
    let status = world.mount(&torn).await.unwrap_err();
    assert!(status.message().contains("contradict"), "{}", status.message());
    // "false" asks for an identity that this provider does not use unasked.
    let other = world.pod("web", "p").objects(SHARED);
    let status =
        world.mount(&other.parameter("usePodServiceAccountToken", "false")).await.unwrap_err();
    assert!(status.message().contains("--default-identity"), "{}", status.message());
    world.finish().await;
}

#[tokio::test]
async fn auto_takes_the_first_configured_mode_and_stays_with_it() {
    let auto = || {
        Setup::default()
            .flag(
                "allowed-identities",
                "pod,provider,ram-role,node-publish-secret,access-key,ecs-role",
            )
            .flag("default-identity", "auto")
    };
    let keys = |setup: Setup| {
        setup
            .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001")
            .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "planted-access-key-secret-0001")
    };
    let role = |setup: Setup| setup.env("ALIBABA_CLOUD_ROLE_ARN", PROVIDER_ROLE);
    for (setup, secret, principal) in [
        (role(keys(auto())).own_token(), true, PROVIDER_ROLE),
        (role(keys(auto())), true, PROVIDER_ROLE),
        (keys(auto()), true, "acs:ram::1234567890123456:user/tenant"),
        (keys(auto()), false, "acs:ram::1234567890123456:user/ci"),
        (auto(), false, "acs:ram::1234567890123456:role/node"),
    ] {
        let world = setup.start().await;
        let mut pod = world.pod("web", "p").objects(SHARED);
        if secret {
            pod = pod
                .secret("access_key", "LTAI5tEXAMPLEKEYID000002")
                .secret("access_secret", "planted-access-key-secret-0002");
        }
        world.mount(&pod).await.unwrap();
        let read = world.calls("GetSecretValue").remove(0);
        assert_eq!(read.principal.unwrap().arn, principal);
        world.finish().await;
    }
    // The first that is configured does not work: the next one is not tried.
    let world = role(keys(auto())).own_token().start().await;
    world.emulator.revoke_trust("provider").unwrap();
    let status = world.web(SHARED).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    assert!(world.calls("GetSecretValue").is_empty() && world.calls("AssumeRole").is_empty());
    world.finish().await;
}

/// An operator who comes from the official provider sets this one value, and keeps what was copied from it.
#[tokio::test]
async fn a_default_identity_is_allowed_by_being_the_default() {
    let world = Setup::default().flag("default-identity", "ecs-role").start().await;
    let pod = || world.pod("web", "p").objects(SHARED);
    world.mount(&pod().parameter("env_auth_mode", "aksk")).await.unwrap();
    world.mount(&pod().parameter("usePodServiceAccountToken", "true")).await.unwrap();
    let roles: Vec<_> =
        world.calls("GetSecretValue").into_iter().map(|call| call.principal.unwrap().arn).collect();
    assert_eq!(
        roles,
        ["acs:ram::1234567890123456:role/node", "acs:ram::1234567890123456:role/web"]
    );
    let status = world.mount(&pod().parameter("identity", "access-key")).await.unwrap_err();
    assert!(status.message().contains("(allowed: pod, ecs-role)"), "{}", status.message());
    world.finish().await;
}

/// Kubelet makes an Event of each message that it has not seen.
#[tokio::test]
async fn a_failure_that_repeats_is_told_in_the_same_words() {
    let world = World::start().await;
    world.emulator.revoke_trust("web").unwrap();
    let first = world.web(SHARED).await.unwrap_err();
    let again = world.web(SHARED).await.unwrap_err();
    assert!(first.message().contains(", request "), "{}", first.message());
    assert_eq!(first.message(), again.message());
    assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 2);
    let other = world.mount(&world.pod("web", "web-2").objects(SHARED)).await.unwrap_err();
    assert_ne!(first.message(), other.message());
    world.finish().await;
}

#[tokio::test]
async fn a_pod_author_cannot_reach_past_the_operators_boundary() {
    let world = operator("access-key").start().await;
    // Overriding in the pod what the SecretProviderClass says changes nothing about what is allowed.
    for mode in ["pod", "provider", "ecs-role"] {
        let pod = world.pod("web", "p").objects(SHARED).attribute("identity", mode);
        assert_eq!(world.mount(&pod).await.unwrap_err().code(), Code::PermissionDenied);
    }
    let pod = world.pod("web", "p").objects(SHARED).attribute("roleArn", PROVIDER_ROLE);
    assert_eq!(world.mount(&pod).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(world.emulator.requests().is_empty());
    world.finish().await;
}

#[tokio::test]
async fn cross_account_roles_are_chained_and_bounded() {
    let objects = "\
- objectName: partner/secret
  objectAlias: partner
  crossAccountRoleArn: acs:ram::6543210987654321:role/partner
";
    let world = World::start().await;
    let volume = world.web(objects).await.unwrap();
    assert_eq!(volume.text("partner"), "planted-value-of-the-partner");
    let read = world.calls("GetSecretValue").remove(0).principal.unwrap();
    assert_eq!(read.arn, "acs:ram::6543210987654321:role/partner");
    assert_eq!(read.session_name.as_deref(), Some("shop@web@web-1"));
    // The role api may not be assumed: the cloud says so, and we say whose fault it is.
    let status = world.mount(&world.pod("api", "a").objects(objects)).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert!(status.message().contains("sts:AssumeRole"), "{}", status.message());
    world.finish().await;

    let world = operator("provider").start().await;
    let status = world.web(objects).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("--allowed-cross-account-roles"), "{}", status.message());
    assert!(world.emulator.requests().is_empty());
    world.finish().await;

    let allowed = operator("provider")
        .flag("allowed-cross-account-roles", "acs:ram::6543210987654321:role/*");
    let world = allowed.start().await;
    world.web(objects).await.unwrap();
    world.finish().await;
}

/// What an operator's rules do not allow a namespace is refused before anybody is asked, but for a role that only
/// an annotation names.
#[tokio::test]
async fn namespace_rules_decide_what_each_namespace_may_ask_for() {
    const RULES: &str = "\
rules:
- namespaces: [shop]
  identities: [pod]
  roles: ['acs:ram::1234567890123456:role/web']
  objects: {kms: [shared/*, web/*]}
";
    let rules = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&rules, RULES).unwrap();
    let world = Setup::default()
        .flag("allowed-identities", "pod,ecs-role")
        .flag("default-identity", "ecs-role")
        .flag("namespace-rules", rules.path().to_str().unwrap())
        .start()
        .await;
    let mount = async |volume: PodVolume| world.mount(&volume).await;
    let pod =
        |objects: &str| world.pod("web", "web-1").objects(objects).parameter("identity", "pod");
    assert_eq!(
        mount(pod(SHARED)).await.unwrap().text("greeting"),
        "planted-value-of-shared-greeting"
    );
    let before = world.emulator.requests().len();

    let refused = async |volume: PodVolume| {
        let status = mount(volume).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        status.message().to_owned()
    };
    let said = refused(pod("- objectName: partner/secret\n- objectName: web/plain")).await;
    let object = "object 1 \"partner/secret\", field objectName: is no KMS secret that namespace shop may read; \
                  the operator can allow it under objects of rule 1 of --namespace-rules";
    assert!(said.ends_with(object), "{said}");
    let said = refused(world.pod("web", "web-1").objects(SHARED)).await;
    let identity = "identity ecs-role is not allowed in namespace shop (allowed: pod)";
    assert!(said.contains(identity), "{said}");
    let other = PodVolume { namespace: "other".to_owned(), ..pod(SHARED) };
    let said = refused(other).await;
    assert!(said.contains("namespace \"other\" may not mount secrets here"), "{said}");
    assert_eq!(world.emulator.requests().len(), before);
    // The annotation of api names another role.
    let said =
        refused(world.pod("api", "api-1").objects(SHARED).parameter("identity", "pod")).await;
    let role = "namespace shop may not use role acs:ram::1234567890123456:role/api";
    assert!(said.contains(role), "{said}");
    assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 1);
    world.finish().await;
}

/// The instance's owner sees what it is sent.
#[tokio::test]
async fn session_that_pods_share_goes_only_to_instances_that_the_operator_lists() {
    let host = "kst-hzz0001.cryptoservice.kms.aliyuncs.com";
    let objects = format!("- {{objectName: web/instance, kmsEndpoint: {host}}}");
    let world = operator("provider").start().await;
    let status = world.web(&objects).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let told =
        format!("{host} is not listed; the operator can list instances with --allowed-endpoints");
    assert!(status.message().contains(&told), "{}", status.message());
    assert!(world.emulator.requests().is_empty());
    world.finish().await;
    for flag in ["allowed-endpoints", "kms-endpoint"] {
        let world = operator("provider").flag(flag, host).start().await;
        // The operator's role may not read it, but that is for the instance to say.
        let status = world.web(&objects).await.unwrap_err();
        assert!(!status.message().contains("is not listed"), "{}", status.message());
        assert!(!world.calls("GetSecretValue").is_empty());
        world.finish().await;
    }
}

/// 120 mounts at once of three ServiceAccounts: the cloud saw each secret read only under the
/// session of a pod that it belongs to.
#[tokio::test]
async fn what_one_pod_may_read_never_reaches_another() {
    let world = World::start().await;
    let accounts = [("web", "web/plain"), ("api", "api/token"), ("jobs", "jobs/token")];
    let pods: Vec<_> = (0..120)
        .map(|n| {
            let (account, secret) = accounts[n % 3];
            let objects = format!("- {{objectName: {secret}, objectAlias: own}}");
            (account, secret, world.pod(account, &format!("{account}-{n}")).objects(&objects))
        })
        .collect();
    let mounts = pods.iter().map(|(.., volume)| world.mount(volume));
    let outcomes = futures::future::join_all(mounts).await;
    for ((account, _, _), outcome) in pods.iter().zip(&outcomes) {
        let expected = match *account {
            "web" => "planted-value-of-web-plain",
            "api" => "planted-value-of-api-token",
            _ => "planted-value-of-jobs-token",
        };
        assert_eq!(outcome.as_ref().unwrap().text("own"), expected);
    }
    let reads = world.calls("GetSecretValue");
    assert_eq!(reads.len(), 120);
    let mut names = std::collections::BTreeSet::new();
    for read in reads {
        let principal = read.principal.unwrap();
        let account = read.objects[0].split('/').next().unwrap().to_owned();
        assert_eq!(principal.arn, format!("acs:ram::1234567890123456:role/{account}"));
        let name = principal.session_name.unwrap();
        assert!(name.starts_with(&format!("shop@{account}@{account}-")), "{name}");
        names.insert(name);
    }
    assert_eq!(names.len(), 120, "each pod has a session of its own");
    // A pod of one ServiceAccount asking for what belongs to another is refused by the cloud.
    let thief = world.pod("jobs", "jobs-x").objects("- objectName: web/plain");
    let status = world.mount(&thief).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    world.finish().await;
}

/// An API server is rolled out like all else, and a connection to it ends.
#[tokio::test]
async fn the_api_server_is_asked_again_where_that_can_help() {
    let world = World::start().await;
    let unavailable = FaultEffect::Html { status: 503 };
    // Of two ServiceAccounts, since the second answer about one would come from memory.
    for (account, object, effect) in
        [("web", "web/plain", FaultEffect::Reset), ("api", "api/token", unavailable)]
    {
        let fault = |times| Fault {
            service: Some("kubernetes".to_owned()),
            times,
            effect: effect.clone(),
            ..Fault::default()
        };
        let pod = world.pod(account, "p-1").objects(&format!("- objectName: {object}\n"));
        world.emulator.add_fault(fault(None));
        let status = world.mount(&pod).await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        let message = status.message();
        assert!(message.contains("API server") && message.contains("tried again"), "{message}");
        world.emulator.clear_faults();
        world.emulator.add_fault(fault(Some(2)));
        world.mount(&pod).await.unwrap();
        world.emulator.clear_faults();
    }
    world.finish().await;
}

/// A pod that runs has its role, session and values in memory.
#[tokio::test]
async fn mounts_go_on_while_the_api_server_fails() {
    let world = Setup::default().flag("refresh-interval", "5m").start().await;
    let pod = world.pod("web", "web-1").objects(SHARED);
    world.mount(&pod).await.unwrap();
    world.emulator.add_fault(Fault {
        service: Some("kubernetes".to_owned()),
        effect: FaultEffect::Empty { status: 503 },
        ..Fault::default()
    });
    tokio::time::pause();
    tokio::time::advance(ROLE_TTL).await;
    tokio::time::resume();
    for _ in 0..3 {
        world.mount(&pod).await.unwrap();
    }
    // A pod whose role was never read cannot be served.
    let status = world.mount(&world.pod("web-by-name", "p").objects(SHARED)).await.unwrap_err();
    let server =
        format!("the API server at {} answered HTTP 503", world.emulator.kubernetes_addr());
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    assert!(status.message().contains(&server), "{}", status.message());
    world.finish().await;
}
