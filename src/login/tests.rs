use super::*;

const ROLE: &str = "acs:ram::1:role/web";
const OTHER: &str = "acs:ram::1:role/api";

/// What an `Oidc` login is made of.
struct Pod {
    role: &'static str,
    cluster: &'static str,
    token: &'static str,
    subject: &'static str,
    shared: bool,
    name: &'static str,
    seconds: u64,
}

const POD: Pod = Pod {
    role: ROLE,
    cluster: "c",
    token: "a",
    subject: "shop:web",
    shared: false,
    name: "shop@web@web-1",
    seconds: 3600,
};

impl Pod {
    fn login(self) -> KeyedLogin {
        KeyedLogin::new(Login::Oidc {
            role: role(self.role),
            provider: OidcProviderArn::of_cluster("1", self.cluster).unwrap(),
            token: Arc::new(Secret::new(self.token.to_owned())),
            subject: self.subject.to_owned(),
            shared: self.shared,
            name: self.name.to_owned(),
            lifetime: Duration::from_secs(self.seconds),
        })
    }

    /// The same with one field changed, of each field but the token.
    fn changed() -> [(&'static str, KeyedLogin); 6] {
        [
            ("role", Pod { role: OTHER, ..POD }.login()),
            ("provider", Pod { cluster: "d", ..POD }.login()),
            ("subject", Pod { subject: "shop:api", ..POD }.login()),
            ("shared", Pod { shared: true, ..POD }.login()),
            ("name", Pod { name: "shop@web@web-2", ..POD }.login()),
            ("lifetime", Pod { seconds: 900, ..POD }.login()),
        ]
    }
}

fn role(arn: &str) -> RoleArn {
    RoleArn::parse(arn).unwrap()
}

fn keys(id: &str, secret: &str) -> KeyedLogin {
    let secret = Secret::new(secret.to_owned());
    KeyedLogin::new(Login::Keys(Arc::new(Keys { id: id.to_owned(), secret, token: None })))
}

fn assumed(base: &KeyedLogin, to: &str, name: &str, seconds: u64) -> KeyedLogin {
    KeyedLogin::new(Login::Assume {
        base: base.clone(),
        role: role(to),
        name: name.to_owned(),
        lifetime: Duration::from_secs(seconds),
    })
}

#[test]
fn same_fields_make_the_same_login() {
    let (one, same) = (POD.login(), POD.login());
    assert_eq!((one.key(), one.pod(), one.caller()), (same.key(), same.pod(), same.caller()));
}

#[test]
fn key_differs_with_every_field() {
    for (field, other) in Pod::changed() {
        assert_ne!(other.key(), POD.login().key(), "{field}");
    }
    assert_ne!(Pod { token: "b", ..POD }.login().key(), POD.login().key(), "token");
}

#[test]
fn key_of_a_shared_login_is_the_same_with_any_token() {
    let of = |token| Pod { shared: true, token, ..POD }.login();
    assert_eq!(of("a").key(), of("b").key());
    assert_eq!(of("a").pod(), of("b").pod());
}

#[test]
fn pod_stays_the_same_with_a_new_token() {
    assert_eq!(Pod { token: "b", ..POD }.login().pod(), POD.login().pod());
}

#[test]
fn pod_differs_with_every_other_field() {
    for (field, other) in Pod::changed() {
        assert_ne!(other.pod(), POD.login().pod(), "{field}");
    }
}

#[test]
fn account_is_that_of_all_pods_of_a_service_account_with_one_role() {
    for (field, other) in Pod::changed() {
        let same = other.caller().account == POD.login().caller().account;
        assert_eq!(same, !matches!(field, "role" | "subject"), "{field}");
    }
}

#[test]
fn caller_of_a_new_token_is_the_same() {
    assert_eq!(Pod { token: "b", ..POD }.login().caller(), POD.login().caller());
}

#[test]
fn callers_of_two_pods_are_one_account_and_two_logins() {
    let (one, other) = (POD.login(), Pod { name: "shop@web@web-2", ..POD }.login());
    assert_eq!(one.caller().account, other.caller().account);
    assert_ne!(one.caller().login, other.caller().login);
}

#[test]
fn access_keys_that_differ_in_id_or_secret_are_other_logins() {
    assert_eq!(keys("id", "s").key(), keys("id", "s").key());
    assert_ne!(keys("id", "s").key(), keys("id", "t").key());
    assert_ne!(keys("id", "s").key(), keys("di", "s").key());
}

#[test]
fn access_keys_are_an_account_by_their_id() {
    assert_eq!(keys("id", "s").caller().account, keys("id", "t").caller().account);
    assert_ne!(keys("id", "s").caller().account, keys("di", "s").caller().account);
}

#[test]
fn login_to_another_role_differs_with_every_field() {
    let base = POD.login();
    let one = assumed(&base, OTHER, "n", 3600);
    for (field, other) in [
        ("base", assumed(&Pod { name: "shop@web@web-2", ..POD }.login(), OTHER, "n", 3600)),
        ("role", assumed(&base, "acs:ram::2:role/api", "n", 3600)),
        ("name", assumed(&base, OTHER, "m", 3600)),
        ("lifetime", assumed(&base, OTHER, "n", 900)),
    ] {
        assert_ne!(other.key(), one.key(), "{field}");
        assert_ne!(other.pod(), one.pod(), "{field}");
    }
}

#[test]
fn login_to_another_role_has_the_token_of_its_base_in_its_key_alone() {
    let (one, other) = (POD.login(), Pod { token: "b", ..POD }.login());
    let (one, other) = (assumed(&one, OTHER, "n", 900), assumed(&other, OTHER, "n", 900));
    assert_ne!(one.key(), other.key());
    assert_eq!(one.pod(), other.pod());
}

#[test]
fn login_to_another_role_is_an_account_by_its_base_and_its_role() {
    let base = POD.login();
    let account = |login: &KeyedLogin| login.caller().account;
    let one = account(&assumed(&base, OTHER, "n", 900));
    assert_eq!(account(&assumed(&base, OTHER, "m", 3600)), one);
    assert_ne!(account(&assumed(&base, ROLE, "n", 900)), one);
    assert_ne!(account(&assumed(&keys("id", "s"), OTHER, "n", 900)), one);
    assert_ne!(account(&base), one);
}

#[test]
fn login_takes_the_room_of_what_its_chain_begins_with() {
    let base = POD.login();
    let chain = assumed(&assumed(&base, OTHER, "n", 900), ROLE, "n", 900);
    assert_eq!(chain.owner(), base.owner());
    assert_eq!(base.owner(), base.pod());
    assert_ne!(chain.owner(), chain.pod());
}

#[test]
fn logins_of_two_kinds_have_nothing_in_common() {
    let logins =
        [POD.login(), keys("ecs-role", ""), KeyedLogin::new(Login::EcsRole)].map(|login| {
            let Caller { login: pod, account } = login.caller();
            [*login.key(), pod, account]
        });
    for kind in 0..3 {
        let [a, b, c] = logins.map(|login| login[kind]);
        assert!(a != b && b != c && c != a);
    }
}

#[test]
fn role_is_the_one_that_the_cloud_sees() {
    let base = POD.login();
    assert_eq!(base.role().unwrap().as_str(), ROLE);
    assert_eq!(assumed(&base, OTHER, "n", 900).role().unwrap().as_str(), OTHER);
    assert_eq!(keys("LTAI1", "s").role(), None);
    assert_eq!(KeyedLogin::new(Login::EcsRole).role(), None);
}

#[test]
fn who_is_the_role_or_the_id_of_an_access_key() {
    let base = POD.login();
    assert_eq!(base.who(), "role acs:ram::1:role/web");
    assert_eq!(assumed(&base, OTHER, "n", 900).who(), "role acs:ram::1:role/api");
    assert_eq!(keys("LTAI1", "s").who(), "access key LTAI1");
    assert_eq!(KeyedLogin::new(Login::EcsRole).who(), "the instance's role");
}

#[test]
fn who_does_not_show_what_may_be_the_secret_of_an_access_key() {
    assert_eq!(keys("planted", "LTAI1").who(), "the access key");
}
