//! `doctor`, the program as a process, beside a provider that serves and a cloud that answers: all is well, and one
//! thing at a time is not.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::{Path, PathBuf},
    time::Duration,
};

use aho_corasick::AhoCorasick;
use emulator::{Fault, FaultEffect};
use serde_json::{Value, json};

use crate::{
    architecture::root,
    driver::PodVolume,
    program::program,
    table::Table,
    world::{AUDIENCE, Setup, World, canaries, cloud},
};

const WEB: &str = "acs:ram::1234567890123456:role/web";
const HOUR: Duration = Duration::from_secs(3600);
/// As ACK has them.
const ISSUER: &str = "https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0123456789abcdef";

/// A set-up that is as it should be, and an application's token in it.
struct Clinic {
    world: World,
}

/// What the program said.
struct Said {
    status: i32,
    text: String,
}

impl Clinic {
    async fn open() -> Self {
        let setup = Setup::default()
            .cloud("https://kubernetes.default.svc", ISSUER)
            .flag("debug-endpoints", "loopback");
        let clinic = Self { world: setup.start().await };
        let token = clinic.world.token(&PodVolume::new("shop", "web", "web-1"), AUDIENCE);
        clinic.write("pod-token", &token);
        clinic
    }

    fn path(&self, name: &str) -> PathBuf {
        self.world.path(name)
    }

    fn write(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        self.path(name).display().to_string()
    }

    /// The class and the CSIDriver that `--file` names.
    fn manifests(&self, objects: &Value, driver: &Value) -> String {
        let class = json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClass",
            "metadata": { "name": "checkout", "namespace": "shop" },
            "spec": { "provider": "alibabacloud", "parameters": { "objects": objects.to_string() } },
        });
        let driver = json!({
            "apiVersion": "storage.k8s.io/v1",
            "kind": "CSIDriver",
            "metadata": { "name": "secrets-store.csi.k8s.io" },
            "spec": driver,
        });
        self.write("manifests.yaml", &format!("{class}\n---\n{driver}\n"))
    }

    /// With the flags of the provider; of one that is given twice the last holds.
    async fn doctor(&self, more: &[&str]) -> Said {
        let mut flags = vec![
            format!("--oidc-token-file={}", self.path("pod-token").display()),
            format!("--role-arn={WEB}"),
            "--log-level=trace".to_owned(),
            // A busy machine needs it.
            "--timeout=100".to_owned(),
        ];
        flags.extend(self.world.flags());
        let name = |flag: &str| flag.split('=').next().unwrap().to_owned();
        for flag in more {
            flags.retain(|other| name(other) != name(flag) || name(flag) == "--secret");
            flags.push((*flag).to_owned());
        }
        let output = tokio::task::spawn_blocking(move || {
            program().arg("doctor").args(flags).output().unwrap()
        });
        let output = output.await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        self.assert_no_secret(&format!("{text}{log}"));
        Said { status: output.status.code().unwrap(), text }
    }

    fn assert_no_secret(&self, said: &str) {
        let canaries = canaries(&self.world.emulator);
        let found = AhoCorasick::new(&canaries).unwrap().find(said);
        let around =
            found.map(|found| said[found.start().saturating_sub(200)..found.start()].to_owned());
        assert!(around.is_none(), "a secret is told after {around:?}");
    }

    fn fault(&self, service: &str, action: &str, effect: FaultEffect) {
        self.world.emulator.add_fault(Fault {
            service: Some(service.to_owned()),
            action: Some(action.to_owned()),
            effect,
            ..Fault::default()
        });
    }
}

impl Said {
    /// The line of a check with this outcome, and what stands below it.
    fn find(&self, outcome: &str, check: &str) -> Option<String> {
        let head = format!("{outcome:<8} {check:<16} ");
        let mut lines = self.text.lines().skip_while(|line| !line.starts_with(&head));
        let first = lines.next()?;
        let below = lines.take_while(|line| line.starts_with("   "));
        Some(std::iter::once(first).chain(below).collect::<Vec<_>>().join("\n"))
    }

    fn says(&self, outcome: &str, check: &str, words: &[&str]) {
        let Some(line) = self.find(outcome, check) else {
            panic!("no {outcome} {check} in:\n{}", self.text);
        };
        for word in words {
            assert!(line.contains(word), "no {word:?} in:\n{line}");
        }
    }
}

fn good_driver() -> Value {
    json!({
        "tokenRequests": [{ "audience": "sts.aliyuncs.com" }],
        "podInfoOnMount": true,
        "requiresRepublish": true,
    })
}

#[tokio::test]
async fn healthy_set_up_has_nothing_broken_and_its_json_keeps_its_form() {
    let clinic = Clinic::open().await;
    let objects =
        json!([{ "objectName": "web/plain" }, { "objectName": "plain", "objectType": "oos" }]);
    let file = format!("--file={}", clinic.manifests(&objects, &good_driver()));
    let said = clinic.doctor(&[&file, "--output=json"]).await;
    let report: Value = serde_json::from_str(&said.text).expect(&said.text);
    let keys = |value: &Value| {
        value.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>().join(" ")
    };
    // Who reads it relies on these.
    assert_eq!(keys(&report), "checks schema summary version");
    assert_eq!(report["schema"], 1);
    assert_eq!(keys(&report["summary"]), "broken exit_status ok skipped warn");
    let checks = report["checks"].as_array().unwrap();
    let members = "check fix notes outcome request_id seen subject took_ms";
    assert!(checks.iter().all(|check| keys(check) == members), "{}", said.text);
    let outcomes = |name: &str| -> Vec<&str> {
        let of = checks.iter().filter(|check| check["check"] == name);
        of.map(|check| check["outcome"].as_str().unwrap()).collect()
    };
    for (name, outcome) in [
        ("token", vec!["ok"]),
        ("issuer", vec!["ok"]),
        ("names", vec!["ok"; 3]),
        ("certificate", vec!["ok"; 3]),
        ("answer", vec!["ok"; 3]),
        ("clock", vec!["ok"]),
        ("login", vec!["ok"]),
        ("permission", vec!["ok"; 2]),
        ("quota", vec!["ok"]),
        ("socket", vec!["ok"]),
        ("provider", vec!["ok"]),
        ("service-accounts", vec!["ok"]),
    ] {
        assert_eq!(outcomes(name), outcome, "{name}: {}", said.text);
    }
    // The driver's process is not here.
    assert_eq!(outcomes("driver"), ["ok", "skipped"]);
    assert_eq!((&report["summary"]["broken"], said.status), (&json!(0), 0), "{}", said.text);
    let login = checks.iter().find(|check| check["check"] == "login").unwrap();
    let asked = clinic.world.calls("AssumeRoleWithOIDC");
    let request = login["request_id"].as_str().unwrap();
    assert!(asked.iter().any(|call| call.request_id == request), "{request}");
    // No value went anywhere.
    let ids = |call: &emulator::RequestRecord| (call.status, call.action.clone());
    let reads = clinic.world.emulator.requests();
    let gave = reads.iter().filter(|call| call.action == "GetSecretValue" && call.status == 200);
    assert_eq!(gave.map(ids).collect::<Vec<_>>(), []);
    clinic.world.finish().await;
}

#[tokio::test]
async fn each_thing_that_is_broken_is_named_with_what_to_do() {
    let clinic = Clinic::open().await;
    let emulator = &clinic.world.emulator;

    let expired = emulator.expired_pod_token("shop", "web", "web-1", "u", AUDIENCE, HOUR);
    let file = format!("--oidc-token-file={}", clinic.write("expired", &expired));
    let said = clinic.doctor(&[&file]).await;
    said.says("broken", "token", &["expired 60 min ago", "fix: kubelet renews"]);
    said.says("broken", "login", &["token has expired", "fix: "]);
    assert_eq!(said.status, 1);

    let foreign = clinic.world.token(&PodVolume::new("shop", "web", "web-1"), "vault.example");
    let file = format!("--oidc-token-file={}", clinic.write("foreign", &foreign));
    let said = clinic.doctor(&[&file]).await;
    said.says("broken", "token", &["\"vault.example\"", "fix: write audience: sts.aliyuncs.com"]);
    said.says("broken", "login", &["AuthenticationFail.OIDCToken.AudienceNotMatch", "request "]);

    let file = format!("--oidc-token-file={}", clinic.write("none", "planted-text"));
    let said = clinic.doctor(&[&file]).await;
    said.says("broken", "token", &["holds no token", "fix: project a serviceAccountToken"]);

    let instances = clinic.world.emulator.instance_ca_pem();
    let file = format!("--ca-file={}", clinic.write("wrong-ca.pem", &instances));
    let said = clinic.doctor(&[&file]).await;
    let fix = "fix: give that CA's certificate with --ca-file";
    said.says(
        "broken",
        "certificate",
        &["issued by CN=Emulated Public CA, which is not trusted", fix],
    );
    said.says("skipped", "answer", &["no connection that is trusted"]);
    let other = cloud(&[]).await;
    let file = format!("--ca-file={}", clinic.write("other-ca.pem", &other.ca_pem()));
    let said = clinic.doctor(&[&file]).await;
    let fix = "fix: --ca-file has a CA of this name with another key";
    said.says("broken", "certificate", &["is not signed by the CA CN=Emulated Public CA", fix]);

    // Whose token it is, its role's trust policy does not name.
    let intruder = clinic.world.token(&PodVolume::new("shop", "intruder", "x"), AUDIENCE);
    let file = format!("--oidc-token-file={}", clinic.write("intruder", &intruder));
    let said = clinic.doctor(&[&file]).await;
    let subject = "oidc:sub is system:serviceaccount:shop:intruder";
    let why = [
        "AuthenticationFail.NoPermission",
        "fix: the trust policy of",
        subject,
        ISSUER,
        "request ",
    ];
    said.says("broken", "login", &why);
    said.says("skipped", "permission", &["there is no login"]);

    let said =
        clinic.doctor(&["--secret=api/token", "--secret=web/nowhere", "--secret=web/plain"]).await;
    let allow = "\"Action\":[\"kms:GetSecretValue\"]";
    let of = "acs:kms:cn-hangzhou:1234567890123456:secret/api/token";
    said.says(
        "broken",
        "permission",
        &["kms api/token", "AccessDeniedError", "fix: allow it", allow, of],
    );
    said.says("ok", "permission", &["kms web/plain", "may be read"]);
    assert!(said.text.contains("kms web/nowhere: cannot be read"), "{}", said.text);
    assert!(said.text.contains("fix: it does not exist there"), "{}", said.text);

    let provider = "--oidc-provider-arn=acs:ram::1234567890123456:oidc-provider/ack-rrsa-cother";
    let said = clinic.doctor(&[provider]).await;
    said.says("warn", "issuer", &["does not name the cluster", "another cluster than \"cother\""]);
    said.says("broken", "login", &["fix: the operator must set --oidc-provider-arn"]);

    let said = clinic.doctor(&["--kms-endpoint=http://kms"]).await;
    said.says("broken", "configuration", &["--kms-endpoint must be a host name", "fix: "]);

    let driver = json!({ "tokenRequests": [{ "audience": "vault" }], "podInfoOnMount": true });
    let file = clinic.manifests(&json!([{ "objectName": "web/plain" }]), &driver);
    let said = clinic.doctor(&[&format!("--file={file}")]).await;
    said.says(
        "broken",
        "driver",
        &["(\"vault\") lack sts.aliyuncs.com", "fix: write tokenRequests"],
    );
    said.says("warn", "driver", &["requiresRepublish", "fix: set enableSecretRotation: true"]);
    clinic.world.finish().await;
}

#[tokio::test]
async fn what_is_wrong_with_the_socket_is_told() {
    let clinic = Clinic::open().await;
    let volume = clinic.path("elsewhere");
    let flag = format!("--provider-volume={}", volume.display());
    let said = clinic.doctor(&[&flag]).await;
    said.says("skipped", "socket", &["no such folder here"]);
    fs::create_dir(&volume).unwrap();
    let said = clinic.doctor(&[&flag]).await;
    said.says("broken", "socket", &["there is no socket", "fix: start the provider on this node"]);
    assert_eq!(said.status, 1);
    let path = volume.join("alibabacloud.sock");
    let listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    // It listens, and says nothing.
    let said = clinic.doctor(&[&flag, "--timeout=5"]).await;
    said.says(
        "broken",
        "socket",
        &["does not answer Version", "mode 0600", "fix: restart the provider"],
    );
    drop(listener);
    let said = clinic.doctor(&[&flag]).await;
    said.says("broken", "socket", &["is stale: nobody listens", "fix: start the provider"]);
    clinic.world.finish().await;
}

#[tokio::test]
async fn endpoint_that_hangs_and_a_clock_that_is_off_are_told_in_time() {
    let clinic = Clinic::open().await;
    clinic.fault("kms", "GetSecretValue", FaultEffect::Hang);
    let started = std::time::Instant::now();
    let said = clinic.doctor(&["--secret=web/plain", "--timeout=20"]).await;
    said.says(
        "broken",
        "answer",
        &["KMS kms-vpc.cn-hangzhou", "no answer in time", "fix: check DNS, routes"],
    );
    said.says("broken", "permission", &["kms web/plain", "no answer in time"]);
    said.says("ok", "login", &["a session was given"]);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());

    clinic.world.emulator.clear_faults();
    let hour_ago = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(3600);
    let date = hour_ago.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    clinic.fault(
        "sts",
        "AssumeRoleWithOIDC",
        FaultEffect::Error {
            status: 400,
            code: "InvalidTimeStamp.Expired".to_owned(),
            message: None,
            headers: [("date".to_owned(), date)].into(),
        },
    );
    let said = clinic.doctor(&[]).await;
    let why = [
        "60 min ahead of that of sts-vpc",
        "refuse every signature",
        "fix: set the node's clock right",
    ];
    said.says("broken", "clock", &why);
    said.says("broken", "login", &["InvalidTimeStamp.Expired", "fix: set the node's clock right"]);
    clinic.world.finish().await;
}

#[tokio::test]
async fn facts_are_tried_without_reading_a_value_and_told_with_what_they_are_tried_against() {
    let clinic = Clinic::open().await;
    let said = clinic.doctor(&["--cloud", "--secret=web/plain"]).await;
    assert_eq!(said.status, 0, "{}", said.text);
    assert!(
        said.text.contains("whatever these are: of an emulator they say nothing"),
        "{}",
        said.text
    );
    let verdict = |fact: &str| {
        let line = said.text.lines().find(|line| line.contains(&format!(" {fact}: ")));
        line.unwrap_or_else(|| panic!("no {fact} in {}", said.text)).split("  ").next().unwrap()
    };
    for fact in [
        "oidc-form-body",
        "oidc-token-invalid",
        "security-token-malformed",
        "signature-mismatch",
        "nonce-used",
        "kms-dry-run",
        "kms-batch",
        "date-header",
    ] {
        assert_eq!(verdict(fact).split(' ').next(), Some("holds"), "{fact}: {}", said.text);
    }
    for fact in ["throttling-status", "kms-value-size", "sts-vpc-host"] {
        assert!(verdict(fact).starts_with("not tried"), "{fact}: {}", said.text);
    }
    assert!(said.text.contains("answer: HTTP 412 DryRunOperationError (request "), "{}", said.text);
    let reads = clinic.world.emulator.requests();
    assert!(!reads.iter().any(|call| call.action == "GetSecretValue" && call.status == 200));
    clinic.world.finish().await;
}

#[tokio::test]
async fn bundle_is_new_for_its_owner_alone_and_without_a_secret() {
    let clinic = Clinic::open().await;
    let path = clinic.path("bundle.json");
    let flag = format!("--bundle={}", path.display());
    let proxy = "--https-proxy=http://user:planted-password@127.0.0.1:1";
    let said = clinic.doctor(&[&flag, proxy, "--no-proxy=*", "--secret=web/plain"]).await;
    assert_eq!(said.status, 0, "{}", said.text);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    clinic.assert_no_secret(&text);
    let bundle: Value = serde_json::from_str(&text).unwrap();
    let members = "configuration debug_state made_at metrics report schema system version";
    let keys: Vec<&str> = bundle.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.join(" "), members);
    assert!(bundle["metrics"].as_str().unwrap().contains("csi_provider_alibabacloud_"), "{text}");
    assert!(bundle["debug_state"]["mounts_in_flight"].is_number(), "{text}");
    let proxied = json!({
        "flag": "https-proxy", "value": "[a URL with a password]", "given_by": "--https-proxy",
    });
    assert!(bundle["configuration"].as_array().unwrap().contains(&proxied), "{text}");
    let again = clinic.doctor(&[&flag]).await;
    assert_eq!((again.status, &*again.text), (73, ""));
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "it was overwritten");
    clinic.world.finish().await;
}

#[tokio::test]
async fn command_line_that_is_wrong_is_told_apart_from_what_is_broken() {
    let clinic = Clinic::open().await;
    let manifests = clinic.manifests(&json!([{ "objectName": "web/plain" }]), &good_driver());
    let file = format!("--file={manifests}");
    let none = format!("--file={}", clinic.path("nowhere").display());
    let tar = format!("--bundle={}", clinic.path("bundle.tar").display());
    for (arguments, status) in [
        (vec!["--output=xml"], 64),
        (vec!["--timeout=1"], 64),
        (vec!["--no-such-flag"], 64),
        (vec![&*file, "--secret=web/plain"], 64),
        (vec![&*file, "--name=other"], 64),
        (vec![&*none], 66),
        (vec![&*tar], 73),
    ] {
        let said = clinic.doctor(&arguments).await;
        assert_eq!((said.status, &*said.text), (status, ""), "{arguments:?}");
    }
    clinic.world.finish().await;
}

/// What `doctor --list` says, as a document.
#[test]
fn every_check_and_fact_is_in_the_document() {
    let output = program().args(["doctor", "--list"]).output().unwrap();
    let list = String::from_utf8(output.stdout).unwrap();
    let (checks, facts) = list.split_once("\nFacts, with --cloud:\n").unwrap();
    let entries = |text: &str| -> Vec<Vec<String>> {
        let mut entries: Vec<Vec<String>> = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("  ") {
                None => entries.push(vec![format!("`{line}`")]),
                Some(more) => {
                    let more = ["looks at: ", "needs: ", "finds: ", "tried by: "]
                        .iter()
                        .find_map(|name| more.strip_prefix(name))
                        .unwrap_or(more);
                    entries.last_mut().unwrap().push(more.to_owned());
                }
            }
        }
        entries
    };
    let mut table = Table::new(
        "# Checks of doctor\n\nWhat [doctor](doctor.md) looks at; `doctor --list` says the same. An id stays when \
         words change.",
        &["check", "looks at", "needs", "warns of, or calls broken"],
    );
    let fill = |table: &mut Table, rows: &[Vec<String>]| {
        for row in rows {
            table.row(&row.iter().map(String::as_str).collect::<Vec<_>>());
        }
    };
    let (checks, facts) = (entries(checks), entries(facts));
    assert!(checks.len() > 10 && facts.len() > 10);
    fill(&mut table, &checks);
    table.another(
        "## Facts\n\nWhat the program takes for true of the services and nobody has seen yet; `doctor --cloud` tries them.",
        &["fact", "question", "how it is tried"],
    );
    fill(&mut table, &facts);
    table.holds("doctor-checks.md");
}

/// The document shows what the program says.
#[test]
fn document_names_every_option() {
    let text = fs::read_to_string(Path::new(root()).join("docs/doctor.md")).unwrap();
    for option in
        ["--secret", "--file", "--name", "--output", "--cloud", "--bundle", "--timeout", "--list"]
    {
        assert!(text.contains(&format!("`{option}")), "{option}");
    }
}
