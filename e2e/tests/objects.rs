//! Every field of an object: what it means, and what is refused.

use tonic::Code;

use crate::{
    driver::PodVolume,
    table::{Table, steady},
    world::{Setup, World},
};

/// Each row: a field, an accepted example, the file it makes with its text, a refused example.
#[tokio::test]
async fn every_field_has_an_accepted_and_a_refused_example() {
    let rows = [
        (
            "objectName",
            "- objectName: web/plain",
            ("web_plain", "planted-value-of-web-plain"),
            "- objectAlias: a",
        ),
        (
            "objectName (ARN)",
            "- {objectName: 'acs:kms:cn-beijing:1234567890123456:secret/web/beijing', objectAlias: a}",
            ("a", "planted-value-in-beijing"),
            "- objectName: acs:kms:cn-beijing:1234567890123456:key/web",
        ),
        (
            "objectType",
            "- {objectName: plain, objectType: oos}",
            ("plain", "planted-parameter-plain"),
            "- {objectName: plain, objectType: ssm}",
        ),
        (
            "objectAlias",
            "- {objectName: web/plain, objectAlias: dir/file}",
            ("dir_file", "planted-value-of-web-plain"),
            "- {objectName: web/plain, objectAlias: ..data}",
        ),
        (
            "objectVersion (kms)",
            "- {objectName: web/versions, objectVersion: ver-old}",
            ("web_versions", "planted-value-version-old"),
            "- {objectName: web/versions, objectVersion: yes}",
        ),
        (
            "objectVersion (oos)",
            "- {objectName: /app/password, objectType: oos, objectVersion: 1}",
            ("_app_password", "planted-parameter-first"),
            "- {objectName: /app/password, objectType: oos, objectVersion: latest}",
        ),
        (
            "objectVersionLabel",
            "- {objectName: web/versions, objectVersionLabel: ACSPrevious}",
            ("web_versions", "planted-value-version-old"),
            "- {objectName: plain, objectType: oos, objectVersionLabel: ACSPrevious}",
        ),
        (
            "jmesPath",
            "- objectName: web/db\n  jmesPath:\n  - {path: password, objectAlias: password}",
            ("password", "planted-password-web"),
            "- {objectName: web/db, jmesPath: [{path: password}]}",
        ),
        (
            "jmesPath[].path",
            "- objectName: web/yaml\n  jmesPath:\n  - {path: db.port, objectAlias: port}",
            ("port", "3306"),
            "- {objectName: web/db, jmesPath: [{path: 'user[', objectAlias: a}]}",
        ),
        (
            "jmesPath[].filePermission",
            "- objectName: web/db\n  jmesPath:\n  - {path: user, objectAlias: user, filePermission: '0440'}",
            ("user", "planted-user-web"),
            "- {objectName: web/db, jmesPath: [{path: user, objectAlias: a, filePermission: '0999'}]}",
        ),
        (
            "jmesPath[].objectEncoding",
            "- objectName: web/keystore\n  jmesPath:\n  - {path: store, objectAlias: store, objectEncoding: base64}",
            ("store", "planted-bytes"),
            "- {objectName: web/db, jmesPath: [{path: user, objectAlias: a, objectEncoding: rot13}]}",
        ),
        (
            "kmsEndpoint",
            "- {objectName: web/instance, objectAlias: a, kmsEndpoint: kst-hzz0001.cryptoservice.kms.aliyuncs.com}",
            ("a", "planted-value-of-the-instance"),
            "- {objectName: web/plain, kmsEndpoint: kms.cn-hangzhou.aliyuncs.com.evil.example}",
        ),
        (
            "crossAccountRoleArn",
            "- {objectName: partner/secret, crossAccountRoleArn: 'acs:ram::6543210987654321:role/partner'}",
            ("partner_secret", "planted-value-of-the-partner"),
            "- {objectName: partner/secret, crossAccountRoleArn: role/partner}",
        ),
        (
            "filePermission",
            "- {objectName: web/plain, filePermission: '0400'}",
            ("web_plain", "planted-value-of-web-plain"),
            "- {objectName: web/plain, filePermission: 400}",
        ),
        (
            "objectEncoding",
            "- {objectName: web/hex, objectEncoding: hex}",
            ("web_hex", "planted-hex-value"),
            "- {objectName: web/hex, objectEncoding: rot13}",
        ),
        (
            "optional",
            "- {objectName: web/not-there, optional: true}\n- objectName: web/plain",
            ("web_plain", "planted-value-of-web-plain"),
            "- {objectName: web/plain, optional: maybe}",
        ),
        (
            "an unknown field",
            "- objectName: web/plain",
            ("web_plain", "planted-value-of-web-plain"),
            "- {objectName: web/plain, objectVersionLable: ACSPrevious}",
        ),
    ];
    let world = World::start().await;
    let mut table = Table::new(
        "# Fields of an object\n\nOne accepted and one refused example of each, with the message \
         that `kubectl describe pod` shows after the driver's own words and the SecretProviderClass's \
         name. A test makes this table.",
        &["field", "accepted", "file", "refused", "message"],
    );
    for (field, accepted, (file, text), refused) in rows {
        let volume = world.web(accepted).await.unwrap_or_else(|e| panic!("{field}: {e:?}"));
        assert_eq!(volume.text(file), text, "{field}");
        let status = world.web(refused).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
        let message = steady(status.message());
        assert!(message.starts_with("object 1"), "{message}");
        let code = |yaml: &str| format!("`{}`", yaml.replace('\n', "`\n`"));
        table.row(&[field, &code(accepted), &format!("`{file}`"), &code(refused), &message]);
    }
    table.holds("objects.md");
    world.finish().await;
}

#[tokio::test]
async fn jmespath_results_of_any_type_and_the_whole_secret_beside_them() {
    let world = World::start().await;
    let volume = world
        .web(
            "- objectName: web/db
  objectAlias: db
  filePermission: '0440'
  jmesPath:
  - {path: port, objectAlias: port}
  - {path: tls, objectAlias: tls}
  - {path: hosts, objectAlias: hosts}
  - {path: nested, objectAlias: nested, filePermission: '0400'}
  - {path: 'hosts[1]', objectAlias: second}
",
        )
        .await
        .unwrap();
    assert!(volume.text("db").starts_with("{\"user\""));
    assert_eq!(volume.text("port"), "5432");
    assert_eq!(volume.text("tls"), "true");
    assert_eq!(volume.text("hosts"), r#"["planted-host-1","planted-host-2"]"#);
    assert_eq!(volume.text("nested"), r#"{"deep":"planted-deep-value"}"#);
    assert_eq!(volume.text("second"), "planted-host-2");
    assert_eq!((volume.files["port"].1, volume.files["nested"].1), (0o440, 0o400));
    assert!(volume.versions.values().all(|version| version == "v1"), "{:?}", volume.versions);
    for (path, reason) in [("nothing", "finds nothing, or null"), ("missing", "finds nothing")] {
        let objects =
            format!("- {{objectName: web/db, jmesPath: [{{path: {path}, objectAlias: a}}]}}");
        let status = world.web(&objects).await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert!(status.message().contains(reason), "{}", status.message());
    }
    let status = world
        .web("- {objectName: web/plain, jmesPath: [{path: a, objectAlias: a}]}")
        .await
        .unwrap_err();
    assert!(status.message().contains("needs a JSON or YAML secret"), "{}", status.message());
    world.finish().await;
}

#[tokio::test]
async fn bytes_arrive_as_they_are() {
    let world = World::start().await;
    let volume = world
        .web("- objectName: web/binary\n- {objectName: web/base64, objectEncoding: base64}\n- objectName: web/empty\n")
        .await
        .unwrap();
    assert_eq!(volume.files["web_binary"].0, b"\x00\x01\x02\x03\xff\xfeplanted");
    assert_eq!(volume.text("web_base64"), "planted-bytes");
    assert_eq!(volume.text("web_empty"), "");
    let status = world
        .web("- {objectName: web/plain, objectEncoding: base64}\n- {objectName: web/plain, objectAlias: b, objectEncoding: hex}")
        .await
        .unwrap_err();
    assert!(status.message().contains("is not base64") && status.message().contains("is not hex"));
    world.finish().await;
}

#[tokio::test]
async fn versions_move_when_and_only_when_the_content_does() {
    let world = World::start().await;
    let objects = "- objectName: web/plain\n- {objectName: plain, objectType: oos}\n";
    let first = world.web(objects).await.unwrap();
    assert_eq!(world.web(objects).await.unwrap(), first);
    let secret = world.emulator.rotate_secret("web/plain", "planted-value-after-rotation").unwrap();
    let second = world.web(objects).await.unwrap();
    assert_eq!(second.text("web_plain"), "planted-value-after-rotation");
    assert_eq!(second.versions["web_plain"], secret);
    assert_eq!(second.versions["plain"], first.versions["plain"]);
    world.emulator.rotate_parameter("plain", "planted-parameter-after-rotation").unwrap();
    let third = world.web(objects).await.unwrap();
    assert_eq!((&*first.versions["plain"], &*third.versions["plain"]), ("1", "2"));
    assert_eq!(third.text("plain"), "planted-parameter-after-rotation");
    world.finish().await;
}

#[tokio::test]
async fn path_translation_and_region_of_the_secret_provider_class() {
    let world = World::start().await;
    let pod = |objects: &str| world.pod("web", "web-1").objects(objects);
    let volume = world
        .mount(
            &pod("- objectName: web/plain\n- {objectName: web/db, objectAlias: /deep/er/db}")
                .parameter("pathTranslation", "False"),
        )
        .await
        .unwrap();
    assert_eq!(volume.files.keys().collect::<Vec<_>>(), ["deep/er/db", "web/plain"]);
    let volume = world
        .mount(
            &pod("- objectName: web/beijing")
                .parameter("pathTranslation", "-")
                .parameter("region", "cn-beijing"),
        )
        .await
        .unwrap();
    assert_eq!(volume.text("web-beijing"), "planted-value-in-beijing");
    let hosts: Vec<_> = world.calls("GetSecretValue").into_iter().map(|call| call.host).collect();
    assert!(hosts.contains(&"kms-vpc.cn-beijing.aliyuncs.com".to_owned()), "{hosts:?}");
    world.finish().await;
}

/// Mistakes that are not in one field: each is INVALID_ARGUMENT, names its place, costs no call, and
/// leaves the process alive.
#[tokio::test]
async fn input_of_any_shape_is_refused_by_name() {
    let world = World::start().await;
    let many: String = (0..501).map(|n| format!("- objectName: web/{n}\n")).collect();
    let laughs = (1..9).fold("- &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, n| {
        format!("{text}- &a{n} [{}]\n", vec![format!("*a{}", n - 1); 9].join(","))
    });
    let deep_path =
        format!("- {{objectName: a, jmesPath: [{{path: '{}', objectAlias: b}}]}}", "!".repeat(600));
    let long_path = format!(
        "- {{objectName: a, jmesPath: [{{path: '{}', objectAlias: b}}]}}",
        "a".repeat(1025)
    );
    for (objects, part) in [
        ("", "parameter objects: is missing or empty"),
        ("[]", "empty list"),
        ("objectName: a", "is not a YAML list but the fields of one object"),
        ("- objectName: a\n-\n", "object 2: is null"),
        ("- a", "object 1: is not a mapping"),
        ("- objectName: [a]", "field objectName: is not a text"),
        ("- objectName: a\n- {objectName: b, objectAlias: a}", "same file \"a\" as object 1"),
        ("- objectName: a/b\n- objectName: a_b", "same file \"a_b\""),
        (
            "- {objectName: a, jmesPath: [{path: x, objectAlias: a}]}",
            "jmesPath 1, field objectAlias: writes the same file",
        ),
        ("- {objectName: a, jmesPath: [null]}", "jmesPath 1: is null"),
        (
            "- {objectName: a, jmesPath: [{path: x, objectAlias: b, mode: 1}]}",
            "\"mode\": is a field of the Google Cloud provider; here it is filePermission",
        ),
        ("- objectName: \"a\\nb\"", "holds a control character (U+000A)"),
        ("- {objectName: ., objectAlias: '.'}", "element \".\""),
        ("- {objectName: 'acs:oos:cn-hangzhou:1:parameter/x'}", "ARN of another service"),
        (
            "- {objectName: 'acs:kms:cn-beijing:1:secret/x', objectAlias: a, kmsEndpoint: kms.cn-hangzhou.aliyuncs.com}",
            "is in cn-hangzhou, the ARN",
        ),
        ("- {objectName: a, kmsEndpoint: 169.254.169.254}", "not an Alibaba Cloud KMS host"),
        ("- {objectName: a, objectName: b}", "the same key twice"),
        ("- {objectName: a", "not valid YAML: a [ or { is not closed"),
        ("- objectName: a\n---\n- objectName: b", "more than one YAML document"),
        (&many, "501 objects; 500 are the most"),
        (&laughs, "too large, too deeply nested"),
        (&deep_path, "nests too deep"),
        (&long_path, "longer than 1024 bytes"),
    ] {
        let status = world.web(objects).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(part), "wanted {part:?}: {}", status.message());
    }
    let pod = |name: &str, value: &str| {
        world.pod("web", "web-1").objects("- objectName: web/plain").parameter(name, value)
    };
    for (volume, part) in [
        (pod("pathTranslation", "ab"), "parameter pathTranslation"),
        (pod("region", "cn-hangzhou.evil.example"), "parameter region"),
        (pod("roleArn", "web"), "parameter roleArn: is not of the form"),
        (pod("usePodServiceAccountTokn", "true"), "did you mean usePodServiceAccountToken?"),
        (
            pod("pathTranslation", "False").objects("- {objectName: a}\n- {objectName: a/b}"),
            "needs \"a\" as a directory",
        ),
        (
            pod("pathTranslation", "False").objects("- {objectName: a/b}\n- {objectName: a}"),
            "needs it as a directory",
        ),
        (pod("pathTranslation", "False").objects("- {objectName: a/../b}"), "element \"..\""),
        (
            pod("region", "cn-hangzhou")
                .objects("- {objectName: a, typo: 1}\n-\n- {objectName: b, objectType: x}"),
            "object 3",
        ),
    ] {
        let status = world.mount(&volume).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(part), "wanted {part:?}: {}", status.message());
    }
    assert!(world.emulator.requests().iter().all(|call| call.service == "kubernetes"));
    world.web("- objectName: web/plain").await.unwrap();
    world.finish().await;
}

/// What is no MountRequest of a driver at all.
#[tokio::test]
async fn malformed_requests_are_refused_without_repeating_them() {
    let world = World::start().await;
    let volume = world.pod("web", "web-1").objects("- objectName: web/plain");
    let broken = |change: fn(&mut provider::pb::MountRequest)| {
        let mut request = volume.request();
        change(&mut request);
        request
    };
    for (request, part) in [
        (
            broken(|r| r.attributes = "{\"a\": \"planted-half".to_owned()),
            "attributes: is not a JSON",
        ),
        (broken(|r| r.attributes = "{\"a\": 1}".to_owned()), "attributes: is not a JSON"),
        (broken(|r| r.attributes = "null".to_owned()), "pod.namespace: is missing"),
        (
            broken(|r| {
                r.attributes = r.attributes.replace("\"shop\"", "\"../../kube-system\"");
            }),
            "pod.namespace: is not a Kubernetes name",
        ),
        (broken(|r| r.secrets = "[\"planted-list\"]".to_owned()), "secrets: is not a JSON"),
        (broken(|r| r.permission = "rw-r--r--".to_owned()), "permission: is not a file mode"),
        (broken(|r| r.permission = "4294967295".to_owned()), "permission: is not a file mode"),
        (
            broken(|r| r.attributes = r.attributes.replace("\\\"token\\\"", "\\\"tok\\\"")),
            "serviceAccount.tokens: is not a JSON object of tokens",
        ),
    ] {
        let status = world.driver.send(request, volume.timeout).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(status.message().contains(part), "wanted {part:?}: {}", status.message());
        assert!(!status.message().contains("planted"), "{}", status.message());
    }
    // Old drivers sent an empty text, or {} on rotation; the tokens may come in secrets alone.
    let in_secrets = broken(|r| {
        let mut attributes: serde_json::Value = serde_json::from_str(&r.attributes).unwrap();
        let key = "csi.storage.k8s.io/serviceAccount.tokens";
        let tokens = attributes.as_object_mut().unwrap().remove(key).unwrap();
        r.attributes = attributes.to_string();
        r.secrets = serde_json::json!({ key: tokens }).to_string();
    });
    for request in [
        broken(|r| r.secrets.clear()),
        broken(|r| r.secrets = "{}".to_owned()),
        broken(|r| r.target_path.clear()),
        broken(|r| r.permission.clear()),
        in_secrets,
    ] {
        world.driver.send(request, volume.timeout).await.unwrap();
    }
    world.finish().await;
}

#[tokio::test]
async fn the_same_secret_is_fetched_once_and_parameters_go_out_in_tens() {
    let world = World::start().await;
    let twice: String =
        (0..20).map(|n| format!("- {{objectName: web/plain, objectAlias: f{n}}}\n")).collect();
    assert_eq!(world.web(&twice).await.unwrap().files.len(), 20);
    assert_eq!(world.calls("GetSecretValue").len(), 1);
    for n in 0..25 {
        let value = format!("planted-parameter-number-{n}");
        let parameter = serde_json::json!({ "name": format!("p{n}"), "value": value });
        world.emulator.put_parameter(serde_json::from_value(parameter).unwrap()).unwrap();
    }
    let tens: String = (0..25)
        .map(|n| format!("- {{objectName: p{n}, objectType: oos}}\n"))
        .chain(["- {objectName: /app/password, objectType: oos, objectVersion: '1'}\n".to_owned()])
        .collect();
    let volume = world.web(&tens).await.unwrap();
    assert_eq!(volume.text("p24"), "planted-parameter-number-24");
    let sizes: Vec<_> =
        world.calls("GetSecretParameters").iter().map(|call| call.objects.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 25);
    assert_eq!(sizes.len(), 3, "{sizes:?}");
    assert_eq!(world.calls("GetSecretParameter").len(), 1, "the one with a version");
    // A role that may only read singly: the batch is refused, each object has its own answer.
    let singly = world.pod("api", "api-1").objects(&tens);
    assert_eq!(world.mount(&singly).await.unwrap().files.len(), 26);
    // A parameter that does not exist is told of by name; the others of its batch are not blamed.
    let one_missing = tens.replace("objectName: p7,", "objectName: nowhere,");
    let status = world.web(&one_missing).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound, "{status:?}");
    assert!(status.message().contains("nowhere") && !status.message().contains("p8"));
    world.finish().await;
}

#[tokio::test]
async fn optional_objects_are_left_out_and_counted() {
    let world = World::start().await;
    let volume = world
        .web("- {objectName: web/not-there, optional: true}\n- {objectName: nope, objectType: oos, optional: true}\n- objectName: web/plain\n")
        .await
        .unwrap();
    assert_eq!(volume.files.keys().collect::<Vec<_>>(), ["web_plain"]);
    assert!(world.metrics().await.contains("optional_objects_missing_total 2"));
    // Alone: the driver needs some file, or old content would stay.
    let volume = world.web("- {objectName: web/not-there, optional: true}").await.unwrap();
    assert_eq!(volume.files.keys().collect::<Vec<_>>(), [".no-objects"]);
    // Optional forgives absence alone.
    let status = world.web("- {objectName: api/token, optional: true}").await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    world.finish().await;
}

#[tokio::test]
async fn all_failures_are_told_together() {
    let world = World::start().await;
    let status = world
        .web("- objectName: web/plain\n- objectName: web/not-there\n- objectName: api/token\n- objectName: web/nor-there\n")
        .await
        .unwrap_err();
    let message = status.message();
    assert_eq!(status.code(), Code::PermissionDenied);
    for part in [
        "object 2 \"web/not-there\", object 4 \"web/nor-there\": GetSecretValue",
        "object 3 \"api/token\"",
        "Forbidden.ResourceNotFound",
        "Forbidden.NoPermission (HTTP 403, ",
        ", request ",
        "allow role acs:ram::1234567890123456:role/web kms:GetSecretValue on it",
    ] {
        assert!(message.contains(part), "wanted {part:?}: {message}");
    }
    assert!(!message.contains("object 1"), "{message}");
    world.finish().await;
}

#[tokio::test]
async fn an_answer_larger_than_the_driver_takes_is_refused_with_sizes() {
    let world = World::start().await;
    let big = "planted-".repeat(3_800);
    let objects: String = (0..140)
        .map(|n| {
            world.emulator.set_secret_text(&format!("web/big{n}"), &big).unwrap();
            format!("- objectName: web/big{n}\n")
        })
        .collect();
    let status = world.web(&objects).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert!(status.message().contains("the driver takes 4194304"), "{}", status.message());
    assert!(status.message().contains("30400 bytes"), "{}", status.message());
    let fitting: String = objects.lines().take(137).map(|line| format!("{line}\n")).collect();
    assert_eq!(world.web(&fitting).await.unwrap().files.len(), 137);
    world.finish().await;
}

/// A KMS instance is trusted by the private CA alone, and needs the key as well.
#[tokio::test]
async fn kms_instances_have_a_trust_of_their_own() {
    let instance = "kmsEndpoint: kst-hzz0001.cryptoservice.kms.aliyuncs.com";
    let world = World::start().await;
    let objects = format!("- {{objectName: web/instance, {instance}}}");
    world.web(&objects).await.unwrap();
    let locked = format!("- {{objectName: web/locked, {instance}}}");
    let status = world.web(&locked).await.unwrap_err();
    assert!(status.message().contains("kms:Decrypt"), "{}", status.message());
    world.finish().await;
    // The built-in anchors are Alibaba Cloud's, not the stand-in's: it is not taken for real.
    let world = Setup::default().built_in_instance_ca().start().await;
    let status = world.web(&objects).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("--kms-ca-file"), "{}", status.message());
    world.finish().await;
}

#[tokio::test]
async fn an_endpoint_beyond_alibaba_cloud_needs_the_operator() {
    let object = "- {objectName: web/plain, kmsEndpoint: kms.internal.example}";
    let world = World::start().await;
    let status = world.web(object).await.unwrap_err();
    assert!(status.message().contains("--allowed-endpoints"), "{}", status.message());
    assert!(world.calls("GetSecretValue").is_empty());
    world.finish().await;
    let world = Setup::default().flag("allowed-endpoints", "*.internal.example").start().await;
    let status = world.web(object).await.unwrap_err();
    // Let through, but this machine has no such host.
    assert!(status.message().contains("kms.internal.example"), "{}", status.message());
    assert_eq!(status.code(), Code::Internal, "{status:?}");
    world.finish().await;
}

/// The sync controller speaks for workloads without a pod: nothing is mounted at its target path.
#[tokio::test]
async fn requests_of_the_sync_controller_are_served() {
    let world = World::start().await;
    let mut volume: PodVolume = world.pod("web", "sync-controller-0");
    volume.uid = String::new();
    let mut request = volume.objects("- objectName: web/plain").request();
    request.target_path = "/mnt/secrets-store".to_owned();
    request.secrets = "{}".to_owned();
    world.driver.send(request, std::time::Duration::from_secs(20)).await.unwrap();
    world.finish().await;
}
