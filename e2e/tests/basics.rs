//! The main job, once through.

use std::collections::BTreeMap;

use crate::{driver::Volume, world::World};

#[tokio::test]
async fn a_pod_reads_kms_and_oos_secrets_under_its_own_role() {
    let world = World::start().await;
    let volume = world
        .web("- objectName: web/plain\n- {objectName: plain, objectType: oos}\n- objectName: shared/greeting\n  objectAlias: greeting\n")
        .await
        .unwrap();
    assert_eq!(volume.text("web_plain"), "planted-value-of-web-plain");
    assert_eq!(volume.text("plain"), "planted-parameter-plain");
    assert_eq!(volume.text("greeting"), "planted-value-of-shared-greeting");
    assert_eq!(volume.files["greeting"].1, 0o644);
    for call in world.calls("GetSecretValue") {
        let principal = call.principal.unwrap();
        assert_eq!(principal.arn, "acs:ram::1234567890123456:role/web");
        assert_eq!(principal.session_name.as_deref(), Some("shop@web@web-1"));
        assert_eq!(call.host, "kms-vpc.cn-hangzhou.aliyuncs.com");
    }
    assert_eq!(world.calls("AssumeRoleWithOIDC")[0].host, "sts-vpc.cn-hangzhou.aliyuncs.com");
    world.finish().await;
}

/// Written as the driver writes them: all files of a mount change at one instant, those that are
/// gone disappear, and an unchanged mount touches nothing.
#[tokio::test]
async fn a_rotation_reaches_the_pod_s_files_all_at_once() {
    let world = World::start().await;
    let target = world.path("volume");
    let objects =
        "- {objectName: web/plain, objectAlias: plain}\n- {objectName: web/db, objectAlias: db}\n";
    assert!(world.web(objects).await.unwrap().publish(&target).unwrap());
    assert!(!world.web(objects).await.unwrap().publish(&target).unwrap());
    let data = std::fs::read_link(target.join("..data")).unwrap();
    world.emulator.rotate_secret("web/plain", "planted-value-after-rotation").unwrap();
    let one = "- {objectName: web/plain, objectAlias: plain}";
    assert!(world.web(one).await.unwrap().publish(&target).unwrap());
    assert_ne!(std::fs::read_link(target.join("..data")).unwrap(), data);
    let expected = BTreeMap::from([("plain".to_owned(), b"planted-value-after-rotation".to_vec())]);
    assert_eq!(Volume::read(&target).unwrap(), expected);
    assert_eq!(std::fs::read(target.join("plain")).unwrap(), expected["plain"]);
    assert!(!target.join("db").exists());
    world.finish().await;
}
