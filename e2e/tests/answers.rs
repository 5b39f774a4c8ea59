//! What mounts make of every documented error code, and of answers without one. The table in
//! `docs/cloud-errors.md` is made from `cloud::codes`, and each row of it is mounted.

use std::{collections::BTreeMap, time::Duration};

use emulator::{Fault, FaultEffect};
use futures::{StreamExt, future::join_all, stream};
use provider::{
    cloud::{
        Cause,
        codes::{KNOWN, Known},
    },
    endpoint::Service,
};
use tonic::{Code, Status};

use crate::{
    campaign::role,
    driver::{PodVolume, Volume},
    table::{Table, steady},
    world::{Setup, World},
};

const COLUMNS: [&str; 6] =
    ["service", "HTTP", "code", "first mount", "cached values", "`optional`"];

/// What came of the mounts of one row.
struct Outcome {
    answer: Result<Volume, Status>,
    /// With `--outage-grace`, the mount of a pod that had read its object before.
    kept: bool,
    forgiven: bool,
}

impl Outcome {
    fn cells(&self) -> [String; 3] {
        let answer = match &self.answer {
            Ok(_) => "OK".to_owned(),
            Err(status) => {
                format!("{:?}: {}", status.code(), steady(status.message()))
            }
        };
        let kept = if self.kept { "served while `--outage-grace` allows" } else { "dropped" };
        let optional = if self.forgiven { "left out" } else { "fails" };
        [answer, kept.to_owned(), optional.to_owned()]
    }
}

fn setup(rows: usize) -> Setup {
    let mut roles = String::from("roles:\n");
    let mut secrets = String::from("secrets:\n");
    let mut parameters = String::from("parameters:\n");
    for row in 0..rows {
        roles.push_str(&role(row));
        secrets.push_str(&format!("  - {{ name: row/{row}, value: planted-of-row-{row} }}\n"));
        parameters.push_str(&format!("  - {{ name: row-{row}, value: planted-of-row-{row} }}\n"));
    }
    Setup::default()
        .cloud("roles:\n", roles.leak())
        .cloud("\nsecrets:\n", format!("\n{secrets}").leak())
        .cloud("parameters:\n", parameters.leak())
        // An RSA key takes long to make.
        .cloud("token_algorithm: RS256", "token_algorithm: ES256")
        .flag("service-account-lookup", "false")
        .flag("outage-grace", "1h")
}

/// For rows whose calls would be made again and again until the time is up.
fn hurried(rows: usize) -> Setup {
    setup(rows).flag("mount-timeout", "14")
}

/// For rows whose calls end after so many attempts. The last values are served after 10 s, and the rest
/// is enough on a loaded machine.
fn unhurried(rows: usize) -> Setup {
    setup(rows).flag("mount-timeout", "30")
}

/// Longer than any mount's own time, also where a machine that does much else answers late.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(600);

fn fault(service: Service, row: usize, effect: FaultEffect) -> Fault {
    let (name, object, role) = match service {
        Service::Sts => ("sts", None, Some(format!("cell-{row}"))),
        Service::Kms => ("kms", Some(format!("row/{row}")), None),
        Service::Oos => ("oos", Some(format!("row-{row}")), None),
    };
    Fault { service: Some(name.to_owned()), object, role, effect, ..Fault::default() }
}

/// Each row has a role and objects of its own, so that one world can have the faults of all.
async fn outcome(world: &World, service: Service, row: usize, effect: &FaultEffect) -> Outcome {
    let object = match service {
        Service::Oos => format!("objectName: row-{row}, objectType: oos"),
        Service::Sts | Service::Kms => format!("objectName: row/{row}"),
    };
    let role = format!("acs:ram::1234567890123456:role/cell-{row}");
    let pod = |pod: &str, objects: String| -> PodVolume {
        let volume = world.pod("web", &format!("{pod}-{row}")).objects(&objects);
        PodVolume { timeout: CLIENT_TIMEOUT, ..volume.parameter("roleArn", &role) }
    };
    let (before, mut tried) = (pod("before", format!("- {{{object}}}")), 0);
    // What the row is about comes after: on a machine that is busy with other worlds it is tried again,
    // as kubelet would.
    while let Err(status) = world.mount(&before).await {
        assert_eq!(status.code(), Code::Internal, "{status:?}");
        tried += 1;
        assert!(tried < 3, "{status:?}");
    }
    if service == Service::Sts {
        world.emulator.expire_sessions(&format!("cell-{row}")).unwrap();
    }
    let fault = world.emulator.add_fault(fault(service, row, effect.clone()));
    let answer = world.mount(&pod("first", format!("- {{{object}}}"))).await;
    // Where the machine is too busy for a mount's last seconds it fails as an outage does, and nothing is
    // dropped: kubelet tries it again.
    let mut again = world.mount(&before).await;
    if again.as_ref().is_err_and(|status| status.code() == Code::Internal) {
        again = world.mount(&before).await;
    }
    let kept = again.is_ok();
    let optional = format!("- {{{object}, optional: true}}\n- objectName: web/plain");
    let optional = world.mount(&pod("optional", optional)).await;
    world.emulator.clear_fault(fault);
    if !kept {
        // Nor is it there for an answer that says nothing about it.
        let service = if service == Service::Oos { service } else { Service::Kms };
        let effect = error(400, "IllegalTimestamp");
        let later = world.emulator.add_fault(self::fault(service, row, effect));
        let later_mount = world.mount(&before).await;
        assert!(later_mount.is_err(), "it was dropped: {:?}", again.err());
        world.emulator.clear_fault(later);
    }
    let forgiven = optional.is_ok_and(|volume| volume.files.len() == 1);
    Outcome { answer, kept, forgiven }
}

fn error(status: u16, code: &str) -> FaultEffect {
    let (code, headers) = (code.to_owned(), BTreeMap::new());
    FaultEffect::Error { status, code, message: None, headers }
}

/// With longer to wait than a hurried mount has, so that it ends after one attempt.
fn error_for_long(status: u16, code: &str) -> FaultEffect {
    let headers = BTreeMap::from([("retry-after".to_owned(), "60".to_owned())]);
    FaultEffect::Error { status, code: code.to_owned(), message: None, headers }
}

fn body(status: u16, body: &str) -> FaultEffect {
    FaultEffect::Body { status, body: body.to_owned() }
}

fn lower(code: &str) -> FaultEffect {
    let id = "0D7E1D0C-8A4B-4B0C-9A55-2F6D0A3C1B7E";
    body(403, &format!(r#"{{"code":"{code}","message":"no","requestId":"{id}"}}"#))
}

/// An example of the codes that a row is about.
fn example(row: &Known) -> String {
    match row.code.strip_suffix('*') {
        Some(start) => format!("{}.Example", start.trim_end_matches('.')),
        None => row.code.to_owned(),
    }
}

async fn of_a_code(world: &World, number: usize, row: &Known) -> [String; 3] {
    let service = row.service.unwrap_or(Service::Kms);
    let code = example(row);
    let effect = match lingers(row) {
        true => error_for_long(row.status, &code),
        false => error(row.status, &code),
    };
    let outcome = outcome(world, service, number, &effect).await;
    // A session's key that is not known is a session that is over.
    let cause = match row.code {
        "InvalidAccessKeyId.NotFound" => Cause::SessionRefused,
        _ => row.cause,
    };
    let status = outcome.answer.as_ref().expect_err(&code);
    assert_eq!(status.code(), cause.kind().code(), "{code}: {status:?}");
    assert!(status.message().contains(&code), "{code}: {status:?}");
    assert!(status.message().contains(row.hint), "{code}: {status:?}");
    assert_eq!(outcome.kept, !cause.is_refusal(), "{code}: {status:?}");
    assert_eq!(outcome.forgiven, cause.is_missing(), "{code}: {status:?}");
    outcome.cells()
}

/// Those that are asked for again and again would slow the others down.
fn lingers(row: &Known) -> bool {
    row.cause.is_transient() || row.cause == Cause::NonceUsed
}

async fn codes(table: &mut Table) {
    let rows = || KNOWN.iter().enumerate();
    let apart = rows().filter(|(_, row)| lingers(row)).map(async |(number, row)| {
        let world = hurried(KNOWN.len()).start().await;
        let cells = of_a_code(&world, number, row).await;
        world.finish().await;
        (number, cells)
    });
    let together = async {
        let world = setup(KNOWN.len()).start().await;
        let mut all = Vec::new();
        for (number, row) in rows().filter(|(_, row)| !lingers(row)) {
            all.push((number, of_a_code(&world, number, row).await));
        }
        world.finish().await;
        all
    };
    // Each world costs a small machine a second's work.
    let apart = stream::iter(apart).buffer_unordered(5).collect::<Vec<_>>();
    let (apart, together) = tokio::join!(apart, together);
    let cells: BTreeMap<usize, [String; 3]> = apart.into_iter().chain(together).collect();
    for (number, row) in rows() {
        let [answer, kept, optional] = &cells[&number];
        let service = row.service.map_or("any", Service::name);
        table.row(&[service, &row.status.to_string(), row.code, answer, kept, optional]);
    }
}

async fn without_a_code(table: &mut Table) {
    let another = r#"{"SecretName":"other","SecretData":"planted-of-another","VersionId":"1"}"#;
    let another = body(200, another);
    let effects = [
        ("401", "an HTML page", FaultEffect::Html { status: 401 }),
        ("403", "an HTML page", FaultEffect::Html { status: 403 }),
        ("404", "nothing", FaultEffect::Empty { status: 404 }),
        ("407", "an HTML page", FaultEffect::Html { status: 407 }),
        ("429", "an HTML page", FaultEffect::Html { status: 429 }),
        ("502", "an HTML page", FaultEffect::Html { status: 502 }),
        ("200", "2 MiB", FaultEffect::Huge { mib: 2 }),
        ("200", "no JSON", FaultEffect::Garbage),
        ("404", "`Unheard.Of`", error(404, "Unheard.Of")),
        ("403", "`Unheard.Of`", error(403, "Unheard.Of")),
        ("302", "`Forbidden.ResourceNotFound`", error(302, "Forbidden.ResourceNotFound")),
        ("407", "`Unheard.Of`, a proxy's", error(407, "Unheard.Of")),
        ("421", "`Forbidden.NoPermission`", error(421, "Forbidden.NoPermission")),
        ("401", "`Unauthorized` without a request id", body(401, r#"{"Code":"Unauthorized"}"#)),
        (
            "400",
            "`InvalidParameter` without a request id",
            body(400, r#"{"Code":"InvalidParameter"}"#),
        ),
        (
            "404",
            "`Forbidden.ResourceNotFound` without a request id",
            body(404, r#"{"Code":"Forbidden.ResourceNotFound"}"#),
        ),
        (
            "403",
            "`Blocked` with a request id of another form",
            body(403, r#"{"Code":"Blocked","RequestId":"waf-1"}"#),
        ),
        ("200", "another secret's value", another),
        ("403", "`AccessDenied` in small letters", lower("AccessDenied")),
        ("403", "`Forbidden.NoPermission` in small letters", lower("Forbidden.NoPermission")),
    ];
    let rows = effects.into_iter().map(async |(status, what, effect)| {
        let setup = if status == "429" { hurried(1) } else { unhurried(1) };
        let world = setup.start().await;
        let outcome = outcome(&world, Service::Kms, 0, &effect).await;
        world.finish().await;
        (status, what, outcome)
    });
    for (status, what, outcome) in join_all(rows).await {
        let [answer, kept, optional] = outcome.cells();
        assert!(!outcome.forgiven, "{status} {what}");
        let of_kms = ["`Unheard.Of`", "`Forbidden.NoPermission` in small letters"].contains(&what);
        assert_eq!(outcome.kept, !of_kms, "{status} {what}");
        if !of_kms {
            assert!(!answer.contains("allow role"), "{answer}");
        }
        if status == "429" {
            assert!(answer.contains("throttled by KMS or by something on the way"), "{answer}");
        }
        table.row(&["KMS", status, what, &answer, &kept, &optional]);
    }
}

async fn metadata(table: &mut Table) {
    let rows = [
        ("404", "RoleName", error(404, "")),
        ("404 page", "RoleName", FaultEffect::Html { status: 404 }),
        ("403", "Token", error(403, "")),
        ("503", "RoleName", error(503, "")),
        ("429", "Credentials", error(429, "")),
        ("-", "Credentials", FaultEffect::Reset),
    ];
    let rows = rows.into_iter().map(async |(status, action, effect)| {
        let world = unhurried(0)
            .flag("allowed-identities", "ecs-role")
            .flag("default-identity", "ecs-role")
            .start()
            .await;
        let fault = Fault {
            service: Some("metadata".to_owned()),
            action: Some(action.to_owned()),
            effect,
            ..Fault::default()
        };
        let pod = |pod: &str, objects: &str| PodVolume {
            timeout: CLIENT_TIMEOUT,
            ..world.pod("web", pod).objects(objects)
        };
        let other = pod("web-2", "- objectName: web/plain");
        let pod = pod("web-1", "- objectName: shared/greeting");
        world.mount(&pod).await.unwrap();
        world.emulator.expire_sessions("node").unwrap();
        world.emulator.add_fault(fault);
        let answer = world.mount(&other).await;
        let kept = world.mount(&pod).await.is_ok();
        world.finish().await;
        (status, action, Outcome { answer, kept, forgiven: false })
    });
    // One after another: an attempt at instance metadata has little time.
    for row in rows {
        let (status, action, outcome) = row.await;
        let code = outcome.answer.as_ref().unwrap_err().code();
        let passes = matches!(status, "404 page" | "503" | "429" | "-");
        let expected = if passes { Code::Internal } else { Code::FailedPrecondition };
        assert_eq!(code, expected, "{status} {action}: {:?}", outcome.answer);
        assert_eq!(outcome.kept, status != "404", "{status} {action}");
        let [answer, kept, _] = outcome.cells();
        table.row(&["metadata", status, action, &answer, &kept, "-"]);
    }
}

#[tokio::test]
async fn every_documented_code_means_what_the_table_says() {
    let table = |intro: &str| Table::new(intro.trim_end(), &COLUMNS);
    let mut all = table(include_str!("answers/codes.md"));
    let mut others = table(include_str!("answers/others.md"));
    let mut of_metadata = table(include_str!("answers/metadata.md"));
    codes(&mut all).await;
    without_a_code(&mut others).await;
    metadata(&mut of_metadata).await;
    all.append(&others);
    all.append(&of_metadata);
    all.holds("cloud-errors.md");
}
