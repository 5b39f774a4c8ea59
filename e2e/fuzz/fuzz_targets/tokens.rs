//! The tokens of a mount, up to the choice of its identity: with `--share=service-account` nobody gets
//! past without a token that names its ServiceAccount, and no refusal repeats one.
//!
//! The first octet of an input chooses who shares, the second where the driver puts the tokens.

#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use fuzz::{CANARY, HERE, check_errors, choices, endpoints, policy};
use libfuzzer_sys::{Corpus, fuzz_target};
use provider::{
    error::ErrorKind,
    identity::{kubernetes::ServiceAccounts, resolve},
    login::Login,
    pb::MountRequest,
    policy::Share,
    request,
    spc::object_cache::ObjectCache,
};
use serde_json::{Value, json};

const TOKENS: &str = "csi.storage.k8s.io/serviceAccount.tokens";
const SUBJECT: &str = "system:serviceaccount:shop:web";

fuzz_target!(|input: &[u8]| -> Corpus {
    let Some(([share, place], text)) = choices(input) else { return Corpus::Reject };
    let Ok(text) = std::str::from_utf8(text) else { return Corpus::Reject };
    // Names of audiences are told.
    let audiences: Option<serde_json::Map<String, Value>> = serde_json::from_str(text).ok();
    if audiences.is_some_and(|tokens| tokens.keys().any(|audience| audience.contains(HERE))) {
        return Corpus::Reject;
    }
    let text = text.replace(HERE, CANARY);
    let share = if share == b's' { Share::ServiceAccount } else { Share::Pod };
    let mut attributes = json!({
        "objects": "- objectName: db",
        "roleArn": "acs:ram::1234567890123456:role/app",
        "csi.storage.k8s.io/pod.name": "web-1",
        "csi.storage.k8s.io/pod.namespace": "shop",
        "csi.storage.k8s.io/serviceAccount.name": "web",
    });
    let mut secrets = json!({});
    let place = if place == b's' { &mut secrets } else { &mut attributes };
    place[TOKENS] = text.into();
    let request = MountRequest {
        attributes: attributes.to_string(),
        secrets: secrets.to_string(),
        permission: "420".to_owned(),
        ..Default::default()
    };
    let mount = match request::parse(
        request,
        &endpoints(),
        &ObjectCache::default(),
        &mut Default::default(),
    ) {
        Ok(mount) => mount,
        Err(errors) => {
            check_errors(&errors, &[ErrorKind::Invalid]);
            return Corpus::Keep;
        }
    };
    let (policy, service_accounts) = (policy(share), ServiceAccounts::new(None));
    match futures::executor::block_on(resolve(&mount, &policy, &service_accounts)) {
        Err(errors) => check_errors(&errors, &[ErrorKind::Unauthenticated]),
        Ok(identity) => {
            let Login::Oidc { token, subject: of, shared, name, .. } = &*identity.login else {
                panic!("{identity:?}")
            };
            assert_eq!((&**of, *shared), (SUBJECT, share == Share::ServiceAccount));
            let shared = *shared;
            assert_eq!(name, if shared { "shop@web" } else { "shop@web@web-1" });
            assert!((4..=20_000).contains(&token.expose().len()));
            assert!(!shared || subject(token.expose()).is_some_and(|subject| subject == SUBJECT));
            assert!(!format!("{identity:?}").contains(CANARY));
        }
    }
    Corpus::Keep
});

/// As another reader finds it.
fn subject(token: &str) -> Option<String> {
    let claims = token.split('.').nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims).ok()?;
    // Claims that nobody needs may hold anything.
    let claims: Value = serde_json::from_str(&String::from_utf8_lossy(&claims)).ok()?;
    Some(claims.get("sub")?.as_str()?.to_owned())
}
