//! TLS, instance metadata, the Kubernetes stand-in, control and outages.

use emulator::{Config, Emulator, Options};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;

use crate::support::*;

const INSTANCE: &str = "kst-example.cryptoservice.kms.aliyuncs.com";

#[tokio::test]
async fn certificates_fit_every_name_and_each_authority_its_own() {
    let emulator = start().await;
    let public = trusting(&emulator.ca_pem(), b"http/1.1");
    let instance = trusting(&emulator.instance_ca_pem(), b"http/1.1");
    for name in [KMS, STS, OOS, "sts.aliyuncs.com", "localhost", "127.0.0.1"] {
        connect_tls(&emulator, public.clone(), name).await.unwrap();
        connect_tls(&emulator, instance.clone(), name).await.unwrap_err();
    }
    connect_tls(&emulator, instance.clone(), INSTANCE).await.unwrap();
    connect_tls(&emulator, public.clone(), INSTANCE).await.unwrap_err();
    assert!(emulator.connections() >= 7);

    let stream = connect_tls(&emulator, instance, INSTANCE).await.unwrap();
    let call = Call::secret("instance-secret").at(INSTANCE).sign(&session(&emulator).await);
    let reply = exchange(stream, call.request()).await.unwrap();
    assert_eq!(reply.json["SecretData"], "from the instance");
    let last = emulator.requests().pop().unwrap();
    assert_eq!((last.protocol.as_str(), last.tls_connection.is_some()), ("HTTP/1.1", true));
}

#[tokio::test]
async fn http2_shares_one_connection() {
    let emulator = start().await;
    let config = trusting(&emulator.ca_pem(), b"h2");
    let before = emulator.connections();
    let stream = connect_tls(&emulator, config, KMS).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let call = Call::secret("secret001").sign(&user());
        let (mut parts, body) = call.request().into_parts();
        parts.headers.remove("host");
        parts.uri = format!("https://{KMS}/?{}", call.query).parse().unwrap();
        let request = hyper::Request::from_parts(parts, body);
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
    }
    assert_eq!(emulator.connections(), before + 1);
    let requests = emulator.requests();
    assert!(requests.iter().all(|request| request.tls_connection == Some(before + 1)));
    assert!(requests.iter().all(|request| request.protocol == "HTTP/2.0"));
}

#[tokio::test]
async fn authorities_are_kept_in_a_folder() {
    let folder = std::env::temp_dir().join(format!("emulator-{}", nonce()));
    let options = || Options { ca_dir: Some(folder.clone()), ..Options::default() };
    let config = || Config::from_yaml(Config::example()).unwrap();
    let first = Emulator::start_with(config(), options()).await.unwrap();
    let second = Emulator::start_with(config(), options()).await.unwrap();
    assert_eq!(first.ca_pem(), second.ca_pem());
    connect_tls(&second, trusting(&first.ca_pem(), b"h2"), KMS).await.unwrap();
    let instance = trusting(&first.instance_ca_pem(), b"h2");
    connect_tls(&second, instance, INSTANCE).await.unwrap();
    let token = pod_token(&first);
    assert_eq!(assume_with_oidc(&second, &oidc_parameters(&token)).await.status, 200);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn metadata_gives_the_node_its_role() {
    let emulator = start().await;
    let address = emulator.metadata_addr();
    let ttl = "X-aliyun-ecs-metadata-token-ttl-seconds";
    let put = async |value| plain(address, "PUT", "/latest/api/token", &[(ttl, value)], "").await;
    assert_eq!(put("0").await.status, 400);
    let token = String::from_utf8(put("21600").await.raw.to_vec()).unwrap();
    let header = ("X-aliyun-ecs-metadata-token", token.as_str());
    let base = "/latest/meta-data/ram/security-credentials/";
    assert_eq!(get(address, base, &[]).await.status, 403);
    assert_eq!(get(address, base, &[("X-aliyun-ecs-metadata-token", "x")]).await.status, 401);
    assert_eq!(get(address, base, &[header]).await.raw, "app");
    assert_eq!(get(address, "/latest/meta-data/region-id", &[header]).await.raw, "cn-hangzhou");
    let other = get(address, &format!("{base}other"), &[header]).await;
    assert_eq!(other.status, 404);
    let path = format!("{base}app");
    let given = get(address, &path, &[header]).await.json;
    assert_eq!(given["Code"], "Success");
    assert_eq!(get(address, &path, &[header]).await.json, given);
    let text = |name: &str| given[name].as_str().unwrap().to_owned();
    let keys = Keys {
        id: text("AccessKeyId"),
        secret: text("AccessKeySecret"),
        token: Some(text("SecurityToken")),
    };
    assert_eq!(Call::secret("secret001").sign(&keys).send(&emulator).await.status, 200);
    emulator.expire_sessions("app").unwrap();
    assert_ne!(get(address, &path, &[header]).await.json, given);

    let none = Config::example().replace("  role: app\n  imdsv1: false", "  imdsv1: true");
    let emulator = Emulator::start(Config::from_yaml(&none).unwrap()).await.unwrap();
    assert_eq!(get(emulator.metadata_addr(), base, &[]).await.status, 404);
    let region = get(emulator.metadata_addr(), "/latest/meta-data/region-id", &[]).await;
    assert_eq!(region.raw, "cn-hangzhou");
}

#[tokio::test]
async fn kubernetes_knows_service_accounts_and_makes_tokens() {
    let emulator = start().await;
    let address = emulator.kubernetes_addr();
    let path = "/api/v1/namespaces/default/serviceaccounts/app";
    let account = get(address, path, &[("authorization", "Bearer x")]).await.json;
    let annotations = &account["metadata"]["annotations"];
    assert_eq!(annotations["pod-identity.alibabacloud.com/role-name"], "app");
    let missing = get(address, "/api/v1/namespaces/default/serviceaccounts/none", &[]).await;
    assert_eq!((missing.status, missing.json["reason"].as_str()), (404, Some("NotFound")));

    let body = json!({ "spec": {
        "audiences": ["sts.aliyuncs.com"],
        "expirationSeconds": 3600,
        "boundObjectRef": { "kind": "Pod", "apiVersion": "v1", "name": "web-0", "uid": "u" },
    }});
    let url = format!("{path}/token");
    let made = plain(address, "POST", &url, &[], &body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.json);
    let token = made.json["status"]["token"].as_str().unwrap();
    assert_eq!(assume_with_oidc(&emulator, &oidc_parameters(token)).await.status, 200);
    let short = json!({ "spec": { "expirationSeconds": 60 } }).to_string();
    assert_eq!(plain(address, "POST", &url, &[], &short).await.status, 422);

    let jwks = get(address, "/openid/v1/jwks", &[]).await.json;
    assert_eq!(jwks["keys"][0]["alg"], "RS256");
    let discovery = get(address, "/.well-known/openid-configuration", &[]).await.json;
    assert_eq!(discovery["issuer"], "https://kubernetes.default.svc");

    let text =
        Config::example().replace("  token_algorithm: RS256", "  forbid_service_accounts: true");
    let emulator = Emulator::start(Config::from_yaml(&text).unwrap()).await.unwrap();
    let forbidden = get(emulator.kubernetes_addr(), path, &[]).await;
    assert_eq!((forbidden.status, forbidden.json["reason"].as_str()), (403, Some("Forbidden")));
}

#[tokio::test]
async fn control_changes_and_tells() {
    let emulator = start().await;
    let address = emulator.control_addr();
    let post = async |path: &str, fields: serde_json::Value| {
        plain(address, "POST", path, &[], &fields.to_string()).await
    };
    let rotated = post("/rotate-secret", json!({ "name": "secret001", "value": "new" })).await;
    assert_eq!(rotated.json, json!({ "version": "v2" }));
    let read = Call::secret("secret001").sign(&user()).send(&emulator).await;
    assert_eq!(read.json["SecretData"], "new");
    let listed = get(address, "/requests", &[]).await.json;
    assert_eq!(listed[0]["objects"], json!(["secret001"]));
    assert_eq!(post("/rotate-secret", json!({ "name": "none", "value": "x" })).await.status, 404);
    assert_eq!(post("/rotate-secret", json!({ "nam": "none" })).await.status, 400);
    assert_eq!(post("/nonsense", json!({})).await.status, 400);
    let fault = json!({ "service": "kms", "times": 1, "effect": { "html": { "status": 502 } } });
    assert_eq!(post("/fault", fault).await.json, json!({ "fault_id": 1 }));
    assert_eq!(Call::secret("secret001").sign(&user()).send(&emulator).await.status, 502);
    assert_eq!(get(address, "/faults", &[]).await.json[0]["hits"], 1);
    assert_eq!(post("/clear-faults", json!({})).await.status, 200);
    let token = post("/pod-token", json!({ "namespace": "default", "service_account": "app" }));
    let token = token.await.json["token"].as_str().unwrap().to_owned();
    assert_eq!(assume_with_oidc(&emulator, &oidc_parameters(&token)).await.status, 200);
    assert_eq!(get(address, "/ca.pem", &[]).await.raw, emulator.ca_pem());

    post("/stop-listening", json!({})).await;
    let call = Call::secret("secret001").sign(&user());
    send(emulator.http_addr(), call.request()).await.unwrap_err();
    post("/resume", json!({})).await;
    assert_eq!(call.send(&emulator).await.status, 200);
}

#[tokio::test]
async fn dropping_it_stops_it() {
    let emulator = start().await;
    let address = emulator.http_addr();
    drop(emulator);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    let example = Config::example();
    for (from, to, named) in [
        ("region:", "regoin:", "regoin"),
        ("\"1234567890123456\", ", "", "1234567890123456"),
        ("  role: app", "  role: nobody", "nobody"),
        ("max_session_duration: 3600", "max_session_duration: 1", "max_session_duration"),
        ("Effect: Allow", "Effect: allow", "allow"),
        ("StringEquals", "StringSame", "StringSame"),
    ] {
        let error = Config::from_yaml(&example.replacen(from, to, 1)).unwrap_err().to_string();
        assert!(error.contains(named), "{named}: {error}");
    }
}
