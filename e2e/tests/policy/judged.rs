//! What is said of policies that exist, and of audit records.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{example, readme, run, told};

/// What `--check` finds in this policy for the README's example: its status, and each finding.
fn checked(policy: &Value) -> (i32, Value) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("policy.json");
    fs::write(&file, policy.to_string()).unwrap();
    let check = format!("--check={}", file.display());
    let example = readme();
    let arguments = [&["policy", "--output=json", &*check], &*example.arguments].concat();
    let (status, said, failed) = run(&arguments, &example.manifests);
    assert_eq!(failed, "");
    (status, serde_json::from_str::<Value>(&said).unwrap()["check"].take())
}

const DATABASE: &str = "acs:kms:cn-hangzhou:1234567890123456:secret/shop/database";
const SMTP: &str = "acs:kms:cn-hangzhou:1234567890123456:secret/smtp-password";
const PARAMETER: &str = "acs:oos:cn-hangzhou:1234567890123456:secretparameter/smtp-password";

fn allow(action: &str, resources: &[&str]) -> Value {
    json!({ "Effect": "Allow", "Action": action, "Resource": resources })
}

fn policy(statements: &[Value]) -> Value {
    json!({ "Version": "1", "Statement": statements })
}

#[test]
fn generated_policy_is_exactly_what_is_needed() {
    let example = readme();
    let generated = &example.told("policy")["roles"][0]["permission_policies"][0]["document"];
    let (status, found) = checked(generated);
    assert_eq!((status, &found["exact"]), (0, &json!(true)), "{found:#}");
    // As RAM's own API hands it out.
    let answer = json!({ "DefaultPolicyVersion": { "PolicyDocument": generated.to_string() } });
    assert_eq!(checked(&answer).0, 0);
}

#[test]
fn what_is_missing_denied_and_too_much_is_told() {
    let kms = || allow("kms:GetSecretValue", &[DATABASE, SMTP]);
    let oos = || allow("oos:GetSecretParameter", &[PARAMETER]);
    let deny =
        |resource: &str| json!({ "Effect": "Deny", "Action": "kms:*", "Resource": resource });
    let conditional = |mut statement: Value| {
        statement["Condition"] = json!({ "IpAddress": { "acs:SourceIp": "10.0.0.0/8" } });
        statement
    };
    let not_action = json!({ "Effect": "Allow", "NotAction": "ram:*", "Resource": "*" });
    let not_resource = json!({ "Effect": "Deny", "Action": "kms:*", "NotResource": "a" });
    // lacks, denied, too much, not understood
    for (statements, expected) in [
        (vec![kms(), oos()], [0, 0, 0, 0]),
        (vec![kms()], [1, 0, 0, 0]),
        (vec![allow("kms:GetSecretValue", &[DATABASE]), oos()], [1, 0, 0, 0]),
        (vec![kms(), oos(), allow("kms:GetSecretValue", &["acs:kms:*:*:secret/x"])], [0, 0, 1, 0]),
        (vec![allow("KMS:getsecretvalue", &[DATABASE, SMTP]), oos()], [0, 0, 0, 0]),
        (vec![allow("kms:GetSecretValu?", &[DATABASE, SMTP]), oos()], [0, 0, 2, 0]),
        (vec![allow("kms:*", &[DATABASE, SMTP]), oos()], [0, 0, 2, 0]),
        (vec![allow("kms:GetSecretValue", &[&SMTP[..SMTP.len() - 1]]), kms(), oos()], [0, 0, 1, 0]),
        (vec![allow("*", &["*"])], [0, 0, 1, 0]),
        (vec![kms(), oos(), deny("*:secret/smtp-*")], [0, 1, 0, 0]),
        (vec![kms(), oos(), deny("acs:kms:*:*:secret/SMTP-*")], [0, 0, 0, 0]),
        (vec![kms(), oos(), conditional(deny("*"))], [0, 0, 0, 0]),
        (vec![conditional(kms()), oos()], [0, 0, 0, 0]),
        (vec![kms(), oos(), not_action], [0, 0, 0, 1]),
        (vec![kms(), oos(), not_resource], [0, 0, 0, 1]),
    ] {
        let (status, found) = checked(&policy(&statements));
        let count = |name: &str| found[name].as_array().unwrap().len();
        let counts = ["lacks", "denied", "too_much", "not_understood"].map(count);
        assert_eq!(counts, expected, "{statements:?}\n{found:#}");
        assert_eq!(status, i32::from(expected != [0; 4]), "{statements:?}");
    }
    let (_, found) = checked(&policy(&[conditional(kms()), oos()]));
    assert!(found["notes"][0].as_str().unwrap().contains("its Condition is not evaluated"));
    let (_, found) = checked(&policy(&[kms()]));
    assert_eq!(found["lacks"][0]["action"], "oos:GetSecretParameter");
    assert_eq!(found["lacks"][0]["resource"], PARAMETER);
}

#[test]
fn system_policies_are_known_by_name_and_too_wide() {
    let example = readme();
    let check = |names: &[&str]| {
        let given: Vec<String> = names.iter().map(|name| format!("--check={name}")).collect();
        let given: Vec<&str> = given.iter().map(String::as_str).collect();
        let arguments = [&["policy"], &*given, &*example.arguments].concat();
        run(&arguments, &example.manifests)
    };
    let (status, said, _) = check(&["AliyunKMSSecretUserAccess"]);
    assert_eq!(status, 1);
    assert!(said.contains("lacks: oos:GetSecretParameter on"), "{said}");
    assert!(
        said.contains("too much: kms:GetSecretValue on * (AliyunKMSSecretUserAccess)"),
        "{said}"
    );
    assert!(said.contains("known here by its name alone"), "{said}");
    let (_, said, _) = check(&["AliyunKMSSecretUserAccess", "AliyunOOSFullAccess"]);
    assert!(!said.contains("lacks"), "{said}");
    let (status, said, _) = check(&["AliyunKMSReadOnlyAccess"]);
    assert_eq!(status, 1);
    assert!(
        said.contains("not understood: AliyunKMSReadOnlyAccess looks like a system policy"),
        "{said}"
    );
}

#[test]
fn trust_policy_is_not_taken_for_a_permission_policy() {
    let example = readme();
    let trust = &example.told("policy")["roles"][0]["trust_policy"];
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("trust.json");
    fs::write(&file, trust.to_string()).unwrap();
    let check = format!("--check={}", file.display());
    let arguments = [&["policy", &*check], &*example.arguments].concat();
    let (status, _, failed) = run(&arguments, &example.manifests);
    assert_eq!(status, 65);
    assert!(failed.contains("it is a trust policy"), "{failed}");
}

/// The record of a world in which this example's pods mounted, and what `--audit` says of it.
#[tokio::test]
async fn record_is_held_against_what_manifests_ask_for() {
    let shop = example("examples/policy/shop.yaml", &[]);
    let world = shop.setup(&shop.told("policy")).start().await;
    let explanations = shop.told("explain");
    let mounts = explanations["mounts"].as_array().unwrap();
    for explanation in mounts {
        shop.mount(&world, explanation).await.unwrap();
    }
    let record = world.finish().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("audit.log");
    let audit = format!("--audit={}", file.display());
    // Its first half in the file that was rotated.
    let lines: Vec<&str> = record.lines().collect();
    let (older, newer) = lines.split_at(lines.len() / 2);
    fs::write(folder.path().join("audit.log.1"), older.join("\n")).unwrap();
    fs::write(&file, newer.join("\n")).unwrap();

    let arguments = [&[&*audit], &*shop.arguments].concat();
    let judged = told("policy", &arguments, &shop.manifests);
    assert_eq!(judged["audit"]["lines"], lines.len());
    assert_eq!(judged["audit"]["read"], 5, "{judged:#}");

    // One class more, and one object less.
    let mut manifests =
        shop.manifests.replace("      - objectName: smtp-user\n        objectType: oos\n", "");
    manifests = manifests.replace(
        "    refreshInterval: 30m\n    objects: |\n",
        "    objects: |\n      - objectName: shop/more\n",
    );
    let arguments = [&["policy", "--output=json"], &*arguments].concat();
    let (status, said, _) = run(&arguments, &manifests);
    assert_eq!(status, 1);
    let audit = &serde_json::from_str::<Value>(&said).unwrap()["audit"];
    let [never] = &audit["never_read"].as_array().unwrap()[..] else { panic!("{audit:#}") };
    assert_eq!(never["role"], "acs:ram::1234567890123456:role/reports");
    assert_eq!(never["resource"], "acs:kms:cn-hangzhou:1234567890123456:secret/shop/more");
    let [other] = &audit["not_explained"].as_array().unwrap()[..] else { panic!("{audit:#}") };
    assert_eq!(other["service_account"], "storefront");
    assert_eq!(other["resource"], "acs:oos:cn-hangzhou:1234567890123456:secretparameter/smtp-user");
    assert_eq!(other["times"], 1);

    // A grant of an existing policy that no read used.
    let policy = folder.path().join("policy.json");
    fs::write(&policy, policy_with_one_more().to_string()).unwrap();
    let check = format!("--check={}", policy.display());
    let arguments = [&["--role=reports", &*check], &*arguments].concat();
    let arguments: Vec<&str> = arguments.iter().filter(|of| **of != "policy").copied().collect();
    let (status, said, _) = run(&[&["policy"], &*arguments].concat(), &shop.manifests);
    assert_eq!(status, 1);
    let judged = serde_json::from_str::<Value>(&said).unwrap();
    let [unused] = &judged["audit"]["never_used"].as_array().unwrap()[..] else {
        panic!("{judged:#}")
    };
    assert_eq!(unused["resource"], "acs:kms:cn-hangzhou:1234567890123456:secret/old");
}

fn policy_with_one_more() -> Value {
    let old = "acs:kms:cn-hangzhou:1234567890123456:secret/old";
    policy(&[allow("kms:GetSecretValue", &[DATABASE, old])])
}
