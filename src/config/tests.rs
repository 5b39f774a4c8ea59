use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::{
    audit::OnFailure,
    endpoint::HostTemplate,
    names::Glob,
    policy::{DefaultMode, Share},
    spc::mode::Mode,
};

/// A configuration without mistakes, of which a test gives what it is about itself.
const RIGHT: [&str; 4] = [
    "--provider-volume=/",
    "--region=cn-hangzhou",
    "--kubernetes-api=http://127.0.0.1:1",
    "--oidc-provider-arn=acs:ram::1:oidc-provider/right",
];

const ROLE: &str = "acs:ram::1:role/a";
const OTHER_ROLE: &str = "acs:ram::1:role/b";

fn only(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let flags = Flags::parse(["provider"].iter().chain(arguments).map(Into::into)).unwrap();
    let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    Config::parse(&flags, &environment.iter().map(own).collect::<Vec<_>>())
}

fn with(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    let name = |argument: &str| argument.split('=').next().unwrap().to_owned();
    let given: Vec<String> = arguments.iter().map(|argument| name(argument)).collect();
    let right = RIGHT.iter().filter(|argument| !given.contains(&name(argument)));
    only(&right.chain(arguments).copied().collect::<Vec<_>>(), environment)
}

fn config(arguments: &[&str]) -> Config {
    with(arguments, &[]).unwrap()
}

/// The only mistake that there is.
fn mistake(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut mistakes = with(arguments, environment).unwrap_err();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    mistakes.remove(0)
}

fn file(text: &str) -> (TempDir, String) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, text).unwrap();
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn right_configuration_has_no_warning() {
    assert_eq!(config(&[]).process.warnings, [""; 0]);
}

// Where a setting comes from.

#[test]
fn flag_wins_over_its_variable() {
    let environment = [("ALIBABACLOUD_PROVIDER_MOUNT_TIMEOUT", "20")];
    let config = with(&["--mount-timeout=10"], &environment).unwrap();
    assert_eq!(config.engine.mount_timeout.as_secs(), 10);
}

#[test]
fn own_variable_wins_over_the_official_one() {
    let environment = [
        ("ALIBABA_CLOUD_REGION_ID", "cn-shanghai"),
        ("ALIBABACLOUD_PROVIDER_REGION", "cn-beijing"),
    ];
    let config = with(&["--region="], &environment).unwrap();
    assert_eq!(config.engine.region, Region::parse("cn-beijing"));
}

#[test]
fn official_variable_is_used_where_no_own_one_is_set() {
    let environment = [("ALIBABA_CLOUD_REGION_ID", "cn-shanghai")];
    assert_eq!(
        with(&["--region="], &environment).unwrap().engine.region,
        Region::parse("cn-shanghai")
    );
}

#[test]
fn official_variables_that_differ_are_refused() {
    let environment = [("ALICLOUD_ROLE_ARN", ROLE), ("ALIBABA_CLOUD_ROLE_ARN", OTHER_ROLE)];
    assert_eq!(
        mistake(&[], &environment),
        "ALICLOUD_ROLE_ARN and ALIBABA_CLOUD_ROLE_ARN are set and differ: keep one"
    );
}

#[test]
fn official_variables_that_agree_are_one() {
    let environment = [("ALICLOUD_ROLE_ARN", ROLE), ("ALIBABA_CLOUD_ROLE_ARN", ROLE)];
    assert_eq!(with(&[], &environment).unwrap().engine.policy.role.unwrap().as_str(), ROLE);
}

#[test]
fn official_variables_that_differ_do_not_matter_beside_a_flag() {
    let environment = [("ALICLOUD_ROLE_ARN", ROLE), ("ALIBABA_CLOUD_ROLE_ARN", OTHER_ROLE)];
    let config = with(&[&format!("--role-arn={OTHER_ROLE}")], &environment).unwrap();
    assert_eq!(config.engine.policy.role.unwrap().as_str(), OTHER_ROLE);
}

#[test]
fn blank_variable_is_none() {
    let environment = [("ALICLOUD_ROLE_ARN", " "), ("ALIBABA_CLOUD_ROLE_ARN", ROLE)];
    assert_eq!(with(&[], &environment).unwrap().engine.policy.role.unwrap().as_str(), ROLE);
}

#[test]
fn blanks_around_a_variable_are_left_out() {
    let environment = [("ALIBABACLOUD_PROVIDER_MOUNT_TIMEOUT", " 20\n")];
    assert_eq!(with(&[], &environment).unwrap().engine.mount_timeout.as_secs(), 20);
}

#[test]
fn empty_flag_leaves_it_to_the_variable() {
    let environment = [("ALIBABACLOUD_PROVIDER_MOUNT_TIMEOUT", "20")];
    let config = with(&["--mount-timeout="], &environment).unwrap();
    assert_eq!(config.engine.mount_timeout.as_secs(), 20);
}

#[test]
fn mistake_names_the_variable_that_it_is_in_and_its_flag() {
    let environment = [("ALIBABACLOUD_PROVIDER_KMS_BATCH", "on")];
    assert_eq!(
        mistake(&[], &environment),
        "ALIBABACLOUD_PROVIDER_KMS_BATCH (--kms-batch) must be auto or off"
    );
}

// Mistakes.

#[test]
fn mistakes_of_all_parts_are_reported_together() {
    let mistakes = with(
        &["--region=here", "--mount-timeout=0", "--share=all", "--audit=log", "--log-level=loud"],
        &[("SECRET_ACCESS_KEY", "planted"), ("ALIBABACLOUD_PROVIDER_REGOIN", "cn-beijing")],
    );
    let mistakes = mistakes.unwrap_err();
    for part in [
        "--region must be",
        "--mount-timeout must be",
        "--share must be",
        "--audit must be",
        "--log-level: ",
        "SECRET_ACCESS_KEY is set, ACCESS_KEY_ID is not",
        "\"ALIBABACLOUD_PROVIDER_REGOIN\" is not a variable",
    ] {
        let said = mistakes.iter().filter(|mistake| mistake.starts_with(part)).count();
        assert_eq!(said, 1, "{part}: {mistakes:?}");
    }
    assert_eq!(mistakes.len(), 7, "{mistakes:?}");
}

// Numbers.

type Number = (&'static str, u64, u64, fn(&Config) -> u64);

const NUMBERS: [Number; 9] = [
    ("mount-timeout", 1, 110, |config| config.engine.mount_timeout.as_secs()),
    ("drain-timeout", 1, 600, |config| config.drain_timeout.as_secs()),
    ("max-concurrent-kms-secret-pulls", 1, 10_000, |config| config.engine.kms_calls as u64),
    ("max-concurrent-oos-secret-pulls", 1, 10_000, |config| config.engine.oos_calls as u64),
    ("value-cache-mib", 0, 10_000, |config| (config.engine.value_cache_bytes / 1_048_576) as u64),
    ("audit-max-mib", 1, 10_000, |config| config.engine.audit.most_bytes / 1_048_576),
    ("audit-files", 1, 10_000, |config| config.engine.audit.files as u64),
    ("healthz-port", 0, 65_535, |config| config.admin.port().into()),
    ("role-session-expiration", 900, 43_200, |config| {
        config.engine.policy.session_lifetime.as_secs()
    }),
];

#[test]
fn numbers_at_their_bounds_take_effect() {
    for (flag, least, most, of) in NUMBERS {
        for number in [least, most] {
            assert_eq!(of(&config(&[&format!("--{flag}={number}")])), number, "{flag}");
        }
    }
}

#[test]
fn numbers_beyond_their_bounds_are_refused() {
    for (flag, least, most, _) in NUMBERS {
        let below = least.checked_sub(1).map_or("-1".to_owned(), |below| below.to_string());
        for number in [below, (most + 1).to_string(), "1.5".to_owned(), "many".to_owned()] {
            let said = mistake(&[&format!("--{flag}={number}")], &[]);
            assert!(said.starts_with(&format!("--{flag} must be ")), "{said}");
        }
    }
}

#[test]
fn numbers_that_are_not_given_have_their_defaults() {
    let config = config(&[]);
    let defaults = NUMBERS.map(|(_, _, _, of)| of(&config));
    assert_eq!(defaults, [90, 25, 64, 16, 16, 64, 8, 8989, 3600]);
}

// How long values are believed.

type Interval = (&'static str, fn(&Config) -> Duration);

const INTERVALS: [Interval; 5] = [
    ("refresh-interval", |config| config.engine.freshness.default),
    ("min-refresh-interval", |config| config.engine.freshness.least),
    ("max-refresh-interval", |config| config.engine.freshness.most),
    ("stale-while-throttled", |config| config.engine.stale_while_throttled),
    ("outage-grace", |config| config.engine.outage_grace),
];

#[test]
fn intervals_go_up_to_a_day() {
    for (flag, of) in INTERVALS {
        let longest = config(&[&format!("--{flag}=24h")]);
        assert_eq!(of(&longest).as_secs(), 86_400, "{flag}");
        let said = mistake(&[&format!("--{flag}=86401s")], &[]);
        assert!(said.starts_with(&format!("--{flag} must be 0, or one number with")), "{said}");
    }
}

#[test]
fn values_are_fresh_for_five_minutes_unless_a_flag_says_otherwise() {
    let Freshness { default, least, most } = config(&[]).engine.freshness;
    assert_eq!([default, least, most].map(|time| time.as_secs()), [300, 0, 3600]);
}

#[test]
fn longest_interval_follows_a_longer_default_or_least() {
    for flag in ["--refresh-interval=2h", "--min-refresh-interval=2h"] {
        assert_eq!(config(&[flag]).engine.freshness.most.as_secs(), 7200, "{flag}");
    }
}

#[test]
fn longest_interval_may_equal_default_and_least() {
    config(&["--max-refresh-interval=5m"]);
    config(&["--max-refresh-interval=10m", "--refresh-interval=10m", "--min-refresh-interval=10m"]);
}

#[test]
fn longest_interval_below_the_default_is_refused() {
    assert_eq!(
        mistake(&["--max-refresh-interval=299s"], &[]),
        "--max-refresh-interval (299s) is less than --refresh-interval (5m, the default): lower that \
         too, or raise this"
    );
}

#[test]
fn longest_interval_below_the_least_is_refused() {
    let flags = ["--max-refresh-interval=5m", "--min-refresh-interval=6m"];
    assert_eq!(
        mistake(&flags, &[]),
        "--max-refresh-interval (5m) is less than --min-refresh-interval (6m): lower that too, or \
         raise this"
    );
}

#[test]
fn interval_that_cannot_be_read_is_not_compared() {
    let said = mistake(&["--max-refresh-interval=1m", "--refresh-interval=soon"], &[]);
    assert!(said.starts_with("--refresh-interval must be"), "{said}");
}

#[test]
fn stale_values_are_served_for_an_hour_or_the_longest_interval_if_shorter() {
    assert_eq!(config(&[]).engine.stale_while_throttled.as_secs(), 3600);
    assert_eq!(config(&["--max-refresh-interval=2h"]).engine.stale_while_throttled.as_secs(), 3600);
    assert_eq!(config(&["--max-refresh-interval=10m"]).engine.stale_while_throttled.as_secs(), 600);
}

#[test]
fn stale_values_may_be_served_for_longer_than_the_longest_interval() {
    let flags = ["--max-refresh-interval=10m", "--stale-while-throttled=2h"];
    assert_eq!(config(&flags).engine.stale_while_throttled.as_secs(), 7200);
}

#[test]
fn outage_grace_without_a_cache_is_refused() {
    let said = mistake(&["--outage-grace=1h", "--value-cache-mib=0"], &[]);
    assert!(said.starts_with("--outage-grace needs values in memory"), "{said}");
}

#[test]
fn no_outage_grace_needs_no_cache() {
    config(&["--outage-grace=0", "--value-cache-mib=0"]);
}

// Identities.

#[test]
fn pod_alone_is_allowed_unless_a_flag_says_otherwise() {
    let policy = config(&[]).engine.policy;
    assert_eq!(policy.default, DefaultMode::Mode(Mode::Pod));
    assert_eq!(Vec::from_iter(policy.allowed), [Mode::Pod]);
}

#[test]
fn default_identity_is_allowed_beside_pod_where_none_are_listed() {
    let policy = config(&["--default-identity=ecs-role"]).engine.policy;
    assert_eq!(Vec::from_iter(policy.allowed), [Mode::Pod, Mode::EcsRole]);
}

#[test]
fn listed_identities_are_all_that_are_allowed() {
    let flags = ["--default-identity=ecs-role", "--allowed-identities=ecs-role"];
    assert_eq!(Vec::from_iter(config(&flags).engine.policy.allowed), [Mode::EcsRole]);
}

#[test]
fn default_identity_that_is_not_listed_is_refused() {
    let said = mistake(&["--default-identity=ecs-role", "--allowed-identities=pod"], &[]);
    assert!(
        said.starts_with("--default-identity is ecs-role, which --allowed-identities does not"),
        "{said}"
    );
}

#[test]
fn pod_that_is_not_listed_is_no_default_either() {
    let said = mistake(&["--allowed-identities=ecs-role"], &[]);
    assert!(said.starts_with("--default-identity is pod, which --allowed-identities"), "{said}");
}

#[test]
fn auto_needs_an_identity_that_it_may_choose() {
    for flags in [&["--default-identity=auto"][..], &["--default-identity=auto", POD_ALONE]] {
        let mistakes = with(flags, &[]).unwrap_err();
        assert!(mistakes[0].contains("is auto, which never chooses pod"), "{mistakes:?}");
    }
    let policy =
        config(&["--default-identity=auto", "--allowed-identities=ecs-role"]).engine.policy;
    assert_eq!(policy.default, DefaultMode::Auto);
}

const POD_ALONE: &str = "--allowed-identities=pod";

#[test]
fn identity_that_does_not_exist_is_refused() {
    for flag in ["--default-identity=Pod", "--allowed-identities=pod,ecs"] {
        let said = mistake(&[flag], &[]);
        assert!(said.contains("pod, provider, ram-role, node-publish-secret"), "{said}");
    }
}

#[test]
fn default_identity_that_lacks_a_setting_is_refused() {
    let said = mistake(&["--oidc-provider-arn="], &[]);
    assert!(said.starts_with("identity pod, the default, cannot be used: it needs"), "{said}");
}

#[test]
fn other_identity_that_lacks_a_setting_is_a_warning() {
    let flags = ["--default-identity=ecs-role", "--oidc-provider-arn="];
    let warnings = config(&flags).process.warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("identity pod is allowed and cannot be used"), "{warnings:?}");
}

#[test]
fn setting_that_is_wrong_is_not_also_missing() {
    let said = mistake(&["--oidc-provider-arn=mine"], &[]);
    assert!(said.starts_with("--oidc-provider-arn must be of the form"), "{said}");
}

#[test]
fn auto_that_chooses_what_is_not_allowed_is_refused() {
    let environment = [("ACCESS_KEY_ID", "LTAI1"), ("SECRET_ACCESS_KEY", "planted")];
    let flags = ["--default-identity=auto", "--allowed-identities=ecs-role"];
    let said = mistake(&flags, &environment);
    assert!(said.starts_with("--default-identity is auto and chooses access-key"), "{said}");
}

#[test]
fn auto_with_nothing_set_up_serves_pods_that_bring_keys() {
    let no_metadata = [("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")];
    let flags = ["--default-identity=auto", "--allowed-identities=node-publish-secret"];
    with(&flags, &no_metadata).unwrap();
    let flags = ["--default-identity=auto", "--allowed-identities=ecs-role"];
    let said = mistake(&flags, &no_metadata);
    assert!(said.contains("nothing that it could choose is configured"), "{said}");
}

#[test]
fn swapped_access_key_is_refused_without_showing_it() {
    let environment = [("ACCESS_KEY_ID", "planted"), ("SECRET_ACCESS_KEY", "LTAI1")];
    let said = mistake(&["--default-identity=access-key"], &environment);
    assert!(said.contains("are they swapped?") && !said.contains("planted"), "{said}");
}

#[test]
fn half_an_access_key_is_refused() {
    for (set, unset) in
        [("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"), ("SECRET_ACCESS_KEY", "ACCESS_KEY_ID")]
    {
        let said = mistake(&[], &[(set, "planted")]);
        assert_eq!(said, format!("{set} is set, {unset} is not"));
    }
}

#[test]
fn access_key_has_the_token_that_is_beside_it() {
    let environment = [
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "STS.1"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "s"),
        ("ALIBABA_CLOUD_SECURITY_TOKEN", "t"),
    ];
    let keys = with(&[], &environment).unwrap().engine.policy.keys.unwrap();
    assert_eq!((&*keys.id, &**keys.secret.expose()), ("STS.1", "s"));
    assert_eq!(keys.token.as_ref().unwrap().expose(), "t");
}

#[test]
fn token_without_an_access_key_is_a_warning() {
    let config = with(&[], &[("ALIBABA_CLOUD_SECURITY_TOKEN", "planted")]).unwrap();
    assert!(config.engine.policy.keys.is_none());
    assert_eq!(
        config.process.warnings,
        ["ALIBABA_CLOUD_SECURITY_TOKEN has no effect without an access key"]
    );
}

#[test]
fn account_and_cluster_name_the_provider_that_ack_registers() {
    let policy =
        config(&["--oidc-provider-arn=", "--account-id=12", "--cluster-id=c1"]).engine.policy;
    let arn = policy.oidc_provider.unwrap();
    assert_eq!(arn.as_str(), "acs:ram::12:oidc-provider/ack-rrsa-c1");
}

#[test]
fn provider_given_twice_has_to_be_the_same() {
    let arn = "--oidc-provider-arn=acs:ram::12:oidc-provider/ack-rrsa-c1";
    config(&[arn, "--account-id=12", "--cluster-id=c1"]);
    let said = mistake(&[arn, "--account-id=12", "--cluster-id=c2"], &[]);
    assert!(said.starts_with("--oidc-provider-arn is another provider than"), "{said}");
}

#[test]
fn account_id_that_was_rounded_is_told_from_one_that_is_wrong() {
    for (account, told) in [
        ("1.2e+15", "was rounded on its way here"),
        ("1.0", "was rounded on its way here"),
        ("mine", "do not make an OIDC provider's ARN"),
        ("1e", "do not make an OIDC provider's ARN"),
    ] {
        let said = mistake(&[&format!("--account-id={account}"), "--cluster-id=c"], &[]);
        assert!(said.contains(told), "{account}: {said}");
    }
}

#[test]
fn session_names_have_2_to_64_characters_that_sts_takes() {
    for name in ["ab", "a.b@c-d_9", &"x".repeat(64)] {
        let policy = config(&[&format!("--role-session-name={name}")]).engine.policy;
        assert_eq!(policy.session_name.as_deref(), Some(name));
    }
    for name in ["a", &"x".repeat(65), "a b", "a/b", "äb"] {
        let said = mistake(&[&format!("--role-session-name={name}")], &[]);
        assert!(said.starts_with("--role-session-name must be 2 to 64"), "{said}");
    }
}

#[test]
fn sessions_are_shared_only_where_the_operator_says_so() {
    assert_eq!(config(&[]).engine.policy.share, Share::Pod);
    assert_eq!(config(&["--share=pod"]).engine.policy.share, Share::Pod);
    assert_eq!(config(&["--share=service-account"]).engine.policy.share, Share::ServiceAccount);
}

#[test]
fn cross_account_roles_are_arns_of_ram() {
    let flag = "--allowed-cross-account-roles";
    let policy = config(&[&format!("{flag}=acs:ram::2:role/*, {ROLE},")]).engine.policy;
    assert_eq!(policy.cross_account_roles, [Glob::new("acs:ram::2:role/*"), Glob::new(ROLE)]);
    let said = mistake(&[&format!("{flag}={ROLE},*")], &[]);
    assert!(said.ends_with("role/*, separated by commas"), "{said}");
}

#[test]
fn token_file_of_the_default_identity_has_to_hold_a_token() {
    let role = format!("--role-arn={ROLE}");
    let provider = |file: &str| {
        let file = format!("--oidc-token-file={file}");
        with(&["--default-identity=provider", &role, &file], &[])
    };
    let (_folder, empty) = file(" \n");
    for (path, told) in [(&*empty, "is empty"), ("/no/token", "cannot be read")] {
        let mistakes = provider(path).unwrap_err();
        assert!(mistakes[0].contains(told), "{mistakes:?}");
    }
    let (_folder, token) = file("e30.e30.c");
    assert_eq!(provider(&token).unwrap().engine.policy.token_file, Some(token.into()));
}

// Kubernetes.

#[test]
fn service_accounts_are_not_looked_up_where_that_is_off() {
    assert!(config(&[]).engine.api_server.is_some());
    assert!(config(&["--service-account-lookup=false"]).engine.api_server.is_none());
}

#[test]
fn kubernetes_variables_that_are_no_address_are_refused() {
    let environment = [("KUBERNETES_SERVICE_HOST", "a b"), ("KUBERNETES_SERVICE_PORT", "443")];
    let mistakes = with(&["--kubernetes-api="], &environment).unwrap_err();
    let told = "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not a host and a port";
    assert!(mistakes.iter().any(|mistake| mistake.starts_with(told)), "{mistakes:?}");
    with(&[], &environment).unwrap();
}

#[test]
fn startup_taint_needs_a_key_of_others_and_the_name_of_the_node() {
    const KEY: &str = "--remove-startup-taint=secrets-store.csi.k8s.io/agent-not-ready";
    let node = [("NODE_NAME", "cn-hangzhou.10.0.1.17")];
    assert!(with(&[], &node).unwrap().startup_taint.is_none());
    let taint = |more: &[&str]| with(&[&[KEY], more].concat(), &node).unwrap().startup_taint;
    let shown = format!("{:?}", taint(&[]).unwrap());
    assert!(shown.contains("cn-hangzhou.10.0.1.17"), "{shown}");
    assert!(shown.contains("\"secrets-store.csi.k8s.io/agent-not-ready\""), "{shown}");
    assert!(taint(&["--service-account-lookup=false"]).is_some());

    for wrong in ["", "Node 1", "a/b", "..", ".", "-a", "node_1"] {
        let said = mistake(&[KEY], &[("NODE_NAME", wrong)]);
        assert!(said.contains("needs the variable NODE_NAME"), "{said}");
    }
    let long = "k".repeat(64);
    for wrong in ["a b", "a/", "/a", "a/b/c", "A/b", "a=b", &*long] {
        let said = mistake(&[&format!("--remove-startup-taint={wrong}")], &node);
        assert!(said.ends_with("is not the key of a taint"), "{said}");
    }
    for wrong in ["node.kubernetes.io/not-ready", "node-role.kubernetes.io/control-plane"] {
        let said = mistake(&[&format!("--remove-startup-taint={wrong}")], &node);
        assert!(said.contains("Kubernetes' own taint"), "{said}");
    }
}

#[test]
fn startup_taint_needs_the_provider_s_own_token() {
    let environment = [("NODE_NAME", "a"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
    let arguments =
        ["--kubernetes-api=", "--service-account-lookup=false", "--remove-startup-taint=a"];
    let said = mistake(&arguments, &environment);
    assert!(
        said.starts_with("--remove-startup-taint changes the node with the provider's own token"),
        "{said}"
    );
    with(&arguments[..2], &environment).unwrap();
}

// Hosts.

#[test]
fn region_has_to_be_given_where_the_metadata_is_off() {
    let off = [("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")];
    assert!(config(&["--region="]).engine.region.is_none());
    let said = mistake(&["--region="], &off);
    assert!(said.starts_with("no --region is given, and ALIBABA_CLOUD_ECS_METADATA"), "{said}");
}

#[test]
fn region_that_is_wrong_is_not_also_missing() {
    let off = [("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true")];
    let said = mistake(&["--region=here"], &off);
    assert!(said.starts_with("--region must be a region id"), "{said}");
}

#[test]
fn hosts_inside_the_vpc_are_used_unless_one_says_otherwise() {
    let public = |arguments: &[&str], inside: &str| {
        let environment = [("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", inside)];
        with(arguments, &environment).unwrap().engine.hosts.public
    };
    assert!(!public(&[], ""));
    assert!(!public(&[], "true"));
    assert!(public(&[], "False"));
    assert!(public(&["--public-endpoints"], "true"));
    assert!(!public(&["--public-endpoints=false"], "false"));
}

#[test]
fn each_endpoint_flag_sets_its_own_service() {
    let config = config(&["--sts-endpoint=a.x", "--kms-endpoint=b.x", "--oos-endpoint=c.x"]);
    let Hosts { sts, kms, oos, .. } = config.engine.hosts;
    assert_eq!([sts, kms, oos], ["a.x", "b.x", "c.x"].map(HostTemplate::parse));
}

#[test]
fn words_of_the_user_agent_are_printable_and_few() {
    assert_eq!(config(&[]).engine.agent, None);
    let agent = config(&["--user-agent= ACK/prod "]).engine.agent.unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!("csi-secrets-store-provider-alibabacloud/{version} ACK/prod");
    assert_eq!(agent.to_str().unwrap(), expected);
    for words in ["a\u{7f}b", "a\r\nb", "\u{fc}", &"a".repeat(129)] {
        let said = mistake(&[&format!("--user-agent={words}")], &[]);
        assert!(said.starts_with("--user-agent must be at most 128 printable"), "{said}");
    }
    config(&[&format!("--user-agent={}", "a".repeat(128))]);
}

#[test]
fn region_of_sts_is_one() {
    let of = |region| with(&[], &[("ALIBABA_CLOUD_STS_REGION", region)]);
    assert_eq!(of("cn-beijing").unwrap().engine.hosts.sts_region, Region::parse("cn-beijing"));
    assert_eq!(of("here").unwrap_err(), ["ALIBABA_CLOUD_STS_REGION is not a region id"]);
}

#[test]
fn allowed_endpoints_are_no_urls() {
    let said = mistake(&["--allowed-endpoints=a.example,https://b.example"], &[]);
    assert!(said.starts_with("--allowed-endpoints must be host names"), "{said}");
}

#[test]
fn fixed_addresses_have_a_port_or_leave_it_open() {
    let resolve = "--resolve=*.a=192.0.2.1,b=192.0.2.1:8443, c=fd00::1,d=[fd00::1],e=[fd00::1]:1,";
    let addresses: Vec<String> = config(&[resolve])
        .engine
        .trust
        .resolve
        .iter()
        .map(|(_, address)| address.to_string())
        .collect();
    assert_eq!(
        addresses,
        ["192.0.2.1:0", "192.0.2.1:8443", "[fd00::1]:0", "[fd00::1]:0", "[fd00::1]:1"]
    );
    for wrong in ["a", "=192.0.2.1", "a=b", "a=192.0.2.1:x", "a=[192.0.2.1]"] {
        let said = mistake(&[&format!("--resolve=c=192.0.2.1,{wrong}")], &[]);
        assert!(said.starts_with("--resolve must be HOST=IP"), "{wrong}: {said}");
    }
}

#[test]
fn metadata_host_is_an_address_or_a_name_without_a_scheme() {
    let host = |flag: &str| config(&[flag]).engine.metadata.host;
    assert_eq!(config(&[]).engine.metadata.host, "100.100.100.200");
    assert_eq!(host("--metadata-endpoint=127.0.0.1:80"), "127.0.0.1:80");
    assert_eq!(host("--metadata-endpoint=fd00::1"), "[fd00::1]");
    let said = mistake(&["--metadata-endpoint=http://m"], &[]);
    assert!(said.starts_with("--metadata-endpoint must be HOST"), "{said}");
}

#[test]
fn metadata_without_a_token_is_asked_unless_the_environment_forbids_it() {
    let of = |text| with(&[], &[("ALIBABA_CLOUD_IMDSV1_DISABLED", text)]);
    assert!(of("").unwrap().engine.metadata.without_token);
    assert!(of("false").unwrap().engine.metadata.without_token);
    assert!(!of("true").unwrap().engine.metadata.without_token);
    assert_eq!(of("1").unwrap_err(), ["ALIBABA_CLOUD_IMDSV1_DISABLED must be true or false"]);
}

#[test]
fn certificates_that_cannot_be_read_are_refused() {
    let (_folder, no_pem) = file("nothing");
    for flag in ["ca-file", "kms-ca-file"] {
        for (path, told) in [("/no/ca.pem", "cannot be read"), (&*no_pem, "holds no PEM")] {
            let said = mistake(&[&format!("--{flag}={path}")], &[]);
            assert!(said.starts_with(&format!("--{flag}: {path} {told}")), "{said}");
        }
    }
}

// The process.

#[test]
fn debug_endpoints_are_off_unless_they_are_named() {
    assert_eq!(config(&[]).debug, None);
    for (text, access) in
        [("off", None), ("loopback", Some(DebugAccess::Loopback)), ("all", Some(DebugAccess::All))]
    {
        assert_eq!(config(&[&format!("--debug-endpoints={text}")]).debug, access, "{text}");
    }
    for wrong in ["true", "Loopback", "127.0.0.1"] {
        let said = mistake(&[&format!("--debug-endpoints={wrong}")], &[]);
        assert_eq!(said, "--debug-endpoints must be off, loopback or all");
    }
}

#[test]
fn events_are_off_and_need_a_time_and_an_api_server() {
    let after = |arguments: &[&str]| config(arguments).engine.events.map(|events| events.after);
    assert_eq!(after(&[]), None);
    assert_eq!(after(&["--events=off"]), None);
    assert_eq!(after(&["--events=5m"]), Some(Duration::from_secs(300)));
    // Also where ServiceAccounts are not looked up.
    let without = ["--events=90s", "--service-account-lookup=false"];
    assert_eq!(after(&without), Some(Duration::from_secs(90)));
    for wrong in ["0", "true", "5", "25h", "0s"] {
        let said = mistake(&[&format!("--events={wrong}")], &[]);
        assert!(said.starts_with("--events must be off, or one number"), "{wrong}: {said}");
    }
    let environment = [("KUBERNETES_SERVICE_HOST", "not a host"), ("NODE_NAME", "node-1")];
    let said = mistake(
        &["--kubernetes-api=", "--service-account-lookup=false", "--events=5m"],
        &environment,
    );
    assert!(said.starts_with("--events needs the Kubernetes API: set --kubernetes-api"), "{said}");
    let config = with(&["--events=5m"], &environment).unwrap();
    assert_eq!(config.engine.events.unwrap().node, "node-1");
}

#[test]
fn file_of_namespace_rules_is_read_up_to_what_a_config_map_holds() {
    let (folder, rules) = (TempDir::new().unwrap(), "rules: [{namespaces: [shop]}] #");
    let file = folder.path().join("rules.yaml");
    let read = |length: usize| {
        std::fs::write(&file, rules.to_owned() + &"#".repeat(length - rules.len())).unwrap();
        namespace_rules(&file)
    };
    assert!(read(1_048_576).is_ok());
    assert_eq!(read(1_048_577), Err(vec!["is longer than 1048576 bytes".to_owned()]));
}

#[test]
fn words_of_a_setting_mean_what_they_say() {
    use sandbox::SandboxMode::{Auto, Off, Require};
    let sandbox = |text: &str| config(&[&format!("--sandbox={text}")]).process.sandbox;
    assert_eq!([sandbox("auto"), sandbox("require"), sandbox("off")], [Auto, Require, Off]);
    let batch = |text: &str| config(&[&format!("--kms-batch={text}")]).engine.kms_batch;
    assert_eq!([batch("auto"), batch("off")], [true, false]);
    let failure =
        |text: &str| config(&[&format!("--audit-failure={text}")]).engine.audit.on_failure;
    assert_eq!([failure("refuse"), failure("continue")], [OnFailure::Refuse, OnFailure::Continue]);
}

#[test]
fn words_that_are_not_given_mean_the_careful_choice() {
    let config = config(&[]);
    assert_eq!(config.process.sandbox, sandbox::SandboxMode::Auto);
    assert_eq!(config.engine.audit.on_failure, OnFailure::Refuse);
    assert!(!config.engine.kms_batch && !config.process.lock_memory && config.serve_metrics);
}

#[test]
fn switches_are_on_without_a_value_and_take_any_letter_case() {
    assert!(config(&["--lock-memory"]).process.lock_memory);
    assert!(config(&["--lock-memory=TRUE"]).process.lock_memory);
    assert!(!config(&["--metrics=False"]).serve_metrics);
    for wrong in ["1", "yes", "on"] {
        let said = mistake(&[&format!("--lock-memory={wrong}")], &[]);
        assert_eq!(said, "--lock-memory must be true or false");
    }
}

#[test]
fn health_is_served_at_a_plain_path_of_its_own() {
    for path in ["/healthz", "/", "/a/b._~-9", "/metrics/"] {
        assert_eq!(config(&[&format!("--healthz-path={path}")]).health_path, path);
    }
    for wrong in ["healthz", "/metrics", "/readyz", "/a?b", "/a%20", "/ä"] {
        let said = mistake(&[&format!("--healthz-path={wrong}")], &[]);
        assert!(said.starts_with("--healthz-path must be a path such as"), "{said}");
    }
}

#[test]
fn files_that_are_written_are_those_of_the_volume_and_the_audit_record() {
    let (folder, log) = file("");
    let audit = format!("--audit={log}");
    assert_eq!(config(&[]).process.reach.write, [PathBuf::from("/")]);
    assert_eq!(config(&[&audit]).process.reach.write, [Path::new("/"), folder.path()]);
}

#[test]
fn files_that_are_read_are_those_of_tokens_and_certificates() {
    let (folder, token) = file("e30.e30.c");
    let (certificates, certificate) = file("");
    let folders = format!("{}:", certificates.path().display());
    let environment = [("SSL_CERT_FILE", &*certificate), ("SSL_CERT_DIR", &*folders)];
    let config = with(&[&format!("--oidc-token-file={token}")], &environment).unwrap();
    let account = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
    assert_eq!(
        config.process.reach.read,
        [account, folder.path(), Path::new(&certificate), certificates.path()]
    );
}

#[test]
fn settings_of_an_audit_record_that_is_off_are_a_warning() {
    for flag in ["--audit-failure=refuse", "--audit-max-mib=1", "--audit-files=1"] {
        let warnings = config(&[flag]).process.warnings;
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].ends_with("has no effect: --audit is off"), "{warnings:?}");
        assert_eq!(config(&[flag, "--audit=stdout"]).process.warnings, [""; 0]);
    }
}

#[test]
fn folder_of_the_driver_that_is_not_there_is_a_warning() {
    let folder = TempDir::new().unwrap();
    let there = format!("--provider-volume={}", folder.path().display());
    assert_eq!(config(&[&there]).process.warnings, [""; 0]);
    let warnings = config(&[&format!("{there}/no")]).process.warnings;
    assert!(warnings[0].starts_with("--provider-volume: there is no folder"), "{warnings:?}");
}

// The environment.

#[test]
fn unknown_variable_of_the_official_clients_is_a_warning() {
    let environment = [("ALICLOUD_ROLE_ARM", "x"), ("PATH", "x"), ("ALIBABA_CLOUD_PROFILE", " ")];
    assert_eq!(
        with(&[], &environment).unwrap().process.warnings,
        ["set in the environment and not read: \"ALICLOUD_ROLE_ARM\" (did you mean \
          ALICLOUD_ROLE_ARN?)"]
    );
}

#[test]
fn known_variable_that_a_flag_made_needless_is_no_warning() {
    let environment = [("ALIBABA_CLOUD_REGION_ID", "cn-beijing")];
    assert_eq!(with(&[], &environment).unwrap().process.warnings, [""; 0]);
}

#[test]
fn empty_variable_with_the_prefix_of_this_program_is_none() {
    with(&[], &[("ALIBABACLOUD_PROVIDER_REGOIN", "")]).unwrap();
    mistake(&[], &[("ALIBABACLOUD_PROVIDER_REGOIN", "x")]);
}

// The preset.

#[test]
fn preset_for_the_sync_controller_has_its_folder_and_asks_the_cloud_each_time() {
    let config = only(&[&RIGHT[1..], &["--preset=sync"]].concat(), &[]).unwrap();
    assert_eq!(config.provider_volume, Path::new("/provider"));
    let engine = config.engine;
    assert_eq!(engine.mount_timeout, Duration::from_secs(20));
    assert_eq!(engine.freshness.of(None), Duration::ZERO);
    assert_eq!(engine.stale_while_throttled, Duration::ZERO);
}

#[test]
fn flag_and_variable_win_over_the_preset() {
    let variable = [("ALIBABACLOUD_PROVIDER_REFRESH_INTERVAL", "2m")];
    let config = with(&["--preset=sync", "--mount-timeout=30"], &variable).unwrap();
    assert_eq!(config.engine.mount_timeout, Duration::from_secs(30));
    assert_eq!(config.engine.freshness.of(None), Duration::from_secs(120));
}

#[test]
fn other_preset_is_a_mistake() {
    assert_eq!(mistake(&["--preset=driver"], &[]), "--preset must be sync");
}

// The proxy.

/// Its address, and whether a public host is called through it.
fn proxy(flags: &[&str], environment: &[(&str, &str)]) -> Option<(String, bool)> {
    let proxy = with(flags, environment).unwrap().engine.trust.proxy?;
    Some((proxy.address().to_owned(), proxy.is_for("kms.cn-hangzhou.aliyuncs.com")))
}

fn through(address: &str) -> Option<(String, bool)> {
    Some((address.to_owned(), true))
}

#[test]
fn proxy_is_of_the_flag_then_of_https_proxy_then_of_all_proxy() {
    let all = ("ALL_PROXY", "http://all:1");
    let https = ("https_proxy", "http://https:2");
    let flag = "--https-proxy=http://flag:3";
    assert_eq!(proxy(&[], &[]), None);
    assert_eq!(proxy(&[], &[all]), through("all:1"));
    assert_eq!(proxy(&[], &[all, https]), through("https:2"));
    assert_eq!(proxy(&[flag], &[all, https]), through("flag:3"));
}

#[test]
fn no_proxy_is_of_the_flag_or_of_the_variable() {
    let url = ("HTTPS_PROXY", "http://proxy:1");
    let direct = Some(("proxy:1".to_owned(), false));
    assert_eq!(proxy(&[], &[url, ("NO_PROXY", "aliyuncs.com")]), direct);
    assert_eq!(proxy(&["--no-proxy=*"], &[url]), direct);
    assert_eq!(proxy(&["--no-proxy=other.example"], &[url]), through("proxy:1"));
}

#[test]
fn proxy_that_is_none_is_a_mistake_without_its_url() {
    for environment in [("HTTPS_PROXY", "socks5://planted:1"), ("https_proxy", "https://planted:1")]
    {
        let mistakes = with(&[], &[environment]).unwrap_err();
        assert!(mistakes.len() == 1 && !mistakes[0].contains("planted"), "{mistakes:?}");
    }
}

#[test]
fn proxy_of_all_protocols_that_is_of_another_is_a_warning_without_its_url() {
    let config = with(&[], &[("ALL_PROXY", "socks5://planted:1")]).unwrap();
    assert!(config.engine.trust.proxy.is_none());
    let warnings = config.process.warnings;
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("ALL_PROXY is not used"),
        "{warnings:?}"
    );
    assert!(!warnings[0].contains("planted"), "{warnings:?}");
}

#[test]
fn proxy_of_plain_http_alone_is_a_warning_without_its_address() {
    let http = ("HTTP_PROXY", "http://planted");
    let warnings = with(&[], &[http]).unwrap().process.warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("not used: HTTP_PROXY;"), "{warnings:?}");
    assert!(!warnings[0].contains("planted"), "{warnings:?}");
    assert_eq!(
        with(&[], &[http, ("HTTPS_PROXY", "http://x:1")]).unwrap().process.warnings,
        [""; 0]
    );
}

// The command line.

#[test]
fn flag_that_does_not_exist_is_refused() {
    assert!(Flags::parse(["provider", "--regoin=x"].map(Into::into)).is_err());
}

#[test]
fn variable_of_a_flag_is_its_name_in_capitals_behind_the_prefix() {
    assert_eq!(flag::variable("kms-ca-file"), "ALIBABACLOUD_PROVIDER_KMS_CA_FILE");
}
