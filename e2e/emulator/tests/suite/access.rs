//! Who is let in, and to what.

use std::time::Duration;

use emulator::{Config, Emulator};

use crate::support::*;

#[tokio::test]
async fn permissions_are_role_and_session_policy() {
    let emulator = start().await;
    let token = pod_token(&emulator);
    let policy = r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"kms:GetSecretValue","Resource":"acs:kms:cn-hangzhou:1234567890123456:secret/app/db"}]}"#;
    let mut parameters = oidc_parameters(&token);
    parameters.push(("Policy", policy));
    let keys = assume_with_oidc(&emulator, &parameters).await.keys();
    let allowed = Call::secret("app/db").sign(&keys).send(&emulator).await;
    assert_eq!(allowed.status, 200);
    let denied = Call::secret("secret001").sign(&keys).send(&emulator).await;
    assert_eq!(denied.outcome(), (403, "Forbidden.NoPermission"));
    assert_eq!(denied.json["AccessDeniedDetail"]["AuthAction"], "kms:GetSecretValue");
    let parameter = Call::oos("GetSecretParameter", &[("Name", "p1")]).sign(&keys);
    assert_eq!(parameter.send(&emulator).await.outcome(), (403, "Forbidden.RAM"));

    emulator.revoke_role("app").unwrap();
    let revoked = Call::secret("app/db").sign(&keys).send(&emulator).await;
    assert_eq!(revoked.outcome(), (403, "Forbidden.NoPermission"));
    emulator.restore_role(APP).unwrap();
    assert_eq!(Call::secret("app/db").sign(&keys).send(&emulator).await.status, 200);
    emulator.revoke_trust("app").unwrap();
    let untrusted = assume_with_oidc(&emulator, &parameters).await;
    assert_eq!(untrusted.outcome(), (401, "AuthenticationFail.NoPermission"));
    assert!(emulator.revoke_role("nobody").is_err());
}

#[tokio::test]
async fn credentials_and_dates_are_checked() {
    let emulator = start().await;
    let keys = session(&emulator).await;
    let outcome = async |call: Call| {
        let reply = call.send(&emulator).await;
        (reply.status, reply.code().to_owned())
    };
    let is = |status: u16, code: &str| (status, code.to_owned());
    let secret = || Call::secret("secret001");

    let once = secret().sign(&keys);
    assert_eq!(outcome(once.clone()).await.0, 200);
    assert_eq!(outcome(once).await, is(400, "SignatureNonceUsed"));
    assert_eq!(outcome(secret()).await, is(400, "IncompleteSignature"));
    let old = secret().set("x-acs-date", "2020-01-01T00:00:00Z").sign(&keys);
    assert_eq!(outcome(old).await, is(400, "IllegalTimestamp"));
    let fraction = secret().set("x-acs-date", "2026-01-01T00:00:00.5Z").sign(&keys);
    assert_eq!(outcome(fraction).await, is(400, "IllegalTimestamp"));
    let tampered = secret().sign(&keys).set("x-acs-signature-nonce", &nonce());
    assert_eq!(outcome(tampered).await, is(400, "SignatureDoesNotMatch"));

    let token = |token: Option<&str>| Keys { token: token.map(str::to_owned), ..keys.clone() };
    assert_eq!(outcome(secret().sign(&token(None))).await, is(400, "MissingSecurityToken"));
    let bad = outcome(secret().sign(&token(Some("x")))).await;
    assert_eq!(bad, is(400, "InvalidSecurityToken.Malformed"));
    let other = session(&emulator).await.token;
    let other = outcome(secret().sign(&token(other.as_deref()))).await;
    assert_eq!(other, is(400, "InvalidSecurityToken.MismatchWithAccessKey"));
    let nobody = Keys { id: "STS.none".to_owned(), ..keys.clone() };
    assert_eq!(outcome(secret().sign(&nobody)).await, is(404, "InvalidAccessKeyId.NotFound"));

    assert!(emulator.expire_sessions("app").unwrap() >= 1);
    assert_eq!(outcome(secret().sign(&keys)).await, is(400, "InvalidSecurityToken.Expired"));

    emulator.set_session_lifetime(Some(Duration::from_secs(1)));
    let short = session(&emulator).await;
    emulator.set_session_lifetime(None);
    assert_eq!(outcome(secret().sign(&short)).await.0, 200);
    emulator.set_clock_offset(2);
    assert_eq!(outcome(secret().sign(&short)).await, is(400, "InvalidSecurityToken.Expired"));
    emulator.set_clock_offset(1000);
    assert_eq!(outcome(secret().sign(&user())).await, is(400, "IllegalTimestamp"));
    let identity = Call::sts("GetCallerIdentity", &[]).sign(&user());
    assert_eq!(outcome(identity).await, is(400, "InvalidTimeStamp.Expired"));
}

#[tokio::test]
async fn other_accounts_by_arn_when_shared() {
    let arn = format!("acs:kms:cn-hangzhou:{PARTNER}:secret/partner-secret");
    for (from, to) in [
        ("shared_with: []", "shared_with: [\"1234567890123456\"]"),
        ("cross_account_by_arn: false", "cross_account_by_arn: true"),
    ] {
        let text = Config::example().replace(from, to);
        let emulator = Emulator::start(Config::from_yaml(&text).unwrap()).await.unwrap();
        assert_eq!(Call::secret(&arn).sign(&user()).send(&emulator).await.status, 200, "{to}");
        let app = session(&emulator).await;
        let denied = Call::secret(&arn).sign(&app).send(&emulator).await;
        assert_eq!(denied.outcome(), (403, "Forbidden.NoPermission"));
    }
}

#[tokio::test]
async fn kms_may_call_an_expired_session_an_unknown_key() {
    let text = Config::example()
        .replace("expired_session_is_unknown_key: false", "expired_session_is_unknown_key: true");
    let emulator = Emulator::start(Config::from_yaml(&text).unwrap()).await.unwrap();
    let keys = session(&emulator).await;
    emulator.expire_sessions("app").unwrap();
    let kms = Call::secret("app/db").sign(&keys).send(&emulator).await;
    assert_eq!(kms.outcome(), (404, "InvalidAccessKeyId.NotFound"));
    let oos = Call::oos("GetSecretParameter", &[("Name", "p1")]).sign(&keys);
    assert_eq!(oos.send(&emulator).await.outcome(), (400, "InvalidSecurityToken.Expired"));
}

#[tokio::test]
async fn decrypting_a_parameter_needs_its_secret() {
    let text = Config::example().replace("Action: [kms:GetSecretValue, ", "Action: [");
    let emulator = Emulator::start(Config::from_yaml(&text).unwrap()).await.unwrap();
    let keys = session(&emulator).await;
    let call = |decrypt| {
        let wanted = [("Name", "p1"), ("WithDecryption", decrypt)];
        Call::oos("GetSecretParameter", &wanted).sign(&keys)
    };
    assert_eq!(call("false").send(&emulator).await.status, 200);
    let denied = call("true").send(&emulator).await;
    assert_eq!(denied.json["AccessDeniedDetail"]["AuthAction"], "kms:GetSecretValue");
}
