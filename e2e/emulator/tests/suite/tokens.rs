//! Which JSON web tokens AssumeRoleWithOIDC takes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use emulator::{Config, Emulator};
use serde_json::{Value, json};

use crate::support::*;

fn claims() -> Value {
    let now = jiff::Timestamp::now().as_second();
    json!({
        "iss": "https://kubernetes.default.svc",
        "aud": ["sts.aliyuncs.com"],
        "sub": "system:serviceaccount:default:app",
        "iat": now, "nbf": now, "exp": now + 3600,
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

async fn outcome(emulator: &Emulator, token: &str) -> (u16, String) {
    let reply = assume_with_oidc(emulator, &oidc_parameters(token)).await;
    (reply.status, reply.code().to_owned())
}

fn refused(kind: &str) -> (u16, String) {
    (401, format!("AuthenticationFail.{kind}"))
}

#[tokio::test]
async fn claims_decide() {
    let emulator = start().await;
    let now = jiff::Timestamp::now().as_second();
    let ok = (200, String::new());
    let table = [
        (claims(), ok.clone()),
        (with("aud", json!("sts.aliyuncs.com")), ok.clone()),
        (with("aud", json!(["other", "sts.aliyuncs.com"])), ok.clone()),
        (with("nbf", Value::Null), ok),
        (with("aud", json!(["other"])), refused("OIDCToken.AudienceNotMatch")),
        (with("aud", json!([])), refused("OIDCToken.AudienceNotMatch")),
        (with("iss", json!("https://other")), refused("OIDCToken.IssuerNotMatch")),
        (with("exp", json!(now - 1)), refused("OIDCToken.Expired")),
        (with("exp", Value::Null), refused("OIDCToken.Invalid")),
        (with("nbf", json!(now + 60)), refused("OIDCToken.Invalid")),
        (with("sub", json!("system:serviceaccount:other:app")), refused("NoPermission")),
        (with("sub", json!("system:serviceaccount:default:app2")), refused("NoPermission")),
    ];
    for (claims, wanted) in table {
        let token = emulator.sign_token(&claims);
        assert_eq!(outcome(&emulator, &token).await, wanted, "{claims}");
    }
}

#[tokio::test]
async fn signatures_decide() {
    let emulator = start().await;
    let token = emulator.sign_token(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let [header, body, signature] = parts[..] else { panic!("{token}") };
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let forged = encode(with("sub", json!("system:serviceaccount:default:admin")));
    let none = encode(json!({ "alg": "none" }));
    let hs256 = encode(json!({ "alg": "HS256" }));
    let es256 = encode(json!({ "alg": "ES256" }));
    let kid = encode(json!({ "alg": "RS256", "kid": "other" }));
    let table = [
        (format!("{header}.{forged}.{signature}"), "OIDCToken.InvalidSignature"),
        (format!("{header}.{body}."), "OIDCToken.InvalidSignature"),
        (format!("{kid}.{body}.{signature}"), "OIDCToken.InvalidSignature"),
        (format!("{es256}.{body}.{signature}"), "OIDCToken.InvalidSignature"),
        (format!("{none}.{body}."), "OIDCToken.Invalid"),
        (format!("{hs256}.{body}.{signature}"), "OIDCToken.Invalid"),
        (format!("{header}.{body}"), "OIDCToken.Invalid"),
        ("not.a.token".to_owned(), "OIDCToken.Invalid"),
    ];
    for (token, wanted) in table {
        assert_eq!(outcome(&emulator, &token).await, refused(wanted), "{token}");
    }
    let other = start().await;
    let foreign = outcome(&emulator, &other.sign_token(&claims())).await;
    assert_eq!(foreign, refused("OIDCToken.InvalidSignature"));
}

#[tokio::test]
async fn es256_and_expired_pod_tokens() {
    let text = Config::example().replace("RS256", "ES256");
    let emulator = Emulator::start(Config::from_yaml(&text).unwrap()).await.unwrap();
    assert_eq!(outcome(&emulator, &pod_token(&emulator)).await.0, 200);
    let ago = std::time::Duration::from_secs(60);
    let token =
        emulator.expired_pod_token("default", "app", "web-0", "uid", "sts.aliyuncs.com", ago);
    assert_eq!(outcome(&emulator, &token).await, refused("OIDCToken.Expired"));
    emulator.set_clock_offset(7200);
    let token = pod_token(&emulator);
    assert_eq!(outcome(&emulator, &token).await, refused("OIDCToken.Expired"));
}

#[tokio::test]
async fn keys_of_another_issuer_are_fetched_and_fetched_again() {
    let cluster = start().await;
    let jwks_url = format!("http://{}/openid/v1/jwks", cluster.kubernetes_addr());
    let text = Config::example().replace(
        "    client_ids: [sts.aliyuncs.com]",
        &format!("    client_ids: [sts.aliyuncs.com]\n    jwks_url: {jwks_url}"),
    );
    let emulator = Emulator::start(Config::from_yaml(&text).unwrap()).await.unwrap();
    let own = outcome(&emulator, &pod_token(&emulator)).await;
    assert_eq!(own, refused("OIDCToken.InvalidSignature"));
    assert_eq!(outcome(&emulator, &pod_token(&cluster)).await.0, 200);
    assert_eq!(outcome(&emulator, &pod_token(&cluster)).await.0, 200);
    assert_eq!(cluster.requests().len(), 1);
    let unknown = outcome(&emulator, &pod_token(&emulator)).await;
    assert_eq!(unknown, refused("OIDCToken.InvalidSignature"));
    assert_eq!(cluster.requests().len(), 2);
    cluster.stop_listening().await;
    assert_eq!(outcome(&emulator, &pod_token(&cluster)).await.0, 200);
    let broken = outcome(&emulator, &pod_token(&emulator)).await;
    assert_eq!(broken, refused("OIDCToken.IssuerConfigurationBroken"));
}

#[tokio::test]
async fn parameters_may_come_in_the_query_by_get_or_post() {
    let emulator = start().await;
    let token = pod_token(&emulator);
    for method in ["GET", "POST"] {
        let mut parameters = oidc_parameters(&token);
        parameters.extend([
            ("Action", "AssumeRoleWithOIDC"),
            ("Format", "json"),
            ("Version", "2015-04-01"),
        ]);
        let query = form(&parameters);
        let call =
            Call { host: STS.to_owned(), method, query, headers: Vec::new(), body: String::new() };
        assert_eq!(call.send(&emulator).await.status, 200, "{method}");
    }
}
