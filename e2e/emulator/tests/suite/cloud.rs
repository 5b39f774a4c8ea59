//! STS, KMS and OOS as a client sees them.

use crate::support::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use emulator::{Batch, Config, Emulator};
use serde_json::{Value, json};

#[tokio::test]
async fn a_pod_reads_its_secrets() {
    let emulator = start().await;
    let token = pod_token(&emulator);
    let assumed = assume_with_oidc(&emulator, &oidc_parameters(&token)).await;
    let keys = assumed.keys();
    assert_eq!(
        assumed.json["AssumedRoleUser"]["Arn"],
        "acs:ram::1234567890123456:assumed-role/app/default-app"
    );
    assert_eq!(assumed.json["OIDCTokenInfo"]["Subject"], "system:serviceaccount:default:app");

    let secret = Call::secret("app/db").sign(&keys).send(&emulator).await;
    assert_eq!(secret.status, 200, "{}", secret.json);
    assert_eq!(secret.json["SecretData"], r#"{"username":"app","password":"new"}"#);
    assert_eq!(secret.json["VersionStages"]["VersionStage"], json!(["ACSCurrent"]));
    assert_eq!(secret.headers["x-acs-request-id"], secret.json["RequestId"].as_str().unwrap());

    let binary = Call::secret("app/keystore").sign(&keys).send(&emulator).await;
    assert_eq!(binary.json["SecretDataType"], "binary");
    let data = STANDARD.decode(binary.json["SecretData"].as_str().unwrap()).unwrap();
    assert_eq!(data, [0, 1, 2, 3, 255]);

    let managed = Call::secret("rds-managed").sign(&keys).send(&emulator).await;
    assert_eq!(managed.json["NextRotationDate"], "2030-01-01T00:00:00Z");
    assert_eq!(managed.json["AutomaticRotation"], "Enabled");

    let wanted = [("Name", "/app/password"), ("WithDecryption", "true")];
    let parameter = Call::oos("GetSecretParameter", &wanted).sign(&keys).send(&emulator).await;
    assert_eq!(parameter.json["Parameter"]["Value"], "second");
    assert_eq!(parameter.json["Parameter"]["ParameterVersion"], 2);

    let requests = emulator.requests();
    let actions: Vec<&str> = requests.iter().map(|request| request.action.as_str()).collect();
    assert_eq!(actions.first(), Some(&"AssumeRoleWithOIDC"));
    let subject = requests[0].oidc_subject.as_deref();
    assert_eq!(subject, Some("system:serviceaccount:default:app"));
    let principal = requests[1].principal.as_ref().unwrap();
    assert_eq!((principal.arn.as_str(), principal.account.as_str()), (APP, ACCOUNT));
    assert_eq!(principal.session_name.as_deref(), Some("default-app"));
    assert_eq!(principal.access_key_id, keys.id);
    assert_eq!(requests[1].objects, ["app/db"]);

    let listed = serde_json::to_string(&requests).unwrap();
    let secrets = emulator.issued_secrets();
    for known in [&token, &keys.secret, keys.token.as_ref().unwrap(), &"second".to_owned()] {
        assert!(secrets.contains(known));
    }
    assert!(secrets.iter().all(|secret| !listed.contains(secret.as_str())), "{listed}");
}

#[tokio::test]
async fn sessions_chain_across_accounts() {
    let emulator = start().await;
    let app = session(&emulator).await;
    let wanted = [("RoleArn", SHARED), ("RoleSessionName", "chained")];
    let shared = Call::sts("AssumeRole", &wanted).sign(&app).send(&emulator).await.keys();
    let read = Call::secret("partner-secret").sign(&shared).send(&emulator).await;
    assert_eq!(read.json["SecretData"], "from the other account");
    let who = Call::sts("GetCallerIdentity", &[]).sign(&shared).send(&emulator).await;
    assert_eq!(who.json["AccountId"], PARTNER);
    assert_eq!(who.json["IdentityType"], "AssumedRoleUser");

    let back = [("RoleArn", APP), ("RoleSessionName", "back")];
    let refused = Call::sts("AssumeRole", &back).sign(&shared).send(&emulator).await;
    assert_eq!(refused.outcome(), (403, "NoPermission"));

    let arn = format!("acs:kms:cn-hangzhou:{PARTNER}:secret/partner-secret");
    let by_arn = Call::secret(&arn).sign(&user()).send(&emulator).await;
    assert_eq!(by_arn.outcome(), (403, "Forbidden.NoPermission"));
}

#[tokio::test]
async fn sts_refuses_what_the_cloud_refuses() {
    let emulator = start().await;
    let token = pod_token(&emulator);
    let long = format!(r#"{{"Version":"1","Statement":[]}}{}"#, " ".repeat(2048));
    let no_provider = PROVIDER.replace("c0123", "c9999");
    let no_role = "acs:ram::1234567890123456:role/none";
    let table: &[(&str, &str, u16, &str)] = &[
        ("RoleArn", "app", 400, "InvalidParameter.RoleArn"),
        ("RoleArn", "", 400, "MissingRoleArn"),
        ("RoleArn", no_role, 404, "EntityNotExist.Role"),
        ("RoleArn", SHARED, 401, "AuthenticationFail.NoPermission"),
        ("OIDCProviderArn", &no_provider, 401, "AuthenticationFail.NoPermission"),
        ("OIDCProviderArn", "ack-rrsa", 400, "InvalidParameter.OIDCProviderArn"),
        ("OIDCToken", "abc", 400, "InvalidParameter.OIDCToken"),
        ("RoleSessionName", "a", 400, "InvalidParameter.RoleSessionName"),
        ("RoleSessionName", "a/b", 400, "InvalidParameter.RoleSessionName"),
        ("DurationSeconds", "899", 400, "InvalidParameter.DurationSeconds"),
        ("DurationSeconds", "3601", 400, "InvalidParameter.DurationSeconds"),
        ("DurationSeconds", "x", 400, "InvalidParameter.DurationSeconds"),
        ("Policy", "x", 400, "InvalidParameter.PolicyGrammar"),
        ("Policy", &long, 400, "InvalidParameter.PolicySize"),
    ];
    for (name, value, status, code) in table {
        let mut parameters = oidc_parameters(&token);
        parameters.retain(|(known, _)| known != name);
        parameters.push((name, value));
        let reply = assume_with_oidc(&emulator, &parameters).await;
        assert_eq!(reply.outcome(), (*status, *code), "{name}={value}");
    }
    let mut messages = Vec::new();
    for (role, provider) in [(SHARED, PROVIDER), (APP, &no_provider)] {
        let mut parameters = oidc_parameters(&token);
        parameters[0].1 = role;
        parameters[1].1 = provider;
        messages.push(assume_with_oidc(&emulator, &parameters).await.json["Message"].clone());
    }
    assert_eq!(messages, ["There is no permission", "No such OIDC Provider registered."]);
}

#[tokio::test]
async fn versions_stages_and_rotation() {
    let emulator = start().await;
    let keys = session(&emulator).await;
    let read = async |parameters: &[(&str, &str)]| {
        let mut all = vec![("SecretName", "app/db")];
        all.extend(parameters);
        let reply = Call::kms("GetSecretValue", &all).sign(&keys).send(&emulator).await;
        (reply.code().to_owned(), reply.json["VersionId"].as_str().unwrap_or("").to_owned())
    };
    let version = |id: &str| (String::new(), id.to_owned());
    let failed = |code: &str| (code.to_owned(), String::new());
    assert_eq!(read(&[]).await, version("v2"));
    assert_eq!(read(&[("VersionStage", "ACSPrevious")]).await, version("v1"));
    assert_eq!(read(&[("VersionId", "v1")]).await, version("v1"));
    assert_eq!(read(&[("VersionId", "v9")]).await, failed("Forbidden.ResourceNotFound"));
    assert_eq!(read(&[("VersionStage", "none")]).await, failed("Forbidden.ResourceNotFound"));
    let both = [("VersionId", "v1"), ("VersionStage", "ACSCurrent")];
    assert_eq!(read(&both).await, failed("InvalidParameter"));

    assert_eq!(emulator.rotate_secret("app/db", "three").unwrap(), "v3");
    assert_eq!(read(&[]).await, version("v3"));
    assert_eq!(read(&[("VersionStage", "ACSPrevious")]).await, version("v2"));
    emulator.move_stage("app/db", "ACSCurrent", "v1").unwrap();
    assert_eq!(read(&[]).await, version("v1"));
    emulator.move_stage("app/db", "blue", "v2").unwrap();
    assert_eq!(read(&[("VersionStage", "blue")]).await, version("v2"));
    for _ in 0..9 {
        emulator.rotate_secret("app/db", "more").unwrap();
    }
    assert_eq!(read(&[("VersionId", "v1")]).await, failed("Forbidden.ResourceNotFound"));

    let listed = Call::kms("ListSecretVersionIds", &[("SecretName", "app/db")]);
    let listed = listed.sign(&keys).send(&emulator).await;
    assert!(listed.json["TotalCount"].as_u64().unwrap() >= 2, "{}", listed.json);
    let described = Call::kms("DescribeSecret", &[("SecretName", "rds-managed")]);
    let described = described.sign(&keys).send(&emulator).await;
    assert_eq!(described.json["SecretType"], "Rds");

    let dry = Call::kms("GetSecretValue", &[("SecretName", "app/db"), ("DryRun", "true")]);
    assert_eq!(dry.sign(&keys).send(&emulator).await.code(), "DryRunOperationError");
    assert_eq!(emulator.rotate_parameter("p1", "new").unwrap(), 2);
    emulator.delete_secret("app/db").unwrap();
    assert_eq!(read(&[]).await, failed("Forbidden.ResourceNotFound"));
    assert!(emulator.rotate_secret("app/db", "gone").is_err());
}

#[tokio::test]
async fn batches_answer_item_by_item() {
    let emulator = start().await;
    let keys = session(&emulator).await;
    let list = r#"[{"SecretName":"secret001"},{"SecretName":"none"},{"SecretName":"app/db","VersionStage":"ACSPrevious"}]"#;
    let call = || Call::kms("BatchGetSecretValue", &[("SecretsList", list)]).sign(&keys);
    let reply = call().send(&emulator).await;
    assert_eq!(reply.json["SecretValues"].as_array().unwrap().len(), 2, "{}", reply.json);
    assert_eq!(reply.json["SecretValues"][1]["VersionId"], "v1");
    assert_eq!(reply.json["Errors"][0]["Code"], "Forbidden.ResourceNotFound");
    emulator.set_batch(Batch::Unknown);
    assert_eq!(call().send(&emulator).await.outcome(), (404, "InvalidAction.NotFound"));
    emulator.set_batch(Batch::Forbidden);
    assert_eq!(call().send(&emulator).await.outcome(), (403, "Forbidden.NoPermission"));

    let names = [("Names", r#"["p1","none"]"#), ("WithDecryption", "True")];
    let reply = Call::oos("GetSecretParameters", &names).sign(&keys).send(&emulator).await;
    assert_eq!(reply.json["Parameters"][0]["Value"], "hello from OOS");
    assert_eq!(reply.json["InvalidParameters"], json!(["none"]));
    let eleven = json!((0..11).map(|n| format!("p{n}")).collect::<Vec<_>>()).to_string();
    let reply = Call::oos("GetSecretParameters", &[("Names", &eleven)]).sign(&keys);
    assert_eq!(reply.send(&emulator).await.outcome(), (400, "InvalidParameter.Names"));
    let path = [("Path", "/app"), ("WithDecryption", "true")];
    let reply = Call::oos("GetSecretParametersByPath", &path).sign(&keys).send(&emulator).await;
    assert_eq!(reply.json["Parameters"][0]["Name"], "/app/password");
}

#[tokio::test]
async fn parameters_have_versions_and_hide_values() {
    let emulator = start().await;
    let keys = session(&emulator).await;
    let read = async |parameters: &[(&str, &str)]| {
        Call::oos("GetSecretParameter", parameters).sign(&keys).send(&emulator).await
    };
    let hidden = read(&[("Name", "p1")]).await;
    assert_eq!((hidden.status, &hidden.json["Parameter"]["Value"]), (200, &Value::Null));
    let first =
        read(&[("Name", "/app/password"), ("ParameterVersion", "1"), ("WithDecryption", "true")]);
    assert_eq!(first.await.json["Parameter"]["Value"], "first");
    assert_eq!(read(&[("Name", "none")]).await.outcome(), (404, "EntityNotExists.Parameter"));
    let elsewhere = read(&[("Name", "p1"), ("RegionId", "cn-beijing")]).await;
    assert_eq!(elsewhere.outcome(), (400, "InvalidParameter.RegionId"));
}

#[tokio::test]
async fn hosts_say_region_and_gateway() {
    let emulator = start().await;
    let keys = session(&emulator).await;
    let at = async |host: &str, name: &str| {
        let reply = Call::secret(name).at(host).sign(&keys).send(&emulator).await;
        (reply.status, reply.code().to_owned())
    };
    let instance = "kst-example.cryptoservice.kms.aliyuncs.com";
    let ok = (200, String::new());
    assert_eq!(at("kms-vpc.cn-hangzhou.aliyuncs.com", "secret001").await, ok);
    assert_eq!(at("127.0.0.1:18080", "secret001").await, ok);
    assert_eq!(at(instance, "instance-secret").await, ok);
    assert_eq!(at(KMS, "instance-secret").await, ok);
    let not_found = (404, "Forbidden.ResourceNotFound".to_owned());
    assert_eq!(at("kms.cn-beijing.aliyuncs.com", "secret001").await, not_found);
    assert_eq!(at(instance, "secret001").await, not_found);
    let unknown = (404, "InvalidAction.NotFound".to_owned());
    assert_eq!(at(STS, "secret001").await, unknown);
    assert_eq!(at("ecs.cn-hangzhou.aliyuncs.com", "secret001").await, unknown);
    let gone = (403, "Forbidden.DKMSInstanceNotFound".to_owned());
    assert_eq!(at("kst-none.cryptoservice.kms.aliyuncs.com", "secret001").await, gone);

    let without_decrypt = Config::example().replace("kms:Decrypt", "kms:Encrypt");
    let emulator = Emulator::start(Config::from_yaml(&without_decrypt).unwrap()).await.unwrap();
    let keys = session(&emulator).await;
    let call = Call::secret("instance-secret").at(instance).sign(&keys);
    let denied = call.send(&emulator).await;
    assert_eq!(denied.outcome(), (403, "Forbidden.NoPermission"));
    assert!(denied.json["Message"].as_str().unwrap().contains("key-example"));
}

#[tokio::test]
async fn xml_unless_json_is_asked_for() {
    let emulator = start().await;
    let mut call = Call::secret("none");
    call.headers.retain(|(name, _)| name != "accept");
    let reply = call.sign(&user()).send(&emulator).await;
    assert_eq!(reply.status, 404);
    let text = String::from_utf8_lossy(&reply.raw);
    assert!(text.contains("<Error><Code>Forbidden.ResourceNotFound</Code>"), "{text}");
}
