//! AssumeRole as the credential libraries sign it: parameters only, HMAC-SHA1.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use emulator::{Config, Emulator};

use crate::support::*;

fn assume(keys: &Keys, method: &'static str, session_name: &str) -> Call {
    let (time, nonce) = (now(), nonce());
    let mut parameters = vec![
        ("Action", "AssumeRole"),
        ("Format", "JSON"),
        ("Version", "2015-04-01"),
        ("RoleArn", APP),
        ("RoleSessionName", session_name),
        ("SignatureMethod", "HMAC-SHA1"),
        ("SignatureVersion", "1.0"),
        ("Timestamp", &time),
        ("SignatureNonce", &nonce),
        ("AccessKeyId", &keys.id),
    ];
    if let Some(token) = &keys.token {
        parameters.push(("SecurityToken", token));
    }
    let text = format!("{method}&%2F&{}", encode(&form(&parameters)));
    let key = format!("{}&", keys.secret);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, text.as_bytes()));
    let (role, rest): (Vec<_>, Vec<_>) =
        parameters.into_iter().partition(|(name, _)| name.starts_with("Role"));
    let mut query = rest;
    query.push(("Signature", &signature));
    // Go sends the role in a form, Python everything in the query.
    let mut call = Call {
        host: STS.to_owned(),
        method,
        query: String::new(),
        headers: Vec::new(),
        body: String::new(),
    };
    if method == "GET" {
        query.extend(role);
    } else {
        call = call.set("content-type", "application/x-www-form-urlencoded");
        call.body = form(&role);
    }
    call.query = form(&query);
    call
}

#[tokio::test]
async fn both_forms_are_taken_and_checked() {
    let emulator = start().await;
    for keys in [user(), session(&emulator).await] {
        for method in ["GET", "POST"] {
            let call = assume(&keys, method, "legacy");
            assert_eq!(call.send(&emulator).await.status, 200, "{method}");
            assert_eq!(call.send(&emulator).await.code(), "SignatureNonceUsed");

            let mut tampered = assume(&keys, method, "legacy");
            tampered.query = tampered.query.replace("legacy", "legacz");
            tampered.body = tampered.body.replace("legacy", "legacz");
            let refused = tampered.send(&emulator).await;
            assert_eq!(refused.outcome(), (400, "SignatureDoesNotMatch"), "{method}");
        }
    }
}

#[tokio::test]
async fn the_key_of_an_account_may_assume_nothing() {
    let text = Config::example().replace("  - name: ci\n", "  - name: ci\n    root: true\n");
    let emulator = Emulator::start(Config::from_yaml(&text).unwrap()).await.unwrap();
    let refused = assume(&user(), "GET", "root").send(&emulator).await;
    assert_eq!(refused.outcome(), (403, "NoPermission"));
    let who = Call::sts("GetCallerIdentity", &[]).sign(&user()).send(&emulator).await;
    assert_eq!(who.json["IdentityType"], "Account");
}
