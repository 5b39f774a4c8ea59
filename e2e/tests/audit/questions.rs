//! `audit report`, `who`, `holds` and `kpi`: what they answer about a real run, and about the examples.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use super::verify;
use crate::{architecture::root, check::run, world::Setup};

const PROGRAM: &str = "csi-secrets-store-provider-alibabacloud ";
const DATABASE: &str = "acs:kms:cn-hangzhou:1234567890123456:secret/web/db";
const PLAIN: &str = "acs:kms:cn-hangzhou:1234567890123456:secret/web/plain";

/// The answer as JSON, of a record that is whole.
fn ask(arguments: &[&str], record: &str) -> Value {
    let all = [&["audit"], arguments, &["--output=json"]].concat();
    let (status, said, failed) = run(&all, record);
    assert_eq!((status, &*failed), (0, ""), "{said}");
    serde_json::from_str(&said).unwrap()
}

/// The one row that has these cells.
fn row<'a>(rows: &'a Value, cells: &[(&str, &str)]) -> &'a Value {
    let is = |row: &&Value| cells.iter().all(|(column, cell)| row[*column] == *cell);
    let found: Vec<&Value> = rows.as_array().unwrap().iter().filter(is).collect();
    let [one] = found[..] else { panic!("{cells:?}: {rows:#}") };
    one
}

fn holds_cells(row: &Value, cells: &[(&str, Value)]) {
    for (column, cell) in cells {
        assert_eq!(row[*column], *cell, "{column} of {row:#}");
    }
}

fn throttled() -> emulator::Fault {
    let effect = emulator::FaultEffect::throttling();
    emulator::Fault { service: Some("kms".to_owned()), effect, ..Default::default() }
}

/// A mount, a rotation, a stale refresh, an object that the cloud refuses, and two mounts refused as a whole.
#[tokio::test]
async fn record_of_a_run_answers_who_had_what_when() {
    let world = Setup::default().env("NODE_NAME", "node-7").start().await;
    let pod = world.pod("web", "web-1").parameter("refreshInterval", "1s");
    let pod = pod.objects("- objectName: web/plain\n- objectName: web/db\n");
    let older_than_its_interval = || sleep(Duration::from_millis(1100));
    world.mount(&pod).await.unwrap();
    world.emulator.rotate_secret("web/plain", "planted-after-the-rotation").unwrap();
    older_than_its_interval().await;
    world.mount(&pod).await.unwrap();
    world.emulator.add_fault(throttled());
    older_than_its_interval().await;
    world.mount(&pod).await.unwrap();
    world.emulator.clear_faults();
    let denied =
        world.pod("web", "web-2").objects("- objectName: web/plain\n- objectName: api/token\n");
    world.mount(&denied).await.unwrap_err();
    let objects = "- objectName: web/plain\n";
    world.mount(&world.pod("intruder", "intruder-1").objects(objects)).await.unwrap_err();
    let provider = world.pod("web", "web-3").objects(objects).parameter("identity", "provider");
    world.mount(&provider).await.unwrap_err();
    let record = world.finish().await;

    let report = ask(&["report"], &record);
    assert_eq!(report["record"]["nodes"], json!(["node-7"]));
    let plain = row(&report["by_secret"], &[("secret", PLAIN)]);
    let counts = |handed, stale, kept, refused, pods| {
        [
            ("handed_out", handed),
            ("stale", stale),
            ("not_handed_out", kept),
            ("refused", refused),
            ("pods", pods),
        ]
        .map(|(column, count): (&str, u64)| (column, json!(count)))
    };
    holds_cells(plain, &counts(3, 1, 1, 0, 1));
    holds_cells(row(&report["by_secret"], &[("secret", DATABASE)]), &counts(3, 1, 0, 0, 1));
    let web = [("pod", "web-1"), ("service_account", "web"), ("node", "node-7")];
    holds_cells(row(&report["by_pod"], &web), &[("handed_out", json!(6)), ("secrets", json!(2))]);
    let refusals = &report["refusals"];
    assert_eq!(refusals.as_array().unwrap().len(), 3, "{refusals:#}");
    let by_cloud =
        row(refusals, &[("outcome", "PERMISSION_DENIED"), ("code", "Forbidden.NoPermission")]);
    assert!(by_cloud["secret"].as_str().unwrap().ends_with("api/token"), "{by_cloud:#}");
    row(
        refusals,
        &[("outcome", "UNAUTHENTICATED"), ("service_account", "intruder"), ("secret", "")],
    );
    row(refusals, &[("outcome", "PERMISSION_DENIED"), ("endpoint", ""), ("identity", "")]);

    let who = ask(&["who", "web/plain"], &record);
    let had = row(&who["who"], &[("pod", "web-1"), ("identity", "pod"), ("secret", PLAIN)]);
    holds_cells(had, &[("handed_out", json!(3)), ("stale", json!(1)), ("via", json!(["driver"]))]);
    let versions: Vec<String> = serde_json::from_value(had["versions"].clone()).unwrap();
    let [before, after] = &versions[..] else { panic!("{had:#}") };
    let kept = row(&who["who"], &[("pod", "web-2")]);
    holds_cells(
        kept,
        &[("handed_out", json!(0)), ("not_handed_out", json!(1)), ("first", json!(null))],
    );

    holds_at_its_times(&record, before, after);

    let kpi = ask(&["kpi"], &record);
    let value =
        |name: &str, of: &str| row(&kpi["kpi"], &[("kpi", name), ("of", of)])["value"].clone();
    for (name, of, expected) in [
        ("mounts", "", 6),
        ("mounts_succeeded", "", 3),
        ("mounts_denied", "", 3),
        ("mounts_denied_by", "provider", 1),
        ("mounts_stale", "", 1),
        ("mounts_by_identity", "pod", 5),
        ("mounts_by_identity", "", 1),
        ("values_handed_out", "", 6),
        ("values_by_source", "stale", 2),
        ("rotations", "", 1),
        ("rotation_moves", "", 1),
    ] {
        assert_eq!(value(name, of), expected, "{name} {of}: {:#}", kpi["kpi"]);
    }
}

/// Before and after the rotation, and for somebody who was in the pod meanwhile.
fn holds_at_its_times(record: &str, before: &str, after: &str) {
    let lines = record.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let of_plain = lines.filter(|line| line["pod"] == "web-1" && line["object"] == "web/plain");
    let times: Vec<String> =
        of_plain.map(|line| line["time"].as_str().unwrap().to_owned()).collect();
    let [first, second, _] = &times[..] else { panic!("{times:?}") };
    let at = |time: &str, by_micros: i64| {
        let time: jiff::Timestamp = time.parse().unwrap();
        (time + jiff::SignedDuration::from_micros(by_micros)).to_string()
    };
    let half_a_second = 500_000;
    let asked = |time: &str| {
        let when = format!("--at={time}");
        ask(&["holds", "shop/web-1", &when], record)["holds"].clone()
    };
    let held = asked(&at(first, half_a_second));
    let plain = row(&held, &[("secret", PLAIN), ("state", "latest")]);
    holds_cells(plain, &[("version", json!(before)), ("node", json!("node-7"))]);
    assert!(plain["until"].as_str().unwrap() >= second.as_str(), "{plain:#}");
    let db = row(&held, &[("secret", DATABASE), ("state", "latest")]);
    assert!(db["until"].is_null() && db["handed_out_again"].is_string(), "{db:#}");

    let held = asked(&at(second, half_a_second));
    holds_cells(
        row(&held, &[("secret", PLAIN), ("state", "latest")]),
        &[("version", json!(after))],
    );
    holds_cells(
        row(&held, &[("secret", PLAIN), ("state", "earlier")]),
        &[("version", json!(before))],
    );

    let none = asked(&at(first, -half_a_second));
    assert_eq!(none, json!([]));

    let folder = TempDir::new().unwrap();
    let log = folder.path().join("exec.log");
    let event = json!({
        "kind": "Event", "auditID": "session-1", "stage": "ResponseComplete", "verb": "get",
        "user": { "username": "alice" }, "sourceIPs": ["203.0.113.7"],
        "objectRef": { "resource": "pods", "subresource": "exec", "namespace": "shop", "name": "web-1" },
        "requestReceivedTimestamp": at(first, half_a_second),
        "stageTimestamp": at(second, half_a_second),
        "responseStatus": { "code": 101 },
    });
    fs::write(&log, format!("{event}\n")).unwrap();
    let alerts = format!("--alerts={}", log.display());
    let joined = ask(&["holds", "*", &alerts], record);
    assert_eq!(joined["alerts"]["sessions"], 1);
    for version in [before, after] {
        let cells =
            [("alert", "session-1"), ("user", "alice"), ("secret", PLAIN), ("version", version)];
        holds_cells(row(&joined["holds"], &cells), &[("state", json!("latest"))]);
    }
}

/// Each example of the document, with what is said of it.
#[test]
fn examples_of_the_document_are_what_the_program_says() {
    let path = root().join("docs/audit.md");
    let document = fs::read_to_string(&path).unwrap();
    let mut written = String::new();
    let mut tried = 0;
    for (at, part) in document.split("```").enumerate() {
        if at > 0 {
            written.push_str("```");
        }
        let example =
            part.strip_prefix("console\n$ ").filter(|text| text.contains("examples/audit/"));
        let Some(example) = example else {
            written.push_str(part);
            continue;
        };
        let command = example.lines().next().unwrap();
        let arguments = command.strip_prefix(PROGRAM).unwrap().replace('\'', "");
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let (status, said, _) = run(&arguments, "");
        assert_eq!(status, 0, "{command}");
        assert!(!said.contains('\t'), "{said}");
        written.push_str(&format!("console\n$ {command}\n{}", said.replace("\r\n", "\n")));
        tried += 1;
    }
    assert_eq!(tried, 6, "examples of docs/audit.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &written).unwrap();
        return;
    }
    assert_eq!(document, written, "UPDATE_DOCS=1 writes what the program says");
}

#[test]
fn records_of_the_examples_are_whole() {
    for name in ["node-a", "node-b"] {
        let file = format!("examples/audit/{name}.log");
        let (status, said) = verify(&[&file], "");
        assert_eq!(status, 0, "{said}");
    }
}

fn node_a() -> String {
    fs::read_to_string(root().join("examples/audit/node-a.log")).unwrap()
}

#[test]
fn lines_that_are_broken_or_missing_are_told_by_file_and_line() {
    let folder = TempDir::new().unwrap();
    let (file, rotated) = (folder.path().join("audit.log"), folder.path().join("audit.log.1"));
    let text = node_a();
    let lines: Vec<&str> = text.lines().collect();
    fs::write(&rotated, lines[..5].join("\n") + "\n").unwrap();
    fs::write(&file, format!("{}\n{}\n{}", &lines[5][..40], lines[7], &lines[8..].join("\n")))
        .unwrap();
    let file = file.display().to_string();
    for (format, head) in
        [("text", "record: 16 lines"), ("json", "{"), ("csv", "secret,handed_out,")]
    {
        let output = format!("--output={format}");
        // FILE.1 is read once, though it is named too.
        let older = format!("{file}.1");
        let (status, said, failed) =
            run(&["audit", "report", "--by=secret", &output, &file, &older], "");
        assert_eq!(status, 1, "{failed}");
        assert!(said.starts_with(head), "{said}");
        assert!(failed.starts_with(&format!("{file}:1: is no JSON object")), "{failed}");
        let notes = if format == "text" { said } else { failed };
        if format != "json" {
            assert!(notes.contains("1 line is not understood"), "{notes}");
            assert!(notes.contains("lines 6 to 7 of run 8f1e0a5b7c3d2e64"), "{notes}");
        }
    }
}

#[test]
fn wrong_command_lines_are_told_as_such() {
    for (arguments, status, why) in [
        (&["report", "--output=csv"][..], 64, "name it with --by"),
        (&["report", "--output=csv", "--by=pod,secret"], 64, "name it with --by"),
        (&["report", "--by=class"], 64, "class"),
        (&["report", "--since=yesterday"], 64, "is no time"),
        (&["report", "--since=2026-11-24", "--until=2026-11-23"], 64, "--since is not before"),
        (&["report", "/there/is/no/such.log"], 66, "such.log"),
        (&["report", "examples"], 66, "examples"),
        (&["who"], 64, "SECRET"),
        (&["holds", "web-0", "--at=2026-11-23"], 64, "is a day"),
        (&["holds", "web-0", "--at=2026-11-23T00:00:00Z", "--alerts=x"], 64, "--alerts"),
        (&["holds", "web-0", "--alerts=-"], 64, "standard input"),
        (&["holds", "web-0", "--alerts=/there/is/no/such.log"], 66, "such.log"),
        (&["kpi", "--role=web"], 64, "--policy"),
        (&["kpi", "--policy=examples/audit/node-a.log"], 65, "node-a.log"),
    ] {
        let all = [&["audit"], arguments].concat();
        let (ended, said, failed) = run(&all, "");
        assert_eq!(ended, status, "{arguments:?}: {said}{failed}");
        assert!(failed.contains(why), "{arguments:?}: {failed}");
    }
}

#[test]
fn empty_record_has_an_answer_in_every_form() {
    for question in [&["report", "--by=pod"][..], &["who", "*"], &["holds", "*"], &["kpi"]] {
        for output in ["--output=text", "--output=json", "--output=csv"] {
            let (status, said, _) = run(&[&["audit"], question, &[output]].concat(), "");
            assert_eq!(status, 0, "{question:?}");
            assert!(!said.is_empty());
        }
    }
}

/// Alerts that are no events, beside those that are.
#[test]
fn broken_lines_of_alerts_are_told() {
    let folder = TempDir::new().unwrap();
    let log = folder.path().join("exec.log");
    let events =
        fs::read_to_string(root().join("examples/audit/kube-apiserver-audit.log")).unwrap();
    fs::write(&log, format!("a line of a log\n{events}")).unwrap();
    let alerts = format!("--alerts={}", log.display());
    let (status, said, failed) = run(&["audit", "holds", "shop/*", &alerts], &node_a());
    assert_eq!(status, 1);
    assert!(failed.starts_with(&format!("{}:1: is no event", log.display())), "{failed}");
    assert!(said.contains("exec by alice@example.com"), "{said}");
}
