use serde_json::{Value, json};

use super::{attributes::TOKENS, *};
use crate::{
    error::ErrorKind,
    spc::{RequestedIdentity, objects::Encoding, source::Source},
};

const OBJECTS: &str = "- objectName: web/plain";

/// A request of the pod shop/web-1, with some attributes changed; `null` takes one away.
fn request(changes: &[(&str, Value)]) -> pb::MountRequest {
    let mut attributes = json!({
        POD_NAMESPACE: "shop",
        POD_NAME: "web-1",
        POD_UID: "uid-1",
        SERVICE_ACCOUNT: "web",
        "secretProviderClass": "c",
        "objects": OBJECTS,
    });
    for (name, value) in changes {
        let attributes = attributes.as_object_mut().unwrap();
        match value {
            Value::Null => attributes.remove(*name),
            value => attributes.insert((*name).to_owned(), value.clone()),
        };
    }
    pb::MountRequest {
        attributes: attributes.to_string(),
        secrets: "null".to_owned(),
        permission: "420".to_owned(),
        ..Default::default()
    }
}

fn parsed(request: pb::MountRequest) -> Result<Mount, Errors> {
    parse(request, &Endpoints::of_hangzhou(), &ObjectCache::default(), &mut Caller::default())
}

fn mount(changes: &[(&str, Value)]) -> Mount {
    parsed(request(changes)).unwrap()
}

/// The subjects of what is wrong.
fn wrong(changes: &[(&str, Value)]) -> Vec<String> {
    subjects(request(changes))
}

/// All that is said.
fn message(changes: &[(&str, Value)]) -> String {
    parsed(request(changes)).unwrap_err().message()
}

fn subjects(request: pb::MountRequest) -> Vec<String> {
    let errors = parsed(request).unwrap_err();
    assert_eq!(errors.kind(), ErrorKind::Invalid, "{errors:?}");
    errors.iter().map(|error| error.subject.to_string()).collect()
}

#[test]
fn a_plain_request_says_who_asks_for_what() {
    let mount = mount(&[]);
    let Pod { namespace, name, uid, service_account } = &mount.pod;
    assert_eq!([namespace, name, uid, service_account], ["shop", "web-1", "uid-1", "web"]);
    assert_eq!(mount.pod.to_string(), "shop/web-1");
    assert_eq!(
        (mount.spec.identity, &mount.spec.role, mount.spec.refresh),
        (RequestedIdentity::Default, &None, None)
    );
    assert!(matches!(mount.token, TokenInput::Absent));
    assert!(matches!(mount.node_publish_keys, NodePublishKeys::Absent));
    let [object] = &*mount.spec.objects else { panic!("{:?}", mount.spec.objects) };
    assert_eq!((object.file.as_str(), object.mode.bits()), ("web_plain", 0o644));
    assert_eq!((object.encoding, object.optional), (Encoding::Utf8, false));
    assert_eq!(object.read.endpoint.host(), "kms-vpc.cn-hangzhou.aliyuncs.com");
    assert!(matches!(&object.read.source, Source::Kms(secret) if secret.name == "web/plain"));
}

#[test]
fn who_asks_is_heard_whatever_else_is_wrong() {
    let mut caller = Caller::default();
    let broken = request(&[("identity", json!("nobody"))]);
    parse(broken, &Endpoints::of_hangzhou(), &ObjectCache::default(), &mut caller).unwrap_err();
    assert_eq!(caller.prefix(), "SecretProviderClass shop/c: ");
    assert_eq!((caller.via, caller.pod.unwrap().name.as_str()), (Some(Via::Driver), "web-1"));
}

#[test]
fn all_mistakes_are_told_at_once() {
    let changes = [
        (POD_NAME, Value::Null),
        ("identity", json!("nobody")),
        ("roleArn", json!("web")),
        ("region", json!("here")),
        ("refreshInterval", json!("soon")),
        ("pathTranslation", json!("ab")),
        (TOKENS, json!("{")),
        ("objectz", json!("")),
    ];
    let mut request = request(&changes);
    request.permission = "512".to_owned();
    request.secrets = json!({"access_key": "a", "ACCESS_KEY": "b"}).to_string();
    assert_eq!(
        subjects(request),
        [
            "parameter \"objectz\"",
            "parameter identity",
            "parameter roleArn",
            "parameter pathTranslation",
            "parameter region",
            "parameter refreshInterval",
            POD_NAME,
            TOKENS,
            "nodePublishSecretRef entry access_key",
            "permission",
        ]
    );
    assert_eq!(wrong(&[("objects", json!("- a"))]), ["object 1"]);
    assert_eq!(wrong(&[("objects", Value::Null)]), ["parameter objects"]);
}

#[test]
fn attributes_and_secrets_are_objects_of_strings() {
    let with = |attributes: &str, secrets: &str| pb::MountRequest {
        attributes: attributes.to_owned(),
        secrets: secrets.to_owned(),
        ..request(&[])
    };
    let good = request(&[]).attributes;
    for none in ["", " ", "null", "{}"] {
        parsed(with(&good, none)).unwrap();
    }
    for bad in ["{", "[]", "1", r#"{"a":1}"#] {
        assert_eq!(subjects(with(bad, "")), ["attributes"]);
        assert_eq!(subjects(with(&good, bad)), ["secrets"]);
    }
}

#[test]
fn only_names_that_kubernetes_allows_get_into_a_url() {
    for key in [POD_NAMESPACE, POD_NAME, SERVICE_ACCOUNT] {
        for bad in ["Web", "w_b", "w/b", ".web", "wéb", "w b", "w%2fb", &"x".repeat(254)] {
            assert_eq!(wrong(&[(key, json!(bad))]), [key], "{bad}");
        }
        for missing in [Value::Null, json!("")] {
            assert_eq!(wrong(&[(key, missing)]), [key]);
        }
        for good in ["w", "0", "web-1", "web.1", &"x".repeat(253)] {
            mount(&[(key, json!(good))]);
        }
    }
    assert_eq!(mount(&[(POD_UID, Value::Null)]).pod.uid, "");
}

#[test]
fn unknown_parameters_are_all_counted_and_few_are_kept() {
    let mut request = request(&[("region", json!("here"))]);
    let unknown: String = (0..150_000).map(|n| format!("\"k{n}\":\"\",")).collect();
    request.attributes.insert_str(1, &unknown);
    let errors = parsed(request).unwrap_err();
    assert_eq!((errors.iter().count(), errors.more()), (11, 149_990));
    assert!(errors.iter().any(|error| &*error.subject == "parameter region"));
}

#[test]
fn the_driver_s_permission_is_a_decimal_number() {
    let mode = |permission: &str| {
        let request = pb::MountRequest { permission: permission.to_owned(), ..request(&[]) };
        parsed(request).map(|mount| mount.spec.objects[0].mode.bits()).ok()
    };
    assert_eq!(mode(""), Some(0o644));
    assert_eq!(mode(" 256 "), Some(0o400));
    assert_eq!(mode("511"), Some(0o777));
    for bad in ["0", "512", "-1", "0o644", "rw", "4294967296"] {
        assert_eq!(mode(bad), None, "{bad}");
    }
}

#[test]
fn a_token_for_sts_is_taken_from_either_place() {
    let token = |jwt: &str| json!({ STS_AUDIENCE: { "token": jwt } }).to_string();
    let jwt = |mount: Mount| match mount.token {
        TokenInput::Token(token) => token.jwt.expose().clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(jwt(mount(&[(TOKENS, json!(token(" a.b.c\n")))])), "a.b.c");
    let mut by_secret = request(&[]);
    by_secret.secrets = json!({ TOKENS: token("from.secrets") }).to_string();
    assert_eq!(jwt(parsed(by_secret.clone()).unwrap()), "from.secrets");
    by_secret.attributes = request(&[(TOKENS, json!(token("from.secrets")))]).attributes;
    assert_eq!(jwt(parsed(by_secret.clone()).unwrap()), "from.secrets");
    // Kubelet writes one of the two; the other is of the pod's author.
    by_secret.attributes = request(&[(TOKENS, json!(token("from.attributes")))]).attributes;
    assert_eq!(subjects(by_secret), [TOKENS]);

    for (length, good) in [(3, false), (4, true), (20_000, true), (20_001, false)] {
        let request = request(&[(TOKENS, json!(token(&"x".repeat(length))))]);
        assert_eq!(parsed(request).is_ok(), good, "{length}");
    }
}

#[test]
fn token_list_that_is_empty_is_absent_and_a_malformed_one_says_how() {
    for none in ["{}", "null", ""] {
        let token = mount(&[(TOKENS, json!(none))]).token;
        assert!(matches!(token, TokenInput::Absent), "{none}");
    }
    let of = |jwt: &str| json!({ STS_AUDIENCE: { "token": jwt } }).to_string();
    for (tokens, told) in [
        ("[]".to_owned(), "is not a JSON object of tokens"),
        ("{".to_owned(), "is not a JSON object of tokens (column 1)"),
        (of(" "), "for sts.aliyuncs.com is an empty text"),
        (of("abc"), "for sts.aliyuncs.com is a text whose length STS does not accept (4 to 20000)"),
    ] {
        assert_eq!(message(&[(TOKENS, json!(tokens))]), format!("{TOKENS}: {told}"));
    }
}

#[test]
fn a_token_s_time_is_read_and_other_audiences_are_named() {
    let one = |audience: &str, expires: &str| {
        let token = json!({ audience: { "token": "a.b.c", "expirationTimestamp": expires } });
        request(&[(TOKENS, json!(token.to_string()))])
    };
    match parsed(one(STS_AUDIENCE, "2126-01-01T00:00:00Z")).unwrap().token {
        TokenInput::Token(token) => {
            assert_eq!(token.expires, "2126-01-01T00:00:00Z".parse().ok());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(subjects(one(STS_AUDIENCE, "tomorrow")), [TOKENS]);
    match parsed(one("vault", "2126-01-01T00:00:00Z")).unwrap().token {
        TokenInput::OtherAudiences(audiences) => assert_eq!(audiences, ["vault"]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_secret_of_the_volume_is_an_access_key_with_both_its_entries() {
    let keys = |secrets: Value| {
        let request = pb::MountRequest { secrets: secrets.to_string(), ..request(&[]) };
        parsed(request).unwrap().node_publish_keys
    };
    match keys(json!({"Access_Key": " id\n", "access_secret": "s ", "other": "x"})) {
        NodePublishKeys::Keys(keys) => {
            assert_eq!((keys.id.as_str(), keys.secret.expose().as_str()), ("id", "s"));
            assert!(keys.token.is_none());
        }
        other => panic!("{other:?}"),
    }
    let told = |secrets: Value| match keys(secrets) {
        NodePublishKeys::Others(what) | NodePublishKeys::Unusable(what) => what,
        other => panic!("{other:?}"),
    };
    for (secrets, what) in [
        (json!({"access_key": "id"}), "the Secret has access_key, and no entry access_secret"),
        (
            json!({"access_secret": "s", "accessKey": "id"}),
            "the Secret has access_secret, and no entry access_key (but \"accessKey\")",
        ),
        (
            json!({"username": "u", "password": "p"}),
            "the Secret has other entries: \"password\", \"username\"",
        ),
        (
            json!({"a": "", "b": "", "c": "", "d": "", "e": "", "f": "", "g": ""}),
            "the Secret has other entries: \"a\", \"b\", \"c\", \"d\", \"e\" and 2 more",
        ),
        (
            json!({"access_key": " ", "access_secret": "s"}),
            "the Secret's entry access_key is empty",
        ),
        (
            json!({"access_key": "id", "access_secret": ""}),
            "the Secret's entry access_secret is empty",
        ),
        (
            json!({"access_key": "planted", "access_secret": "LTAI5tExample"}),
            "the Secret's entry access_secret holds the id of an access key, and access_key does \
             not: are they swapped?",
        ),
    ] {
        assert_eq!(told(secrets), what);
    }
    assert!(matches!(keys(json!({"LTAI": "LTAI"})), NodePublishKeys::Others(_)));
    assert!(matches!(keys(json!({})), NodePublishKeys::Absent));
}

#[test]
fn uid_that_is_none_is_refused() {
    for good in ["5f1c9e0e-7d43-4c5e-9a83-1f3d5d0c7a11", "b2d4fbb1b6b0a9f1c1a5b7a9c0d1e2f3"] {
        assert_eq!(mount(&[(POD_UID, json!(good))]).pod.uid, good);
    }
    for bad in ["a\u{202e}b", "a b", "a\nb", &"x".repeat(129)] {
        assert_eq!(wrong(&[(POD_UID, json!(bad))]), [POD_UID]);
    }
}
