//! What is reported about a mount, wherever it is: which SecretProviderClass and identity, the same
//! failure as the same Event, mounts without an answer, and foreign text without what hides in it.

use std::time::Duration;

use emulator::{Fault, FaultEffect};
use provider::{pb::MountRequest, text::is_invisible};
use serde_json::{Value, json};
use tonic::{Code, Status};

use crate::{
    driver::PodVolume,
    log,
    world::{AUDIENCE, Setup, World},
};

const OBJECTS: &str = "- objectName: web/plain";

fn fault(status: u16, code: &str) -> Fault {
    let (code, message, headers) = (code.to_owned(), None, Default::default());
    let effect = FaultEffect::Error { status, code, message, headers };
    Fault { service: Some("kms".to_owned()), effect, ..Fault::default() }
}

async fn failed(world: &World, volume: &PodVolume) -> String {
    world.mount(volume).await.unwrap_err().message().to_owned()
}

#[tokio::test]
async fn failing_mount_repeats_its_message_whatever_the_number_of_attempts() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects(OBJECTS);
    let after = async |transient: u32| {
        world.emulator.clear_requests();
        let unavailable = fault(503, "ServiceUnavailableTemporary");
        world.emulator.add_fault(Fault { times: Some(transient), ..unavailable });
        world.emulator.add_fault(fault(400, "InvalidParameter"));
        let message = failed(&world, &pod).await;
        world.emulator.clear_faults();
        (message, world.calls("GetSecretValue").len())
    };
    let (first, attempts) = after(1).await;
    assert!(first.contains("2 attempts") && attempts == 2, "{attempts}: {first}");
    assert_eq!(after(2).await, (first, 3));
    world.finish().await;
}

/// Each of these is another failure of the same volume: it has the request id of its own call.
#[tokio::test]
async fn another_failure_never_carries_an_earlier_request_id() {
    let world = Setup::default()
        .flag("allowed-identities", "pod,access-key")
        .env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001")
        .env("SECRET_ACCESS_KEY", "planted-access-key-secret-0001")
        .start()
        .await;
    let pod = world.pod("web", "web-1");
    let versions = |version: &str| {
        pod.clone().objects(&format!("- {{objectName: web/versions, objectVersion: {version}}}"))
    };
    let forbidden = pod.clone().objects("- objectName: api/token");
    let other_pod = PodVolume { uid: "uid-of-its-successor".to_owned(), ..forbidden.clone() };
    let mut seen: Vec<String> = Vec::new();
    for (what, volume, fault) in [
        ("denied", forbidden.clone(), None),
        ("another identity", forbidden.clone().parameter("identity", "access-key"), None),
        ("another code", forbidden.clone(), Some(fault(400, "InvalidParameter"))),
        ("another status", forbidden.clone(), Some(fault(404, "InvalidParameter"))),
        ("a version", versions("ver-gone"), None),
        ("another version", versions("ver-lost"), None),
        ("another pod", other_pod, None),
    ] {
        let _ = fault.map(|fault| world.emulator.add_fault(fault));
        let message = failed(&world, &volume).await;
        world.emulator.clear_faults();
        let id = world.calls("GetSecretValue").last().unwrap().request_id.clone();
        assert!(message.contains(&id), "{what}: {message}");
        assert!(!seen.contains(&message), "{what}: {message}");
        seen.push(message);
    }
    assert_eq!(failed(&world, &forbidden).await, seen[0]);
    world.finish().await;
}

/// The sync controller mounts every SecretSync at the same path, by the same pod.
#[tokio::test]
async fn sync_controller_has_a_message_for_each_service_account() {
    let world = World::start().await;
    let volume = |account: &str| {
        let pod = world.pod(account, "controller-1").objects("- objectName: jobs/token");
        pod.by_sync_controller()
    };
    let web = failed(&world, &volume("web")).await;
    let api = failed(&world, &volume("api")).await;
    assert!(web.starts_with("object 1 \"jobs/token\": "), "{web}");
    assert!(web.contains("role/web") && api.contains("role/api"), "{web}\n{api}");
    assert_eq!(failed(&world, &volume("web")).await, web);
    let audit = world.finish().await;
    assert_eq!(audit.matches("\"secret_provider_class\":\"\",\"via\":\"sync\"").count(), 3);
}

#[test]
fn class_and_identity_are_in_log_and_audit_record() {
    let work = async || {
        let world = Setup::default().flag("default-identity", "ecs-role").start().await;
        let shared = "- objectName: shared/greeting";
        world.web(shared).await.unwrap();
        let asked = world.pod("web", "web-1").objects(shared).parameter("identity", "pod");
        world.mount(&asked).await.unwrap();
        let denied = asked.parameter("identity", "access-key");
        world.mount(&denied).await.unwrap_err();
        let log = log::captured();
        let audit = world.finish().await;
        let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        (log, audit)
    };
    let (log, audit) = log::apart_in_json("provider=info", work).join().unwrap();
    let lines = |text: &str, of: fn(&Value) -> bool| {
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.filter(of).collect::<Vec<Value>>()
    };
    let mounts = lines(&log, |line| line["target"] == "provider::mount");
    let records = lines(&audit, |line| line.get("mount").is_some());
    let expected = [
        ("ecs-role", "operator-default", ""),
        ("pod", "secretproviderclass", "pod"),
        ("", "", "access-key"),
    ];
    assert_eq!((mounts.len(), records.len()), (3, 3), "{log}\n{audit}");
    for ((line, record), (identity, chosen_by, requested)) in
        mounts.iter().zip(&records).zip(expected)
    {
        for report in [line, record] {
            assert_eq!(report["secret_provider_class"], "secrets", "{report}");
            assert_eq!(report["via"], "driver", "{report}");
            assert_eq!(report["identity_chosen_by"], chosen_by, "{report}");
        }
        assert_eq!(record["identity"], identity);
        assert_eq!(record["identity_requested"], requested);
    }
}

#[test]
fn mount_whose_caller_went_away_is_logged_and_counted_once() {
    let work = async || {
        let world = World::start().await;
        let volume = world.pod("web", "web-1").objects(OBJECTS);
        world.emulator.add_fault(Fault {
            service: Some("kms".to_owned()),
            effect: FaultEffect::Latency { ms: 1500 },
            ..Fault::default()
        });
        let gone = tokio::time::timeout(Duration::from_millis(500), world.mount(&volume)).await;
        assert!(gone.is_err());
        let counted = "mounts_total{identity=\"pod\",outcome=\"CALLER_GONE\"} 1";
        let counting = async {
            while !world.metrics().await.contains(counted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), counting).await.expect("not counted");
        let log = log::captured();
        world.finish().await;
        String::from_utf8(log.lock().unwrap().clone()).unwrap()
    };
    let log = log::apart_in_json("provider=info", work).join().unwrap();
    let told = "\"message\":\"the caller went away before the answer\"";
    assert_eq!(log.matches(told).count(), 1, "{log}");
    let line = log.lines().find(|line| line.contains(told)).unwrap();
    assert!(line.contains("\"pod\":\"web-1\"") && line.contains("\"code\":\"CALLER_GONE\""));
}

/// One of each kind: bidirectional controls, zero-width characters, separators, control characters, a
/// soft hyphen and a tag.
const HOSTILE: &str =
    "x\u{202e}\u{2066}\u{200f}\u{61c}\u{200b}\u{feff}\u{2060}\u{2028}\u{85}\u{ad}\u{e0041}\u{1b}y";

/// The same as escapes in a YAML text in double quotes.
fn in_yaml(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("\\U{:08X}", u32::from(c)),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// A right request, and one for each place where hostile text can be.
fn hostile_requests(world: &World) -> Vec<(String, MountRequest)> {
    let right = world.pod("web", "web-1").objects(OBJECTS);
    let mut requests = Vec::new();
    let changed = |name: &str, value: &str| {
        let mut request = right.request();
        let mut attributes: Value = serde_json::from_str(&request.attributes).unwrap();
        attributes[name] = json!(value);
        request.attributes = attributes.to_string();
        request
    };
    let parameters = [
        "identity",
        "objects",
        "pathTranslation",
        "refreshInterval",
        "region",
        "roleArn",
        "usePodServiceAccountToken",
        "secretProviderClass",
        "csi.storage.k8s.io/pod.name",
        "csi.storage.k8s.io/pod.namespace",
        "csi.storage.k8s.io/pod.uid",
        "csi.storage.k8s.io/serviceAccount.name",
        "csi.storage.k8s.io/serviceAccount.tokens",
        HOSTILE,
    ];
    for name in parameters {
        requests.push((format!("attribute {name}"), changed(name, HOSTILE)));
    }
    let audience = json!({ HOSTILE: { "token": "planted.a.b" } }).to_string();
    requests.push((
        "audience".to_owned(),
        changed("csi.storage.k8s.io/serviceAccount.tokens", &audience),
    ));
    let hostile = in_yaml(HOSTILE);
    for field in [
        "objectName",
        "objectAlias",
        "objectType",
        "objectVersion",
        "objectVersionLabel",
        "objectEncoding",
        "filePermission",
        "kmsEndpoint",
        "crossAccountRoleArn",
        "optional",
        "jmesPath",
        &hostile,
    ] {
        let name = if field == "objectName" { "" } else { "objectName: web/plain, " };
        let objects = format!("- {{{name}{field}: {hostile}}}");
        requests.push((format!("field {field}"), right.clone().objects(&objects).request()));
    }
    for extract in [
        format!("path: {hostile}, objectAlias: a"),
        format!("path: a, objectAlias: {hostile}"),
        format!("path: a, objectAlias: a, {hostile}: a"),
    ] {
        let objects = format!("- {{objectName: web/db, jmesPath: [{{{extract}}}]}}");
        requests.push((format!("extract {extract}"), right.clone().objects(&objects).request()));
    }
    for objects in [
        format!("- objectName: web/plain\n  objectAlias: {HOSTILE}"),
        format!("- {{objectName: web/plain, objectAlias: {HOSTILE}"),
        format!("{HOSTILE}: [a"),
        format!(
            "- {{objectName: a, objectAlias: {hostile}}}\n- {{objectName: b, objectAlias: {hostile}}}"
        ),
    ] {
        requests.push((format!("objects {objects}"), right.clone().objects(&objects).request()));
    }
    let keys = right.parameter("identity", "node-publish-secret");
    for keys in [
        keys.clone().secret(HOSTILE, "a"),
        keys.clone().secret("access_key", HOSTILE).secret("access_secret", HOSTILE),
        keys.secret("access_key", HOSTILE),
    ] {
        requests.push(("secrets".to_owned(), keys.request()));
    }
    let other = world.pod("web", "web-1").objects(OBJECTS).request();
    requests.push(("permission".to_owned(), MountRequest { permission: HOSTILE.into(), ..other }));
    let other = world.pod("web", "web-1").objects("- objectName: none").request();
    requests.push(("path".to_owned(), MountRequest { target_path: HOSTILE.into(), ..other }));
    let broken = MountRequest { attributes: format!("{{{HOSTILE}"), ..MountRequest::default() };
    requests.push(("attributes".to_owned(), broken));
    requests
}

#[test]
fn hostile_text_of_any_field_reaches_no_message_log_metric_or_record() {
    let work = async || {
        let setup = Setup::default().flag("allowed-identities", "pod,node-publish-secret");
        let world = setup.start().await;
        let mut messages: Vec<(String, String)> = Vec::new();
        let mut refused = |what: &str, status: Status| {
            messages.push((what.to_owned(), status.message().to_owned()));
        };
        for (what, request) in hostile_requests(&world) {
            if let Err(status) = world.driver.send(request, Duration::from_secs(20)).await {
                refused(&what, status);
            }
        }
        world.emulator.add_fault(fault(403, HOSTILE));
        refused("code", world.web(OBJECTS).await.unwrap_err());
        world.emulator.clear_faults();
        let foreign = world.token(&world.pod("web", "web-1"), HOSTILE);
        let volume = PodVolume::new("shop", "web", "web-1").objects(OBJECTS);
        let volume = volume.token(AUDIENCE, &foreign, "2126-01-01T00:00:00Z");
        refused("token", world.mount(&volume).await.unwrap_err());
        let metrics = world.metrics().await;
        let log = log::captured();
        let audit = world.finish().await;
        let log = String::from_utf8(log.lock().unwrap().clone()).unwrap();
        (messages, [("metrics", metrics), ("log", log), ("audit record", audit)])
    };
    let (messages, texts) = log::apart_in_json("provider=trace", work).join().unwrap();
    assert!(messages.len() > 30, "{}", messages.len());
    let hidden = |text: &str| text.chars().any(|c| c != '\n' && is_invisible(c));
    for (what, message) in messages {
        assert!(!message.contains('\n') && !hidden(&message), "{what}: {message:?}");
        assert!(message.len() < 900, "{what}: {}", message.len());
    }
    for (place, text) in texts {
        let line = text.lines().find(|line| hidden(line));
        assert_eq!(line, None, "{place}");
    }
}

#[tokio::test]
async fn class_that_is_no_kubernetes_name_is_quoted_in_the_message() {
    let world = World::start().await;
    let mut request = world.pod("web", "web-1").objects("- objectName: api/token").request();
    request.attributes = request
        .attributes
        .replace("\"secretProviderClass\":\"secrets\"", "\"secretProviderClass\":\"a b\\u202e\"");
    let status = world.driver.send(request, Duration::from_secs(20)).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let prefix = "SecretProviderClass shop/\"a b\\u{202e}\": object 1 \"api/token\": ";
    assert!(status.message().starts_with(prefix), "{}", status.message());
    world.finish().await;
}
