use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::json;

use super::{
    certificate::Certificate,
    checks::{
        clock,
        driver::{self, Object, Program},
        names::{self, Gave, Server, Way},
        quota,
        token::{self, Claims},
    },
    facts::{self, Answer, Fact, Verdict},
    line::{Line, Outcome},
};
use crate::secret::Secret;

fn private_ca() -> Vec<u8> {
    let pem = include_bytes!("../cloud/kms-private-ca/cn-hangzhou.pem");
    CertificateDer::pem_slice_iter(pem).next().unwrap().unwrap().to_vec()
}

#[test]
fn certificate_of_a_private_ca_is_read() {
    let Certificate { subject, issuer, not_before, not_after } =
        Certificate::read(&private_ca()).unwrap();
    assert!(subject.contains("CN=Private KMS"), "{subject}");
    assert!(issuer.contains("CN=Private KMS Root CA"), "{issuer}");
    let year =
        |time: Timestamp| time.to_string().split('-').next().unwrap().parse::<u32>().unwrap();
    assert!((2021..2025).contains(&year(not_before)), "{not_before}");
    assert!((2041..2046).contains(&year(not_after)), "{not_after}");
}

#[test]
fn what_is_no_certificate_is_none_wherever_it_is_broken() {
    let whole = private_ca();
    for end in 0..whole.len().min(600) {
        assert_eq!(Certificate::read(&whole[..end]), None, "{end}");
    }
    for at in 0..600 {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        // Whatever it is: it ends.
        let _ = Certificate::read(&changed);
    }
    for broken in [&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..], &[0x30, 0x80], &[0x30]] {
        assert_eq!(Certificate::read(broken), None);
    }
}

fn clock_at(ahead: i64) -> Outcome {
    let there = "Mon, 30 Nov 2026 12:00:00 GMT";
    let noon: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
    let here = noon + jiff::SignedDuration::from_secs(ahead);
    let seen = |date: &str| clock::Seen { host: "h".to_owned(), date: Some(date.to_owned()), here };
    clock::judge(&[seen(there), seen("no date")]).outcome
}

#[test]
fn clock_is_broken_from_the_difference_on_at_which_signatures_are_refused() {
    for (ahead, outcome) in [
        (0, Outcome::Ok),
        (59, Outcome::Ok),
        (-60, Outcome::Warn),
        (899, Outcome::Warn),
        (900, Outcome::Broken),
        (-900, Outcome::Broken),
    ] {
        assert_eq!(clock_at(ahead), outcome, "{ahead}");
    }
    assert_eq!(clock::judge(&[]).outcome, Outcome::Skipped);
}

fn token_with(claims: &serde_json::Value) -> Line {
    let jwt = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let claims = Claims::read(&Secret::new(jwt.clone())).map(Box::new);
    let file = token::File::Read { path: "/t".to_owned(), length: jwt.len(), claims };
    token::judge(&file, Timestamp::from_second(1_000_000).unwrap())
}

#[test]
fn token_is_judged_by_its_audience_and_times() {
    let pod = json!({ "namespace": "shop", "serviceaccount": { "name": "web" } });
    let sts = "sts.aliyuncs.com";
    for (audience, expires, outcome) in [
        (json!([sts]), json!(1_003_600), Outcome::Ok),
        (json!(["other", sts]), json!(1_003_600), Outcome::Ok),
        (json!(sts), json!(1_003_600), Outcome::Ok),
        (json!([sts]), json!(1_000_089), Outcome::Warn),
        (json!([sts]), json!(1_000_000), Outcome::Broken),
        (json!([sts]), json!(null), Outcome::Broken),
        (json!(["https://kubernetes.default.svc"]), json!(1_003_600), Outcome::Broken),
        (json!([]), json!(1_003_600), Outcome::Broken),
    ] {
        let claims = json!({ "aud": audience, "exp": expires, "sub": "s", "kubernetes.io": pod });
        let line = token_with(&claims);
        assert_eq!(line.outcome, outcome, "{claims}: {line:?}");
        assert!(line.outcome == Outcome::Ok || !line.fix.is_empty(), "{line:?}");
    }
    let future = json!({ "aud": sts, "exp": 1_007_200, "iat": 1_003_600, "sub": "s" });
    assert_eq!(token_with(&future).outcome, Outcome::Warn);
    assert!(Claims::read(&Secret::new("planted".to_owned())).is_none());
}

fn driver(arguments: &[&str], version: Option<&str>) -> Line {
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
    let version = version.map(str::to_owned);
    let program = Some(Program { from: "here".to_owned(), arguments, version });
    let seen = driver::Seen { object: Err("none".to_owned()), program };
    driver::judge(&seen, true).pop().unwrap()
}

#[test]
fn interval_of_rotation_is_dangerous_by_the_version_of_the_driver() {
    const ON: &str = "--enable-secret-rotation=true";
    for (arguments, version, outcome) in [
        (&[ON, "--rotation-poll-interval=100ms"][..], Some("v1.6.0"), Outcome::Ok),
        (&[ON, "--rotation-poll-interval=100ms"], Some("v1.5.4"), Outcome::Warn),
        (&[ON, "--rotation-poll-interval=59s"], Some("v1.5.4"), Outcome::Warn),
        (&[ON, "--rotation-poll-interval=1m"], Some("v1.5.4"), Outcome::Ok),
        (&[ON], Some("v1.5.4"), Outcome::Ok),
        (&[ON], Some("v1.6.0"), Outcome::Warn),
        (&["-enable-secret-rotation", "-rotation-poll-interval=1m"], Some("v1.10.0"), Outcome::Ok),
        (&[ON, "--rotation-poll-interval=often"], Some("v1.6.0"), Outcome::Warn),
        (&["--enable-secret-rotation=false"], Some("v1.6.0"), Outcome::Warn),
        (&[], None, Outcome::Warn),
    ] {
        let line = driver(arguments, version);
        assert_eq!(line.outcome, outcome, "{arguments:?} {version:?}: {line:?}");
    }
}

#[test]
fn driver_is_found_among_daemon_sets_and_its_object_read() {
    let container =
        |name: &str, image: &str| json!({ "name": name, "image": image, "args": ["--a"] });
    let set =
        |containers| json!({ "spec": { "template": { "spec": { "containers": containers } } } });
    let list = json!({ "items": [
        set(json!([container("provider", "r/csi-secrets-store-provider-alibabacloud:v9")])),
        set(json!([
            container("node-driver-registrar", "r/registrar:v2"),
            container("secrets-store", "r/csi-secrets-store/driver:v1.6.0"),
        ])),
    ] });
    let program = Program::of_json(list.to_string().as_bytes(), "x").unwrap();
    assert_eq!(
        (&*program.arguments, program.version.as_deref()),
        (&["--a".to_owned()][..], Some("v1.6.0"))
    );
    let object = |spec: serde_json::Value| {
        let object = Object::of_json(json!({ "spec": spec }).to_string().as_bytes(), "x").unwrap();
        let seen = driver::Seen { object: Ok(object), program: None };
        driver::judge(&seen, true).iter().map(|line| line.outcome).collect::<Vec<_>>()
    };
    let (ok, skipped) = (Outcome::Ok, Outcome::Skipped);
    let good = json!({ "tokenRequests": [{ "audience": "sts.aliyuncs.com", "expirationSeconds": 600 }],
        "podInfoOnMount": true, "requiresRepublish": true });
    assert_eq!(object(good), [ok, skipped]);
    let (broken, warn) = (Outcome::Broken, Outcome::Warn);
    assert_eq!(object(json!({})), [broken, broken, warn, skipped]);
}

#[test]
fn name_servers_are_judged_by_what_each_family_got() {
    let quick = Duration::from_millis(2);
    let found = || Gave::Addresses(vec!["10.0.0.1".to_owned()]);
    let server =
        |v4: Gave, v6: Gave| Server { address: "s".to_owned(), v4: (v4, quick), v6: (v6, quick) };
    let judged = |servers: Vec<Server>| names::judge("h.example", &Way::Servers(servers)).outcome;
    assert_eq!(judged(vec![server(found(), Gave::NoAddress)]), Outcome::Ok);
    assert_eq!(judged(vec![server(Gave::NoAddress, found())]), Outcome::Ok);
    assert_eq!(judged(vec![server(found(), Gave::Silent)]), Outcome::Warn);
    assert_eq!(judged(vec![server(Gave::NoAddress, Gave::NoAddress)]), Outcome::Broken);
    assert_eq!(judged(vec![]), Outcome::Broken);
    let unknown = || server(Gave::NotFound, Gave::NotFound);
    assert_eq!(judged(vec![unknown()]), Outcome::Broken);
    assert_eq!(judged(vec![server(found(), found()), unknown()]), Outcome::Warn);
    let slow = Server { v4: (found(), Duration::from_secs(2)), ..server(found(), found()) };
    assert_eq!(judged(vec![slow]), Outcome::Warn);
}

#[test]
fn throttled_calls_of_all_operations_are_counted() {
    let judged = |metrics: &str| {
        let metrics = Ok(metrics.to_owned());
        quota::judge(&quota::Seen {
            kms_calls: 1,
            oos_calls: 1,
            kms_batch: false,
            shared: false,
            refresh_seconds: 300,
            metrics,
            throttled_now: false,
        })
    };
    let of = |code: &str, count: u32| {
        format!(
            "csi_provider_alibabacloud_cloud_calls_total{{api=\"A\",code=\"{code}\"}} {count}\n"
        )
    };
    assert_eq!(judged(&of("OK", 9)).outcome, Outcome::Ok);
    let line = judged(&[of("OK", 9), of("Rejected.Throttling", 3), of("throttled", 2)].concat());
    assert_eq!(line.outcome, Outcome::Warn);
    assert!(line.seen.starts_with("5 calls"), "{line:?}");
}

#[test]
fn fact_is_decided_by_status_and_code() {
    let judged = |fact, status, code: &str| {
        let code = code.to_owned();
        facts::judge(fact, &Answer { status, code, request: None, foreign: false }).verdict
    };
    assert_eq!(judged(Fact::KmsNotFound, 404, "Forbidden.ResourceNotFound"), Verdict::Holds);
    assert_eq!(judged(Fact::KmsNotFound, 400, "Forbidden.ResourceNotFound"), Verdict::Differs);
    assert_eq!(judged(Fact::KmsNotFound, 403, "Forbidden.NoPermission"), Verdict::Noted);
    assert_eq!(judged(Fact::KmsBatch, 404, "InvalidAction.NotFound"), Verdict::Differs);
    assert_eq!(judged(Fact::KmsBatch, 200, ""), Verdict::Holds);
    assert_eq!(judged(Fact::KmsBatch, 403, "Forbidden.NoPermission"), Verdict::Noted);
    assert_eq!(
        judged(Fact::OidcInvalid, 400, "AuthenticationFail.OIDCToken.Invalid"),
        Verdict::Differs
    );
    let foreign = Answer { status: 502, foreign: true, ..Answer::default() };
    assert_eq!(facts::judge(Fact::NonceUsed, &foreign).verdict, Verdict::Noted);
}
