//! Misbehaviour on demand, as it looks on the wire.

use std::time::{Duration, Instant};

use emulator::{Config, Emulator, Fault, FaultEffect};
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::*;

async fn secret(emulator: &Emulator) -> Result<Reply, String> {
    let call = Call::secret("secret001").sign(&user());
    send(emulator.http_addr(), call.request()).await
}

fn fault(effect: FaultEffect) -> Fault {
    Fault { effect, ..Fault::default() }
}

async fn only(emulator: &Emulator, effect: FaultEffect) -> Result<Reply, String> {
    emulator.clear_faults();
    emulator.add_fault(fault(effect));
    let result = secret(emulator).await;
    emulator.clear_faults();
    result
}

#[tokio::test]
async fn answers_go_wrong_in_every_way() {
    let emulator = start().await;
    let throttled = FaultEffect::Error {
        status: 429,
        code: "Rejected.Throttling".to_owned(),
        message: Some("QPS Limit Exceeded".to_owned()),
        headers: [("Retry-After".to_owned(), "2".to_owned())].into(),
    };
    let reply = only(&emulator, throttled).await.unwrap();
    assert_eq!(reply.outcome(), (429, "Rejected.Throttling"));
    assert_eq!(reply.headers["retry-after"], "2");

    let garbage = only(&emulator, FaultEffect::Garbage).await.unwrap();
    assert_eq!((garbage.status, garbage.json.is_null()), (200, true));
    let html = only(&emulator, FaultEffect::Html { status: 502 }).await.unwrap();
    assert_eq!((html.status, html.raw.starts_with(b"<html>")), (502, true));
    let empty = only(&emulator, FaultEffect::Empty { status: 500 }).await.unwrap();
    assert_eq!((empty.status, empty.raw.len()), (500, 0));
    let binary = only(&emulator, FaultEffect::Protobuf { status: 400 }).await.unwrap();
    assert_eq!((binary.status, binary.json.is_null()), (400, true));
    let schema = only(&emulator, FaultEffect::WrongSchema).await.unwrap();
    assert_eq!((schema.status, schema.json.get("SecretData").is_none()), (200, true));
    let huge = only(&emulator, FaultEffect::Huge { mib: 3 }).await.unwrap();
    assert!(huge.raw.len() > 3 << 20 && huge.json["SecretData"].is_string());

    only(&emulator, FaultEffect::Reset).await.unwrap_err();
    only(&emulator, FaultEffect::ResetAfter { bytes: 10 }).await.unwrap_err();
    only(&emulator, FaultEffect::Truncate).await.unwrap_err();

    let codes: Vec<String> = emulator.requests().into_iter().map(|r| r.code).collect();
    let wanted = "Rejected.Throttling Garbage Html Empty Protobuf WrongSchema Huge Reset \
                  ResetAfter Truncate";
    assert_eq!(codes.join(" "), wanted);
    assert_eq!(secret(&emulator).await.unwrap().status, 200);
}

#[tokio::test]
async fn hang_and_latency() {
    let emulator = start().await;
    emulator.add_fault(fault(FaultEffect::Hang));
    let patience = Duration::from_millis(300);
    assert!(tokio::time::timeout(patience, secret(&emulator)).await.is_err());
    assert_eq!(emulator.requests()[0].code, "Hang");

    emulator.clear_faults();
    emulator.set_latency(Duration::from_millis(200));
    let start = Instant::now();
    assert_eq!(secret(&emulator).await.unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(200));

    emulator.set_latency(Duration::from_secs(60));
    emulator.clear_requests();
    assert!(tokio::time::timeout(patience, secret(&emulator)).await.is_err());
    tokio::time::sleep(patience).await;
    assert_eq!(emulator.requests()[0].code, "Abandoned");
}

#[tokio::test]
async fn faults_pick_their_victims() {
    let emulator = start().await;
    let app = session(&emulator).await;
    let mut wanted = fault(FaultEffect::throttling());
    wanted.service = Some("kms".to_owned());
    wanted.action = Some("GetSecretValue".to_owned());
    wanted.host = Some("kms*.aliyuncs.com".to_owned());
    wanted.object = Some("app/*".to_owned());
    wanted.role = Some("app".to_owned());
    wanted.account = Some(ACCOUNT.to_owned());
    wanted.times = Some(2);
    let id = emulator.add_fault(wanted);
    let status = async |call: Call, keys: &Keys| call.sign(keys).send(&emulator).await.status;
    assert_eq!(status(Call::secret("secret001"), &app).await, 200);
    assert_eq!(status(Call::secret("app/db"), &user()).await, 200);
    assert_eq!(status(Call::secret("app/db").at("127.0.0.1"), &app).await, 200);
    let describe = Call::kms("DescribeSecret", &[("SecretName", "app/db")]);
    assert_eq!(status(describe, &app).await, 200);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(status(Call::secret("app/db"), &app).await);
    }
    assert_eq!(seen, [429, 429, 200]);
    emulator.clear_fault(id);

    let mut third = fault(FaultEffect::throttling());
    third.every = Some(3);
    emulator.add_fault(third);
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(status(Call::secret("app/db"), &app).await);
    }
    assert_eq!(seen, [200, 200, 429, 200, 200, 429]);
}

#[tokio::test]
async fn echo_repeats_the_token() {
    let emulator = start().await;
    let keys = session(&emulator).await;
    let echo = FaultEffect::Echo { status: 403, code: "Forbidden.NoPermission".to_owned() };
    emulator.add_fault(fault(echo));
    let reply = Call::secret("app/db").sign(&keys).send(&emulator).await;
    let token = keys.token.unwrap();
    assert!(reply.json["Message"].as_str().unwrap().contains(&token));
    let token = pod_token(&emulator);
    let reply = assume_with_oidc(&emulator, &oidc_parameters(&token)).await;
    assert!(reply.json["Message"].as_str().unwrap().contains(&token));
}

#[tokio::test]
async fn http2_breaks_as_well() {
    let emulator = start().await;
    let config = trusting(&emulator.ca_pem(), b"h2");
    for effect in [FaultEffect::Reset, FaultEffect::ResetAfter { bytes: 5 }, FaultEffect::Truncate]
    {
        emulator.clear_faults();
        emulator.add_fault(fault(effect.clone()));
        let stream = connect_tls(&emulator, config.clone(), KMS).await.unwrap();
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let request = Call::secret("secret001").sign(&user()).request();
        let result = match sender.send_request(request).await {
            Ok(response) => response.into_body().collect().await.map(drop),
            Err(error) => Err(error),
        };
        assert!(result.is_err(), "{effect:?}");
    }
}

#[tokio::test]
async fn faults_may_be_in_the_configuration() {
    let text = Config::example().replace("# faults:", "faults:").replace("#   - {", "  - {");
    let more = "  - { service: sts, every: 2, effect: hang }\n";
    let config = Config::from_yaml(&format!("{text}{more}")).unwrap();
    assert_eq!(config.faults[1].effect, FaultEffect::Hang);
    let emulator = Emulator::start(config).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(secret(&emulator).await.unwrap().status);
    }
    assert_eq!(seen, [429, 429, 200]);
}
