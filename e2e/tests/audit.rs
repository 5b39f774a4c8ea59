//! The audit record: what it says of reads and refusals, how it joins with the cloud's own journal,
//! and that `audit verify` finds it whole.

mod questions;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tonic::Code;

use crate::{
    driver::PodVolume,
    process::{Running, pod},
    program::program,
    world::{Setup, World, cloud},
};

const ROLE: &str = "acs:ram::1234567890123456:role/web";

/// Records of reads and refusals, once there are as many.
async fn records(world: &World, number: usize) -> Vec<Value> {
    let enough = async {
        loop {
            let text = std::fs::read_to_string(world.path("audit.log")).unwrap();
            let found: Vec<Value> = parsed(&text)
                .into_iter()
                .filter(|line| line["event"] == "read" || line["event"] == "refusal")
                .collect();
            if found.len() >= number {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(10), enough).await.expect("no records");
    assert_eq!(found.len(), number, "{found:#?}");
    found
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn told(record: &Value, fields: &[(&str, &str)]) {
    for (field, expected) in fields {
        assert_eq!(record[field], *expected, "{field} of {record:#}");
    }
}

fn verify(arguments: &[&str], input: &str) -> (i32, String) {
    let mut child = program()
        .args(["audit", "verify"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code().unwrap(), String::from_utf8([stdout, stderr].concat()).unwrap())
}

/// Holds all that was written to what `verify` and a plain reading of the chain say.
async fn whole(world: World) -> Vec<Value> {
    let text = world.finish().await;
    let (status, said) = verify(&[], &text);
    assert_eq!(status, 0, "{said}");
    let lines = parsed(&text);
    assert_eq!(lines[0]["event"], "start");
    assert_eq!(lines.last().unwrap()["event"], "stop");
    assert!(said.starts_with(&format!("whole: {} lines of 1 runs", lines.len())), "{said}");
    for pair in lines.windows(2) {
        assert_eq!(pair[1]["prev"], pair[0]["hash"]);
    }
    lines
}

/// The cloud's journal has, under the record's request id, the record's session.
fn joins(world: &World, record: &Value, action: &str) {
    let calls = world.calls(action);
    let id = record["request_id"].as_str().unwrap();
    let call = calls.iter().find(|call| call.request_id == id);
    let call = call.unwrap_or_else(|| panic!("no {action} is {id}: {calls:#?}"));
    let principal = call.principal.as_ref().unwrap();
    assert_eq!(principal.session_name.as_deref(), record["session"].as_str());
    assert_eq!(principal.arn, record["role"].as_str().unwrap());
    assert_eq!(call.host, record["endpoint"].as_str().unwrap());
    assert_eq!(call.code, record["code"].as_str().unwrap());
}

#[tokio::test]
async fn reads_are_told_with_who_and_what_and_join_with_the_cloud_s_journal() {
    let world = Setup::default().env("NODE_NAME", "node-7").start().await;
    world
        .web("- objectName: web/plain\n- {objectName: web/versions, objectVersion: ver-old, objectAlias: old}\n- {objectName: plain, objectType: oos}\n- {objectName: /app/password, objectType: oos, objectAlias: app}\n")
        .await
        .unwrap();
    let records = records(&world, 4).await;
    for record in &records {
        told(
            record,
            &[
                ("event", "read"),
                ("node", "node-7"),
                ("namespace", "shop"),
                ("pod", "web-1"),
                ("uid", "uid-of-web-1"),
                ("service_account", "web"),
                ("identity", "pod"),
                ("role", ROLE),
                ("session", "shop@web@web-1"),
                ("access_key_id", ""),
                ("source", "cloud"),
                ("outcome", "OK"),
                ("code", ""),
                ("reason", ""),
            ],
        );
        assert_eq!(record["mounted"], true);
        assert_eq!(record["mount"], records[0]["mount"]);
    }
    for record in &records[..2] {
        told(record, &[("object_type", "kms"), ("endpoint", "kms-vpc.cn-hangzhou.aliyuncs.com")]);
        joins(&world, record, "GetSecretValue");
    }
    told(&records[0], &[("object", "web/plain")]);
    told(&records[1], &[("object", "web/versions"), ("version", "ver-old")]);
    for record in &records[2..] {
        told(record, &[("object_type", "oos")]);
        joins(&world, record, "GetSecretParameters");
    }
    told(&records[3], &[("object", "/app/password"), ("version", "2")]);
    whole(world).await;
}

#[tokio::test]
async fn an_answer_from_memory_names_the_request_that_brought_it() {
    let world = Setup::default().flag("refresh-interval", "5m").start().await;
    let pod = world
        .pod("web", "web-1")
        .objects("- objectName: web/plain\n- {objectName: web/not-there, optional: true}\n");
    for _ in 0..2 {
        world.mount(&pod).await.unwrap();
    }
    let records = records(&world, 4).await;
    let sources: Vec<_> = records.iter().map(|record| &record["source"]).collect();
    assert_eq!(sources, ["cloud", "cloud", "memory", "memory"]);
    joins(&world, &records[0], "GetSecretValue");
    assert_eq!(records[2]["request_id"], records[0]["request_id"]);
    assert_eq!(records[2]["version"], records[0]["version"]);
    assert_ne!(records[2]["mount"], records[0]["mount"]);
    told(&records[1], &[("outcome", "MISSING"), ("code", "Forbidden.ResourceNotFound")]);
    joins(&world, &records[1], "GetSecretValue");
    told(&records[3], &[("outcome", "MISSING"), ("object", "web/not-there")]);
    assert!(records.iter().all(|record| record["mounted"] == true));
    whole(world).await;
}

#[tokio::test]
async fn an_object_that_was_refused_is_told_beside_those_that_were_read() {
    let world = World::start().await;
    world.web("- objectName: web/plain\n- objectName: api/token\n").await.unwrap_err();
    let records = records(&world, 2).await;
    told(&records[0], &[("object", "web/plain"), ("outcome", "OK")]);
    told(&records[1], &[("object", "api/token"), ("outcome", "PERMISSION_DENIED")]);
    for record in &records {
        joins(&world, record, "GetSecretValue");
        assert_eq!(record["mounted"], false);
    }
    assert!(records[1]["reason"].as_str().unwrap().contains("GetSecretValue"));
    whole(world).await;
}

/// The host, the code and the request are those of the call to STS.
fn is_of_sts(world: &World, record: &Value, action: &str) {
    let calls = world.calls(action);
    let call = calls.last().unwrap();
    assert_eq!(call.host, "sts-vpc.cn-hangzhou.aliyuncs.com");
    assert!(!call.code.is_empty());
    let (code, id) = (call.code.as_str(), call.request_id.as_str());
    told(record, &[("endpoint", &call.host), ("code", code), ("request_id", id)]);
}

/// A read that got no session tells of STS, and not of the host that was not asked.
#[tokio::test]
async fn a_read_whose_session_was_refused_joins_with_that_refusal() {
    let world = World::start().await;
    world.emulator.revoke_trust("acs:ram::6543210987654321:role/partner").unwrap();
    world
        .web("- objectName: web/plain\n- {objectName: partner/secret, crossAccountRoleArn: 'acs:ram::6543210987654321:role/partner'}\n")
        .await
        .unwrap_err();
    let records = records(&world, 2).await;
    joins(&world, &records[0], "GetSecretValue");
    told(&records[1], &[("event", "read"), ("object", "partner/secret")]);
    is_of_sts(&world, &records[1], "AssumeRole");
    whole(world).await;
}

#[tokio::test]
async fn a_mount_refused_before_any_read_is_one_record() {
    let begun = jiff::Timestamp::now();
    let world = World::start().await;
    let objects = "- objectName: web/plain\n- objectName: web/db\n";
    // STS says no.
    world.mount(&world.pod("intruder", "intruder-1").objects(objects)).await.unwrap_err();
    // The operator says no.
    let provider = world.pod("web", "web-1").objects(objects).parameter("identity", "provider");
    world.mount(&provider).await.unwrap_err();
    // The request says nothing that can be meant.
    world.mount(&world.pod("web", "web-2").objects("- objectNam: web/plain")).await.unwrap_err();
    let records = records(&world, 3).await;
    for record in &records {
        told(
            record,
            &[("event", "refusal"), ("object", ""), ("source", ""), ("namespace", "shop")],
        );
        assert_eq!(record["mounted"], false);
        assert!(!record["reason"].as_str().unwrap().is_empty());
        let time: jiff::Timestamp = record["time"].as_str().unwrap().parse().unwrap();
        assert!((begun..=jiff::Timestamp::now()).contains(&time), "{time}");
    }
    is_of_sts(&world, &records[0], "AssumeRoleWithOIDC");
    for record in &records[1..] {
        told(record, &[("endpoint", ""), ("code", ""), ("request_id", "")]);
    }
    told(
        &records[0],
        &[
            ("pod", "intruder-1"),
            ("identity", "pod"),
            ("role", "acs:ram::1234567890123456:role/api"),
            ("session", "shop@intruder@intruder-1"),
            ("outcome", "UNAUTHENTICATED"),
            ("code", "AuthenticationFail.NoPermission"),
        ],
    );
    let logins = world.calls("AssumeRoleWithOIDC");
    assert!(logins.iter().any(|call| call.request_id == records[0]["request_id"]), "{logins:#?}");
    told(&records[1], &[("pod", "web-1"), ("identity", ""), ("outcome", "PERMISSION_DENIED")]);
    told(&records[2], &[("pod", "web-2"), ("outcome", "INVALID_ARGUMENT"), ("request_id", "")]);
    whole(world).await;
}

/// Read well and still not mounted: both are told.
#[tokio::test]
async fn values_that_make_no_files_are_told_with_the_refusal() {
    let world = World::start().await;
    world
        .web("- {objectName: web/db, jmesPath: [{path: absent, objectAlias: absent}]}")
        .await
        .unwrap_err();
    let records = records(&world, 2).await;
    told(&records[0], &[("event", "read"), ("object", "web/db"), ("outcome", "OK")]);
    told(&records[1], &[("event", "refusal"), ("outcome", "FAILED_PRECONDITION")]);
    assert!(records.iter().all(|record| record["mounted"] == false));
    assert_eq!(records[0]["mount"], records[1]["mount"]);
    whole(world).await;
}

#[tokio::test]
async fn an_object_of_another_account_is_told_under_the_role_that_read_it() {
    let world = World::start().await;
    let partner = "acs:ram::6543210987654321:role/partner";
    world
        .web(&format!("- objectName: web/plain\n- objectName: acs:kms:cn-hangzhou:6543210987654321:secret/partner/secret\n  objectAlias: partner\n  crossAccountRoleArn: {partner}\n"))
        .await
        .unwrap();
    let records = records(&world, 2).await;
    told(&records[0], &[("role", ROLE), ("session", "shop@web@web-1")]);
    told(&records[1], &[("role", partner), ("session", "shop@web@web-1"), ("outcome", "OK")]);
    for record in &records {
        joins(&world, record, "GetSecretValue");
    }
    whole(world).await;
}

#[tokio::test]
async fn a_key_without_a_role_is_told_by_its_id() {
    let world = Setup::default()
        .flag("allowed-identities", "pod,access-key")
        .env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001")
        .env("SECRET_ACCESS_KEY", "planted-access-key-secret-0001")
        .start()
        .await;
    let volume = world.pod("web", "web-1").objects("- objectName: shared/greeting");
    world.mount(&volume.parameter("identity", "access-key")).await.unwrap();
    let records = records(&world, 1).await;
    told(
        &records[0],
        &[
            ("identity", "access-key"),
            ("access_key_id", "LTAI5tEXAMPLEKEYID000001"),
            ("role", ""),
            ("session", ""),
        ],
    );
    whole(world).await;
}

#[tokio::test]
async fn a_caller_who_goes_away_is_told_of() {
    let world = World::start().await;
    let volume = world.pod("web", "web-1").objects("- objectName: web/plain");
    world.emulator.add_fault(emulator::Fault {
        service: Some("kms".to_owned()),
        effect: emulator::FaultEffect::Latency { ms: 1500 },
        ..emulator::Fault::default()
    });
    let gone = tokio::time::timeout(Duration::from_millis(500), world.mount(&volume)).await;
    assert!(gone.is_err());
    let records = records(&world, 1).await;
    told(&records[0], &[("event", "refusal"), ("pod", "web-1"), ("outcome", "INTERNAL")]);
    whole(world).await;
}

fn break_file(path: &Path) {
    std::fs::rename(path, path.with_extension("away")).unwrap();
    std::fs::create_dir(path).unwrap();
}

fn mend_file(path: &Path) {
    std::fs::remove_dir(path).unwrap();
    std::fs::rename(path.with_extension("away"), path).unwrap();
}

#[tokio::test]
async fn nothing_is_handed_out_without_a_record_unless_the_operator_says_so() {
    for continues in [false, true] {
        let mut setup = Setup::default();
        if continues {
            setup = setup.flag("audit-failure", "continue");
        }
        let world = setup.start().await;
        let path = world.path("audit.log");
        break_file(&path);
        let outcome = world.web("- objectName: web/plain").await;
        if continues {
            outcome.unwrap();
        } else {
            let status = outcome.unwrap_err();
            assert_eq!(status.code(), Code::FailedPrecondition);
            assert!(status.message().contains("audit record cannot be written"), "{status:?}");
            assert!(status.message().contains("--audit-failure=continue"), "{status:?}");
        }
        let lost = async {
            while !world.metrics().await.contains("audit_records_total{result=\"lost\"} 1\n") {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), lost).await.unwrap();
        mend_file(&path);
        world.web("- objectName: web/plain").await.unwrap();
        records(&world, 1).await;
        let lines = whole(world).await;
        assert_eq!(lines.iter().find(|line| line["event"] == "lost").unwrap()["lost"], 1);
    }
}

/// The table in docs/audit.md has each field of each kind of line, with its type, and no other.
#[tokio::test]
async fn the_documented_fields_are_those_that_are_written() {
    let world = World::start().await;
    let path = world.path("audit.log");
    world.web("- objectName: web/plain").await.unwrap();
    world.web("- objectNam: web/plain").await.unwrap_err();
    records(&world, 2).await;
    break_file(&path);
    world.web("- objectName: web/plain").await.unwrap_err();
    mend_file(&path);
    // As rotation does it.
    std::fs::rename(&path, path.with_extension("log.1")).unwrap();
    world.web("- objectName: web/plain").await.unwrap();
    let mut lines = parsed(&std::fs::read_to_string(path.with_extension("log.1")).unwrap());
    lines.extend(parsed(&world.finish().await));
    type Fields = BTreeMap<String, (String, BTreeSet<String>)>;
    let mut written = Fields::new();
    let mut events = BTreeSet::new();
    for line in &lines {
        let event = line["event"].as_str().unwrap();
        events.insert(event.to_owned());
        for (field, value) in line.as_object().unwrap() {
            let kind = match value {
                Value::String(_) => "text",
                Value::Number(_) => "number",
                Value::Bool(_) => "boolean",
                other => panic!("{field} is {other}"),
            };
            let entry = written.entry(field.clone()).or_default();
            entry.0 = kind.to_owned();
            entry.1.insert(event.to_owned());
        }
    }
    let all = ["continue", "lost", "read", "refusal", "start", "stop"].map(str::to_owned);
    assert_eq!(events, BTreeSet::from(all.clone()));
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md");
    let document = std::fs::read_to_string(document).unwrap();
    let mut documented = Fields::new();
    for row in document.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let ["", name, kind, lines, meaning, example, ""] = cells.as_slice() else { continue };
        assert!(!meaning.is_empty() && !example.is_empty(), "{row}");
        let events = match *lines {
            "all" => all.clone().into(),
            some => some.split(", ").map(str::to_owned).collect(),
        };
        documented.insert(name.trim_matches('`').to_owned(), ((*kind).to_owned(), events));
    }
    assert_eq!(documented, written);
}

#[tokio::test]
async fn verify_says_what_is_wrong_and_where() {
    let world = World::start().await;
    for _ in 0..3 {
        world.web("- objectName: web/plain").await.unwrap();
    }
    let text = world.finish().await;
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("audit.log");
    let name = path.to_str().unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    std::fs::write(&path, lines[2..].concat()).unwrap();
    let older = directory.path().join("audit.log.1");
    std::fs::write(&older, lines[..2].concat()).unwrap();
    // Those set aside are read first, named or not.
    for files in [&[name][..], &[older.to_str().unwrap(), name], &[name, older.to_str().unwrap()]] {
        let (status, said) = verify(files, "");
        assert_eq!(status, 0, "{said}");
        assert!(said.contains("whole: 5 lines of 1 runs in 2 files"), "{said}");
    }
    let last = parsed(&text).pop().unwrap()["hash"].as_str().unwrap().to_owned();
    assert_eq!(verify(&["--expect", &last, name], "").0, 0);
    let (status, said) = verify(&["--expect", &last], &lines[..4].concat());
    assert_eq!(status, 1);
    assert!(said.contains(&format!("removed: no line has the hash {last}")), "{said}");
    let changed = lines[2].replace("shop", "shed");
    std::fs::write(&path, [&changed, lines[3], lines[4]].concat()).unwrap();
    let (status, said) = verify(&[name], "");
    assert_eq!(status, 1);
    assert!(said.starts_with(&format!("{name}:1: changed")), "{said}");
    let (status, said) = verify(&[], &[lines[0], lines[1], lines[3], lines[4]].concat());
    assert_eq!(status, 1);
    assert!(said.starts_with("stdin:3: removed: line 3 of run "), "{said}");
    let (status, said) = verify(&["/no/such/file"], "");
    assert_eq!((status, said.contains("/no/such/file")), (66, true), "{said}");
    assert_eq!(verify(&["--expect", "abc"], "").0, 64);
    let (status, help) = verify(&["--help"], "");
    assert_eq!(status, 0);
    for part in ["--key-file", "--expect", "Exit status", "What it can show"] {
        assert!(help.contains(part), "no {part} in {help}");
    }
}

/// To standard output, apart from the log on standard error, and with a key.
#[tokio::test]
async fn a_process_records_to_its_standard_output() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("key");
    std::fs::write(&key, "planted-key-of-the-audit-record-0001\n").unwrap();
    let key = key.to_str().unwrap();
    let with_key = format!("--audit-key-file={key}");
    let more = ["--audit=stdout", &with_key];
    let mut running = Running::start(&emulator, directory.path(), &more).await;
    let driver = running.driver().await;
    let volume: PodVolume = pod(&emulator);
    driver.mount(&volume).await.unwrap();
    running.terminate();
    let (status, log) = running.ended().await;
    assert_eq!(status, 0, "{log}");
    let text = std::fs::read_to_string(directory.path().join("stdout")).unwrap();
    let (status, said) = verify(&["--key-file", key], &text);
    assert_eq!(status, 0, "{said}");
    assert!(said.contains("whole: 4 lines"), "{said}");
    let (status, said) = verify(&[], &text);
    assert_eq!(status, 1);
    assert!(said.contains("--key-file"), "{said}");
    // The log tells where the chain ended.
    let last = parsed(&text).pop().unwrap()["hash"].as_str().unwrap().to_owned();
    assert!(log.contains(&last), "{log}");
    assert!(!log.contains("planted-key") && !text.contains("planted"), "{text}");
}
