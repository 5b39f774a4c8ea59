//! What mounts have in common: reads under way, a ServiceAccount's session, one call for many
//! secrets, and the places for calls.

use std::time::Duration;

use emulator::{Batch, Fault, FaultEffect};
use futures::future::join_all;
use tonic::Code;

use crate::world::{AUDIENCE, Setup, World};

const PLAIN: &str = "- objectName: web/plain";

fn kms(effect: FaultEffect) -> Fault {
    Fault { service: Some("kms".to_owned()), effect, ..Fault::default() }
}

/// One pod's volumes, or a mount that is repeated while the first still runs.
#[tokio::test]
async fn mounts_of_one_identity_share_the_reads_under_way() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects(PLAIN);
    world.mount(&pod).await.unwrap();
    world.emulator.clear_requests();
    world.emulator.add_fault(kms(FaultEffect::Latency { ms: 1000 }));
    let mounts = join_all((0..30).map(|_| world.mount(&pod))).await;
    assert!(mounts.iter().all(Result::is_ok));
    assert_eq!(world.calls("GetSecretValue").len(), 1);
    // A failure is shared too, and forgotten.
    world.emulator.clear_faults();
    world.emulator.add_fault(Fault {
        times: Some(1),
        ..kms(FaultEffect::Error {
            status: 403,
            code: "Forbidden.NoPermission".to_owned(),
            message: None,
            headers: Default::default(),
        })
    });
    assert_eq!(world.mount(&pod).await.unwrap_err().code(), Code::PermissionDenied);
    world.mount(&pod).await.unwrap();
    world.finish().await;
}

/// Who asked first may go away; those who wait for the same read have it all the same.
#[tokio::test]
async fn a_cancelled_reader_takes_nobody_down() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects(PLAIN);
    world.mount(&pod).await.unwrap();
    world.emulator.clear_requests();
    world.emulator.add_fault(kms(FaultEffect::Latency { ms: 800 }));
    let first = tokio::time::timeout(Duration::from_millis(300), world.mount(&pod));
    let second = async {
        tokio::time::sleep(Duration::from_millis(150)).await;
        world.mount(&pod).await
    };
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_err() && second.is_ok());
    assert_eq!(world.calls("GetSecretValue").len(), 1);
    world.finish().await;
}

#[tokio::test]
async fn replicas_of_a_service_account_cost_what_one_pod_does() {
    let setup = Setup::default().flag("share", "service-account").flag("refresh-interval", "5m");
    let world = setup.start().await;
    let objects = "- objectName: web/plain\n- objectName: web/db\n- {objectName: partner/secret, crossAccountRoleArn: 'acs:ram::6543210987654321:role/partner'}\n";
    let pods: Vec<_> =
        (0..30).map(|n| world.pod("web", &format!("web-{n}")).objects(objects)).collect();
    for outcome in join_all(pods.iter().map(|pod| world.mount(pod))).await {
        outcome.unwrap();
    }
    assert_eq!(world.calls("AssumeRoleWithOIDC").len(), 1);
    assert_eq!(world.calls("AssumeRole").len(), 1);
    let reads = world.calls("GetSecretValue");
    assert_eq!(reads.len(), 3);
    for read in reads {
        // The session's name says that it is not one pod's.
        assert_eq!(read.principal.unwrap().session_name.as_deref(), Some("shop@web"));
    }
    // Another ServiceAccount has a session of its own, and may not read this.
    let thief = world.mount(&world.pod("jobs", "jobs-1").objects(PLAIN)).await.unwrap_err();
    assert_eq!(thief.code(), Code::PermissionDenied);
    world.finish().await;
}

/// Only one pod's token is held against STS: the others' must at least be of the same ServiceAccount,
/// and there must be one.
#[tokio::test]
async fn nobody_joins_a_service_account_without_a_token_of_it() {
    let setup = Setup::default().flag("share", "service-account").flag("refresh-interval", "5m");
    let world = setup.start().await;
    world.web(PLAIN).await.unwrap();
    let pod = || crate::driver::PodVolume::new("shop", "web", "web-2").objects(PLAIN);
    let jobs = world.token(&crate::driver::PodVolume::new("shop", "jobs", "web-2"), AUDIENCE);
    let until = "2126-01-01T00:00:00Z";
    for volume in [
        pod(),
        pod().token(AUDIENCE, &jobs, until),
        pod().token(AUDIENCE, "planted-no-token", until),
        pod().token(AUDIENCE, "a.cGxhbnRlZC1ub3QtanNvbg.c", until),
    ] {
        let status = world.mount(&volume).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{status:?}");
    }
    assert_eq!(world.calls("GetSecretValue").len(), 1);
    world.finish().await;
}

/// 45 secrets, among them one that is missing, one that is forbidden, and one twice in two versions.
fn many() -> String {
    let mut objects: String =
        (0..42).map(|n| format!("- {{objectName: web/many-{n}, objectAlias: m{n}}}\n")).collect();
    objects.push_str("- {objectName: web/not-there, optional: true}\n");
    objects.push_str(
        "- {objectName: web/many-1, objectVersionLabel: ACSCurrent, objectAlias: m1-again}\n",
    );
    objects
}

fn batching() -> Setup {
    Setup::default().flag("kms-batch", "auto")
}

async fn with_many(setup: Setup) -> World {
    let world = setup.start().await;
    for n in 0..42 {
        let value = format!("planted-value-of-many-{n}");
        world.emulator.set_secret_text(&format!("web/many-{n}"), &value).unwrap();
    }
    world
}

#[tokio::test]
async fn twenty_secrets_are_read_with_one_call() {
    let world = with_many(batching()).await;
    let volume = world.web(&many()).await.unwrap();
    for n in 0..42 {
        assert_eq!(volume.text(&format!("m{n}")), format!("planted-value-of-many-{n}"));
    }
    assert_eq!(volume.text("m1-again"), "planted-value-of-many-1");
    assert_eq!(world.calls("BatchGetSecretValue").len(), 3, "42 and the missing one, in twenties");
    // The missing one. The second selection of a name is in another call than the first.
    assert_eq!(world.calls("GetSecretValue").len(), 1);
    // What a batch does not hold is asked for singly, and told like any other.
    let status = world.web("- objectName: web/plain\n- objectName: jobs/token").await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("GetSecretValue at"), "{}", status.message());
    world.finish().await;
}

/// Unknown to the service, or not permitted: it is tried once per identity, and no mount fails of it.
#[tokio::test]
async fn where_batches_do_not_work_they_are_given_up_for_good() {
    for answer in [Batch::Unknown, Batch::Forbidden] {
        let world = with_many(batching()).await;
        world.emulator.set_batch(answer);
        world.emulator.set_secret_text("api/other", "planted-value-of-api-other").unwrap();
        for _ in 0..3 {
            world.web(&many()).await.unwrap();
        }
        // The three of the first mount set out before any of them was answered.
        assert_eq!(world.calls("BatchGetSecretValue").len(), 3, "{answer:?}");
        // Another identity finds out for itself.
        let pod =
            world.pod("api", "api-1").objects("- objectName: api/token\n- objectName: api/other");
        world.mount(&pod).await.unwrap();
        assert_eq!(world.calls("BatchGetSecretValue").len(), 4, "{answer:?}");
        world.finish().await;
    }
    // Off unless asked for.
    let world = with_many(Setup::default()).await;
    world.web(&many()).await.unwrap();
    assert!(world.calls("BatchGetSecretValue").is_empty());
    world.finish().await;
}

/// Values whose JSON is twice as long make an answer beyond what is taken: it is asked for in halves.
#[tokio::test]
async fn batch_larger_than_an_answer_is_split() {
    let world = batching().start().await;
    let value = "\"\\".repeat(15_000);
    let mut objects = String::new();
    for n in 0..20 {
        world.emulator.set_secret_text(&format!("web/large-{n}"), &value).unwrap();
        objects.push_str(&format!("- objectName: web/large-{n}\n"));
    }
    let volume = world.web(&objects).await.unwrap();
    assert_eq!(volume.files.len(), 20);
    assert_eq!(volume.text("web_large-7"), value);
    assert_eq!(world.calls("BatchGetSecretValue").len(), 3);
    assert!(world.calls("GetSecretValue").is_empty());
    world.finish().await;
}

/// One that cannot be decrypted fails the call for all ten; asked for alone, only it fails.
#[tokio::test]
async fn parameter_that_cannot_be_read_fails_alone() {
    let world = World::start().await;
    world.emulator.add_fault(Fault {
        service: Some("oos".to_owned()),
        object: Some("plain".to_owned()),
        effect: FaultEffect::Error {
            status: 409,
            code: "Rejected.Disabled".to_owned(),
            message: None,
            headers: Default::default(),
        },
        ..Fault::default()
    });
    let objects =
        "- {objectName: plain, objectType: oos}\n- {objectName: /app/password, objectType: oos}\n";
    let status = world.web(objects).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    let message = status.message();
    assert!(message.contains("\"plain\": GetSecretParameter at"), "{message}");
    assert!(!message.contains("/app/password"), "{message}");
    assert_eq!(world.calls("GetSecretParameters").len(), 1);
    assert_eq!(world.calls("GetSecretParameter").len(), 2);
    world.finish().await;
}

/// As policies made for the official provider have it.
#[tokio::test]
async fn role_that_may_only_read_parameters_singly_is_remembered() {
    let world = World::start().await;
    let objects =
        "- {objectName: plain, objectType: oos}\n- {objectName: /app/password, objectType: oos}\n";
    let pod = world.pod("api", "api-1").objects(objects);
    for _ in 0..3 {
        world.mount(&pod).await.unwrap();
    }
    assert_eq!(world.calls("GetSecretParameters").len(), 1);
    assert_eq!(world.calls("GetSecretParameter").len(), 6);
    // Another role's refusal is not its own.
    world.web(objects).await.unwrap();
    assert_eq!(world.calls("GetSecretParameters").len(), 2);
    world.finish().await;
}

/// The read ends with the time of the mount that began it; who joined and has more begins it again.
#[tokio::test]
async fn joined_read_outlives_the_deadline_of_its_first_caller() {
    let world = World::start().await;
    let pod = world.pod("web", "web-1").objects(PLAIN);
    world.mount(&world.pod("web", "web-1").objects("- objectName: web/db")).await.unwrap();
    world.emulator.add_fault(Fault { times: Some(1), ..kms(FaultEffect::Hang) });
    let short = crate::driver::PodVolume { timeout: Duration::from_secs(3), ..pod.clone() };
    let joined = async {
        // The emulator records a request that it does not answer as soon as it arrives.
        let begun = async {
            while world.calls("GetSecretValue").len() < 2 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), begun).await.expect("no read was begun");
        world.mount(&pod).await
    };
    let (first, second) = tokio::join!(world.mount(&short), joined);
    assert_eq!(first.unwrap_err().code(), Code::Internal);
    second.unwrap();
    world.finish().await;
}

/// A mount of many objects fills all places; one of a single object has its turn all the same.
#[tokio::test]
async fn many_objects_do_not_starve_one() {
    let world = with_many(Setup::default().flag("max-concurrent-kms-secret-pulls", "2")).await;
    let (many_objects, one) = (many(), "- objectName: api/token");
    let (big, small) = (world.pod("web", "big"), world.pod("api", "small"));
    let (big, small) = (big.objects(&many_objects), small.objects(one));
    world.emulator.add_fault(kms(FaultEffect::Latency { ms: 50 }));
    let first = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        world.mount(&small).await.unwrap();
        world.calls("GetSecretValue").len()
    };
    let (done, before) = tokio::join!(world.mount(&big), first);
    done.unwrap();
    let all = world.calls("GetSecretValue").len();
    assert!(before < all / 2, "after {before} of {all} calls");
    world.finish().await;
}
