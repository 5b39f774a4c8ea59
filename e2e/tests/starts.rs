//! Starts that cannot serve: each says why, on standard error, and ends with 64 or 1.

use std::{
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

use crate::{program::program, world::OIDC_PROVIDER};

const ROLE: &str = "--role-arn=acs:ram::1234567890123456:role/provider";
/// This is no pod of a cluster, and has no token of its own.
const API: &str = "--kubernetes-api=http://127.0.0.1:1";
const KEYS: [(&str, &str); 2] = [
    ("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001"),
    ("SECRET_ACCESS_KEY", "planted-access-key-secret-0001"),
];

/// Arguments, variables, and what is said.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

fn ended(command: &mut Command) -> (i32, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(String::from_utf8(stdout).unwrap(), "");
    let said = String::from_utf8(stderr).unwrap();
    assert!(!said.contains("planted"), "{said}");
    (status.code().unwrap(), said)
}

/// All is right but what a test adds.
fn started(arguments: &[&str], environment: &[(&str, &str)]) -> (i32, String) {
    let folder = TempDir::new().unwrap();
    let (mut command, _taken) = right(folder.path());
    ended(command.args(arguments).envs(environment.iter().copied()))
}

/// A program that gets as far as its port, which another has: so it ends, with 1.
fn right(folder: &Path) -> (Command, TcpListener) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = program();
    command
        .arg(format!("--provider-volume={}", folder.display()))
        .args(["--region=cn-hangzhou", "--healthz-address=127.0.0.1", API])
        .arg(format!("--healthz-port={}", taken.local_addr().unwrap().port()));
    (command, taken)
}

fn oidc() -> String {
    format!("--oidc-provider-arn={OIDC_PROVIDER}")
}

#[test]
fn unknown_log_levels_are_refused_with_the_levels_that_there_are() {
    for (level, said) in [
        ("warning", "did you mean warn?"),
        ("information", "did you mean info?"),
        ("provider=verbos", "\"verbos\" is not one of error, warn, info, debug, trace, off"),
        ("4", "\"4\" is not one of"),
    ] {
        let (status, log) = started(&[&oidc(), &format!("--log-level={level}")], &[]);
        assert_eq!(status, 64, "{log}");
        assert!(log.contains("--log-level: ") && log.contains(said), "{log}");
    }
}

#[test]
fn fatal_error_is_printed_once_at_any_level_and_format() {
    for level in ["info", "error", "off", "fatal=off", "off,provider=trace"] {
        for format in ["text", "json"] {
            let level = format!("--log-level={level}");
            let arguments = [&oidc(), &level, &format!("--log-format={format}")];
            let (status, log) = started(&arguments.map(|a| a.as_str()), &[]);
            assert_eq!(status, 1, "{log}");
            assert_eq!(log.matches("cannot listen on port").count(), 1, "{level} {format}: {log}");
            if format == "json" {
                let last = log.lines().last().unwrap();
                let line: serde_json::Value = serde_json::from_str(last).unwrap();
                assert_eq!(line["level"], "ERROR");
                assert!(line["error"].as_str().unwrap().contains("cannot listen on port"));
            }
        }
    }
}

#[test]
fn mistakes_are_one_line_where_logs_are_json() {
    let (status, log) =
        started(&["--log-format=json", "--log-level=off", "--sandbox=x", "--share=all"], &[]);
    assert_eq!(status, 64, "{log}");
    let line: serde_json::Value = serde_json::from_str(&log).unwrap();
    let error = line["error"].as_str().unwrap();
    for part in
        ["the configuration is wrong", "--sandbox must be", "--share must be", "it needs --oidc-"]
    {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn default_identity_that_cannot_work_ends_the_start() {
    let none: &[(&str, &str)] = &[];
    let no_metadata = ("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true");
    let oidc = oidc();
    let cases: &[Case<'_>] = &[
        (&[], none, "identity pod, the default, cannot be used: it needs --oidc-provider-arn"),
        (&["--cluster-id=c1"], none, "--cluster-id is given and --account-id is not"),
        (&["--account-id=1"], none, "--account-id is given and --cluster-id is not"),
        (&["--account-id=1.2e+15", "--cluster-id=c1"], none, "rounded on its way here: put it in"),
        (&["--account-id=ACCOUNT_ID", "--cluster-id=CLUSTER_ID"], none, "the account id is a"),
        (
            &["--default-identity=provider", &oidc],
            none,
            "identity provider, the default, cannot be used: it needs --role-arn and \
             --oidc-token-file",
        ),
        (
            &["--default-identity=provider", &oidc, ROLE, "--oidc-token-file=/no/token"],
            none,
            "its token file /no/token cannot be read: entity not found",
        ),
        (
            &["--default-identity=provider", &oidc, ROLE, "--oidc-token-file=/dev/null"],
            none,
            "its token file /dev/null is empty",
        ),
        (&["--default-identity=ram-role", ROLE], none, "it needs ACCESS_KEY_ID with"),
        (&["--default-identity=ram-role"], &KEYS, "cannot be used: it needs --role-arn;"),
        (&["--default-identity=access-key"], none, "it needs ACCESS_KEY_ID with SECRET_ACCESS_KEY"),
        (
            &["--default-identity=access-key"],
            &[("ACCESS_KEY_ID", "planted-secret"), ("SECRET_ACCESS_KEY", KEYS[0].1)],
            "SECRET_ACCESS_KEY holds the id of an access key, and ACCESS_KEY_ID does not (are they",
        ),
        (&["--default-identity=ecs-role"], &[no_metadata], "ECS_METADATA_DISABLED turns off"),
        (
            &["--default-identity=auto", "--allowed-identities=ecs-role"],
            &[no_metadata],
            "--default-identity is auto, and nothing that it could choose is configured",
        ),
        (
            &["--default-identity=auto", "--allowed-identities=pod,ecs-role"],
            &KEYS,
            "--default-identity is auto and chooses access-key, the first that is configured",
        ),
    ];
    for (arguments, environment, said) in cases {
        let (status, log) = started(arguments, environment);
        assert_eq!(status, 64, "{arguments:?}: {log}");
        assert!(log.contains(said), "no {said:?} in {log}");
        assert_eq!(log.matches("\n  - ").count(), 1, "{log}");
    }
}

#[test]
fn allowed_identity_that_cannot_work_is_a_warning() {
    let oidc = oidc();
    let all = "--allowed-identities=pod,provider,ram-role,node-publish-secret,access-key,ecs-role";
    let (status, log) = started(&[all, &oidc], &[]);
    assert_eq!(status, 1, "{log}");
    for part in [
        "identity provider is allowed and cannot be used: it needs --role-arn and --oidc-token-file",
        "identity ram-role is allowed and cannot be used: it needs ACCESS_KEY_ID with",
        "identity access-key is allowed and cannot be used",
    ] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
    assert_eq!(log.matches("is allowed and cannot be used").count(), 3, "{log}");

    // Of the two that are allowed unasked, one.
    let (status, log) = started(&["--default-identity=ecs-role"], &[]);
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("identity pod is allowed and cannot be used: it needs --oidc-"), "{log}");

    // Pods that bring keys are served.
    let auto = ["--default-identity=auto", "--allowed-identities=node-publish-secret"];
    assert_eq!(started(&auto, &[]).0, 1);
    let (status, log) = started(&["--cluster-id=c1", &oidc], &[]);
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("--cluster-id has no effect without --account-id"), "{log}");
}

#[test]
fn paths_that_cannot_work_are_refused_and_nothing_is_made() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(at("file"), "").unwrap();
    for (argument, said) in [
        ("--healthz-path=/metrics".to_owned(), "neither /readyz nor /metrics"),
        ("--healthz-path=/readyz".to_owned(), "neither /readyz nor /metrics"),
        ("--healthz-path=/debug/state".to_owned(), "nor below /debug/"),
        ("--healthz-path=/a?b".to_owned(), "--healthz-path must be a path such as /healthz"),
        ("--healthz-path=/a b".to_owned(), "--healthz-path must be a path such as /healthz"),
        (format!("--audit={}", at("typo/a.log")), "there is no folder"),
        (format!("--audit={}", at("file/a.log")), "is not a folder"),
        (format!("--audit={}", at("")), "is a folder: name a file in it"),
        ("--oidc-token-file=token".to_owned(), "--oidc-token-file must be a path that starts"),
        ("--metadata-endpoint=http://m".to_owned(), "--metadata-endpoint must be HOST or"),
        ("--metadata-endpoint=127.0.0.1:99999".to_owned(), "--metadata-endpoint must be HOST or"),
    ] {
        let (status, log) = started(&[&oidc(), &argument], &[]);
        assert_eq!(status, 64, "{argument}: {log}");
        assert!(log.contains(said), "no {said:?} in {log}");
    }
    assert!(!folder.path().join("typo").exists());
    for (volume, said) in [("providers", "starts with /"), (&at("file"), "is not a folder")] {
        let volume = format!("--provider-volume={volume}");
        let (status, log) = ended(program().args([&volume, &oidc()]));
        assert_eq!(status, 64, "{log}");
        assert!(log.contains("--provider-volume: ") && log.contains(said), "{log}");
    }
}

#[test]
fn unknown_variables_of_its_own_are_refused_and_others_listed() {
    let oidc = oidc();
    let (status, log) = started(
        &[&oidc],
        &[("ALIBABACLOUD_PROVIDER_REGOIN", "planted"), ("ALIBABACLOUD_PROVIDER_OF", "planted")],
    );
    assert_eq!(status, 64, "{log}");
    for part in [
        "\"ALIBABACLOUD_PROVIDER_REGOIN\" is not a variable of this program (did you mean \
         ALIBABACLOUD_PROVIDER_REGION?)",
        "\"ALIBABACLOUD_PROVIDER_OF\" is not a variable of this program\n",
    ] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }

    let (status, log) = started(
        &[&oidc],
        &[
            ("ALICLOUD_ROLE_ARM", "planted"),
            ("ALIBABA_CLOUD_PROFILE", "planted"),
            ("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED", "true"),
            ("ALIBABA_CLOUD_ROLE_ARN", "acs:ram::1:role/a"),
            ("ALIBABACLOUD_PROVIDER_REGION", "cn-beijing"),
            ("HTTP_PROXY", "http://planted"),
            ("SSL_CERT_FILE", "/no/ca.pem"),
            ("SSL_CERT_DIR", "/etc/ssl:/no/certs"),
            ("ALIBABA_CLOUD_SECURITY_TOKEN", "planted"),
        ],
    );
    assert_eq!(status, 1, "{log}");
    for part in [
        "set in the environment and not read: \"ALIBABA_CLOUD_PROFILE\", \"ALICLOUD_ROLE_ARM\" \
         (did you mean ALICLOUD_ROLE_ARN?)\n",
        "set in the environment and not used: HTTP_PROXY; STS, KMS and OOS",
        "SSL_CERT_FILE: there is no file /no/ca.pem",
        "SSL_CERT_DIR: there is no folder /no/certs",
        "ALIBABA_CLOUD_SECURITY_TOKEN has no effect without an access key",
    ] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
    assert_eq!(log.matches(" WARN ").count(), 5, "{log}");

    let (status, log) = started(&[&oidc], &[("https_proxy", "socks5://planted:planted@proxy")]);
    assert_eq!(status, 64, "{log}");
    assert!(log.contains("https_proxy (--https-proxy): must be http://HOST:PORT"), "{log}");

    let (status, log) = started(&[&oidc], &[("ALIBABA_CLOUD_IMDSV1_DISABLED", "yes")]);
    assert_eq!(status, 64, "{log}");
    assert!(log.contains("ALIBABA_CLOUD_IMDSV1_DISABLED must be true or false"), "{log}");
}

#[test]
fn flags_without_effect_are_warned_of() {
    let (status, log) = started(&[&oidc(), "--audit-files=3"], &[]);
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("--audit-files has no effect: --audit is off"), "{log}");
}

#[test]
fn provider_volume_that_is_created_is_warned_of() {
    let folder = TempDir::new().unwrap();
    let volume = folder.path().join("typo");
    let argument = format!("--provider-volume={}", volume.display());
    let said = format!("--provider-volume: there is no folder {}, and", volume.display());
    let (mut command, _taken) = right(folder.path());
    let (status, log) = ended(command.args([&oidc(), "--sandbox=off"]));
    assert_eq!((status, log.contains("there is no folder")), (1, false), "{log}");
    let unbound = ["--region=cn-hangzhou", "--healthz-address=192.0.2.1", "--healthz-port=0"];
    let (status, log) = ended(program().args([&argument, &oidc(), API]).args(unbound));
    assert_eq!(status, 1, "{log}");
    assert!(log.contains(" WARN ") && log.contains(&said), "{log}");
}

#[test]
fn ports_that_cannot_be_bound_say_what_to_set() {
    const SOMEBODY: u32 = 65534;
    let folder = TempDir::new().unwrap();
    let volume = format!("--provider-volume={}", folder.path().display());
    let mut command = program();
    command.args([&volume, "--region=cn-hangzhou", &oidc(), API, "--healthz-address=127.0.0.1"]);
    command.arg("--healthz-port=1").uid(SOMEBODY);
    let (status, log) = ended(&mut command);
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("needs the capability NET_BIND_SERVICE: set --healthz-port"), "{log}");

    let mut command = program();
    command.args([&volume, "--region=cn-hangzhou", &oidc(), API, "--healthz-port=0"]);
    let (status, log) = ended(command.arg("--healthz-address=192.0.2.1"));
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("set --healthz-address to one that it has"), "{log}");
}

#[test]
fn lookups_that_cannot_work_end_the_start() {
    let folder = TempDir::new().unwrap();
    let volume = format!("--provider-volume={}", folder.path().display());
    let (oidc, region) = (oidc(), "--region=cn-hangzhou");
    let unbound = ["--healthz-address=192.0.2.1", "--healthz-port=0"];
    let with = |more: &[&str], environment: &[(&str, &str)]| {
        let mut command = program();
        command.args([&volume, &oidc, region]).args(unbound).args(more);
        ended(command.envs(environment.iter().copied()))
    };
    let (status, log) = with(&[], &[]);
    assert_eq!(status, 64, "{log}");
    for part in [
        "/var/run/secrets/kubernetes.io/serviceaccount/token cannot be read: entity not found",
        "automountServiceAccountToken: true",
        "--service-account-lookup=false",
    ] {
        assert!(log.contains(part), "no {part:?} in {log}");
    }
    let (host, port) = ("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT");
    let (status, log) = with(&[], &[(host, "10.0.0.1"), (port, "tcp://x")]);
    assert_eq!(status, 64, "{log}");
    assert!(log.contains("KUBERNETES_SERVICE_PORT are not a host and a port: set"), "{log}");

    for url in ["http://a b", "http://1.2.3.4:99999", "http://fd00::1:8001", "http://[::1"] {
        let (status, log) = with(&[&format!("--kubernetes-api={url}")], &[]);
        assert_eq!(status, 64, "{log}");
        assert!(log.contains("--kubernetes-api must be http://HOST:PORT"), "{log}");
    }

    // Nothing of it is used where there is another way.
    for way in [API, "--service-account-lookup=false"] {
        let (status, log) = with(&[way], &[(port, "tcp://x")]);
        assert_eq!(status, 1, "{log}");
        assert!(!log.contains("kubernetes.io"), "{log}");
    }
    let (status, log) = with(&["--default-identity=ecs-role"], &[]);
    assert_eq!(status, 1, "{log}");
    assert!(log.contains(" WARN ") && log.contains("identity pod looks up"), "{log}");
}

#[test]
fn region_is_not_asked_for_where_metadata_is_off() {
    let folder = TempDir::new().unwrap();
    let volume = format!("--provider-volume={}", folder.path().display());
    let metadata = TcpListener::bind("127.0.0.1:0").unwrap();
    metadata.set_nonblocking(true).unwrap();
    let mut command = program();
    command.args([&volume, &oidc(), API, "--healthz-port=0"]);
    command.arg(format!("--metadata-endpoint={}", metadata.local_addr().unwrap()));
    let (status, log) = ended(command.env("ALIBABA_CLOUD_ECS_METADATA_DISABLED", "true"));
    assert_eq!(status, 64, "{log}");
    assert!(log.contains("ALIBABA_CLOUD_ECS_METADATA_DISABLED turns off"), "{log}");
    assert!(log.contains(": set --region"), "{log}");
    assert!(metadata.accept().is_err(), "it was asked");
}

#[test]
fn region_that_cannot_be_asked_for_says_what_to_set() {
    let folder = TempDir::new().unwrap();
    let volume = format!("--provider-volume={}", folder.path().display());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert!(TcpStream::connect(free).is_err());
    let mut command = program();
    command.args([&volume, &oidc(), API, "--healthz-port=0", "--log-level=off", "--region="]);
    let (status, log) = ended(command.arg(format!("--metadata-endpoint={free}")));
    assert_eq!(status, 1, "{log}");
    assert!(log.contains("no --region is given") && log.contains("; set --region"), "{log}");
}
