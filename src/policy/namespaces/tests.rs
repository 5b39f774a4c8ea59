use super::*;
use crate::{
    endpoint::Endpoints,
    spc::{
        context::Context,
        file::{FileMode, PathTranslation},
        objects,
    },
};

const RULES: &str = "\
rules:
- namespaces: [shop, 'shop-*']
  identities: [pod]
  roles: ['acs:ram::1:role/{namespace}-*']
  objects:
    kms: ['{namespace}/*', shared/ca]
- namespaces: [batch]
  objects: {kms: ['*'], oos: [/batch/*]}
- namespaces: [locked]
  identities: []
  roles: []
  objects: {}
- namespaces: ['free-?']
";

fn rules() -> NamespaceRules {
    NamespaceRules::parse(RULES).unwrap()
}

fn spec(objects: &str) -> Spec {
    let endpoints = Endpoints::of_hangzhou();
    let context = Context {
        endpoints: &endpoints,
        region: &endpoints.region,
        translation: PathTranslation::default(),
        mode: FileMode::default(),
    };
    Spec::of(objects::parse(objects, &context).unwrap().into())
}

fn named(name: &str) -> Spec {
    spec(&format!("- {{objectName: '{name}', objectAlias: a}}"))
}

fn check(namespace: &str, mode: Mode, spec: &Spec) -> Vec<(Reason, String)> {
    match rules().check(namespace, mode, spec) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.into_iter().map(|error| (error.reason, error.to_string())).collect(),
    }
}

fn reasons(namespace: &str, mode: Mode, spec: &Spec) -> Vec<Reason> {
    check(namespace, mode, spec).into_iter().map(|(reason, _)| reason).collect()
}

fn role(text: &str) -> RoleArn {
    RoleArn::parse(text).unwrap()
}

#[test]
fn namespace_of_no_rule_mounts_nothing() {
    for namespace in ["other", "sho", "shop2", "SHOP", "", "*", "shop-*", "free-", "free-?"] {
        let refused = reasons(namespace, Mode::Pod, &named("shop/a"));
        assert_eq!(refused, [Reason::NamespaceNotAllowed], "{namespace}");
        let error = rules().check_role(namespace, &role("acs:ram::1:role/shop-a")).unwrap_err();
        assert_eq!(error.reason, Reason::NamespaceNotAllowed, "{namespace}");
    }
}

#[test]
fn first_rule_with_the_namespace_decides() {
    let text = "rules:\n- {namespaces: [a], identities: [pod]}\n- {namespaces: ['*']}\n";
    let rules = NamespaceRules::parse(text).unwrap();
    assert!(rules.check("a", Mode::EcsRole, &named("x")).is_err());
    assert!(rules.check("b", Mode::EcsRole, &named("x")).is_ok());
}

#[test]
fn objects_are_those_of_the_namespace_by_type_and_name() {
    let none: [Reason; 0] = [];
    let refused = [Reason::ObjectNotAllowed];
    for (namespace, name, expected) in [
        ("shop", "shop/a", &none[..]),
        ("shop-eu", "shop-eu/a", &none),
        ("shop", "shared/ca", &none),
        ("shop", "shop-eu/a", &refused),
        ("shop-eu", "shop/a", &refused),
        ("shop", "shop", &refused),
        ("shop", "shared/ca2", &refused),
        // An ARN is another text than the name in it.
        ("shop", "acs:kms:cn-beijing:1:secret/shop/a", &refused),
        ("batch", "acs:kms:cn-beijing:1:secret/shop/a", &none),
        ("free-1", "anything", &none),
    ] {
        assert_eq!(reasons(namespace, Mode::Pod, &named(name)), expected, "{namespace} {name}");
    }
    let oos = |name| spec(&format!("- {{objectName: {name}, objectType: oos}}"));
    assert_eq!(reasons("batch", Mode::Pod, &oos("/batch/a")), none);
    assert_eq!(reasons("batch", Mode::Pod, &oos("/shop/a")), refused);
    // A type that is not listed.
    assert_eq!(reasons("shop", Mode::Pod, &oos("shop/a")), refused);
}

#[test]
fn every_refused_object_is_named_with_what_the_operator_can_do() {
    let two = spec("- objectName: shop/a\n- objectName: b\n- {objectName: c, objectType: oos}");
    let said: Vec<_> = check("shop", Mode::Pod, &two).into_iter().map(|(_, text)| text).collect();
    let hint = "the operator can allow it under objects of rule 1 of --namespace-rules";
    assert_eq!(
        said,
        [
            format!(
                "object 2 \"b\", field objectName: is no KMS secret that namespace shop may read; {hint}"
            ),
            format!(
                "object 3 \"c\", field objectName: is no OOS encrypted parameter that namespace shop \
                 may read; {hint}"
            ),
        ]
    );
}

#[test]
fn identity_is_one_of_the_rule() {
    let refused = check("shop", Mode::EcsRole, &named("shop/a"));
    let [(Reason::IdentityNotAllowed, said)] = refused.as_slice() else { panic!("{refused:?}") };
    assert!(
        said.starts_with("identity ecs-role is not allowed in namespace shop (allowed: pod)"),
        "{said}"
    );
    assert!(said.contains("under identities of rule 1 of --namespace-rules"), "{said}");
    assert_eq!(reasons("batch", Mode::EcsRole, &named("a")), []);
    let refused = check("locked", Mode::Pod, &named("a"));
    assert!(refused[0].1.contains("(allowed: none)"), "{refused:?}");
}

#[test]
fn role_is_one_of_the_rule() {
    let allowed = |namespace, text| rules().check_role(namespace, &role(text)).is_ok();
    assert!(allowed("shop", "acs:ram::1:role/shop-web"));
    assert!(!allowed("shop", "acs:ram::1:role/web"));
    assert!(!allowed("shop", "acs:ram::2:role/shop-web"));
    assert!(!allowed("locked", "acs:ram::1:role/locked-web"));
    assert!(allowed("batch", "acs:ram::2:role/any"));
}

#[test]
fn roles_that_a_class_names_are_checked_before_any_look_up() {
    let cross = |role: &str| {
        spec(&format!("- {{objectName: shop/a, crossAccountRoleArn: 'acs:ram::{role}'}}"))
    };
    assert_eq!(reasons("shop", Mode::Pod, &cross("1:role/shop-x")), []);
    assert_eq!(reasons("shop", Mode::Pod, &cross("2:role/shop-x")), [Reason::RoleNotAllowed]);
    let own = Spec { role: Some(role("acs:ram::1:role/other")), ..named("shop/a") };
    assert_eq!(reasons("shop", Mode::Pod, &own), [Reason::RoleNotAllowed]);
}

#[test]
fn every_mistake_of_the_file_is_reported_with_its_place() {
    let mistakes = |text: &str| NamespaceRules::parse(text).unwrap_err();
    let text = "\
rules:
- namespaces: shop
- identities: [pod, root]
- namespaces: []
- namespaces: [a]
  identities: [root]
  roles:
  objects: {kms: ['{pod}/*'], ssm: [a]}
  secrets: [a]
- namespaces: [b]
  roles: [shop-*]
  objects: [a]
";
    assert_eq!(
        mistakes(text),
        [
            "namespaces is not a list (line 2, column 15)",
            "namespaces is missing: which ones the rule is for (line 3, column 3)",
            "namespaces is empty: the rule is for none (line 4, column 3)",
            "\"secrets\" is none of namespaces, identities, roles, objects (line 9, column 3)",
            "identities: \"root\" is none of pod, provider, ram-role, node-publish-secret, access-key, \
             ecs-role (line 6, column 16)",
            "roles is empty: remove it, or write [] to allow none (line 7, column 8)",
            "kms: \"{pod}/*\" has braces: {namespace} is all that can stand in them (line 8, column 19)",
            "objects: \"ssm\" is none of kms, oos (line 8, column 31)",
            "roles: \"shop-*\" is no pattern of role ARNs, such as acs:ram::123456789012:role/shop-* \
             (line 11, column 11)",
            "objects is not a mapping: write a list for each of kms, oos (line 12, column 12)",
        ]
    );
    for (text, expected) in [
        ("", "the file is not a mapping with rules (line 1, column 1)"),
        ("rules: []", "has no rules: no namespace could mount anything (line 1, column 1)"),
        ("rule: []", "\"rule\" is none of rules (line 1, column 1)"),
        ("rules: [{namespaces: ['']}]", "namespaces: an entry is not a text (line 1, column 23)"),
        ("rules: [{namespaces: [~]}]", "namespaces: an entry is not a text (line 1, column 23)"),
    ] {
        assert_eq!(mistakes(text)[0], expected, "{text}");
    }
    assert!(mistakes("rules: [")[0].contains("line 1"));
}
