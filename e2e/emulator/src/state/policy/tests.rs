use super::*;

fn documents(yaml: &[&str]) -> Vec<Document> {
    yaml.iter().map(|text| serde_saphyr::from_str(text).unwrap()).collect()
}

const SECRET: &str = "acs:kms:cn-hangzhou:1:secret/app/db";

#[test]
fn statements_decide() {
    let allow =
        r#"{Version: "1", Statement: [{Effect: Allow, Action: "kms:Get*", Resource: "*"}]}"#;
    let deny =
        r#"{Statement: [{Effect: Deny, Action: "*", Resource: "acs:kms:*:1:secret/app/*"}]}"#;
    let list = r#"{Statement: [{Effect: Allow, Action: [oos:X, kms:GetSecretValue], Resource: [a, "acs:kms:cn-hangzhou:1:secret/app/db"]}]}"#;
    let other = r#"{Statement: [{Effect: Allow, Action: "kms:*", Resource: "acs:kms:cn-hangzhou:1:secret/app"}]}"#;
    let not_action = r#"{Statement: [{Effect: Allow, NotAction: "oos:*", Resource: "*"}]}"#;
    let not_resource =
        r#"{Statement: [{Effect: Allow, Action: "*", NotResource: "*:secret/app/*"}]}"#;
    let no_resource = r#"{Statement: [{Effect: Allow, Action: "*"}]}"#;
    let question = r#"{Statement: [{Effect: Allow, Action: "kms:GetSecretValu?", Resource: "acs:kms:cn-hangzhou:?:secret/app/d?"}]}"#;
    let case = r#"{Statement: [{Effect: Allow, Action: "KMS:getsecretvalue", Resource: "*"}]}"#;
    let upper = r#"{Statement: [{Effect: Allow, Action: "*", Resource: "acs:kms:cn-hangzhou:1:secret/APP/db"}]}"#;
    let conditional = r#"{Statement: [{Effect: Allow, Action: "*", Resource: "*", Condition: {StringEquals: {"acs:SourceVpc": vpc-1}}}]}"#;
    let table: &[(&[&str], Decision)] = &[
        (&[], Decision::ImplicitDeny),
        (&[allow], Decision::Allowed),
        (&[allow, deny], Decision::ExplicitDeny),
        (&[deny, allow], Decision::ExplicitDeny),
        (&[deny], Decision::ExplicitDeny),
        (&[list], Decision::Allowed),
        (&[other], Decision::ImplicitDeny),
        (&[not_action], Decision::Allowed),
        (&[not_resource], Decision::ImplicitDeny),
        (&[no_resource], Decision::ImplicitDeny),
        (&[question], Decision::Allowed),
        (&[case], Decision::Allowed),
        (&[upper], Decision::ImplicitDeny),
        (&[conditional], Decision::ImplicitDeny),
    ];
    for (policies, wanted) in table {
        let decision =
            evaluate(&documents(policies), "kms:GetSecretValue", SECRET, &Context::new());
        assert_eq!(decision, *wanted, "{policies:?}");
    }
}

#[test]
fn wildcards_match() {
    let table = [
        ("*", "", true),
        ("a*", "abc", true),
        ("a*c", "abcbc", true),
        ("a*c", "abcb", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*a*b*", "xxaxxbxx", true),
        ("*a*b*", "xxbxxaxx", false),
        ("", "a", false),
        ("a", "", false),
        ("密*", "密钥", true),
        ("acs:kms:*:*:secret/app/*", SECRET, true),
        ("acs:kms:*:*:secret/app", SECRET, false),
    ];
    for (pattern, text, wanted) in table {
        assert_eq!(like(pattern, text), wanted, "{pattern} on {text}");
    }
}

#[test]
fn trust_looks_at_principal_action_and_conditions() {
    let trust = |action: &str, principal: &str, condition: &str| -> Document {
        let text = format!(
            "{{Statement: [{{Effect: Allow, Action: {action}, Principal: {principal}, Condition: {condition}}}]}}"
        );
        serde_saphyr::from_str(&text).unwrap()
    };
    let federated = "{Federated: [provider]}";
    let sub = "{StringEquals: {'oidc:sub': [other, 'system:serviceaccount:ns:sa'], 'oidc:aud': sts.aliyuncs.com}}";
    let table = [
        (trust("sts:AssumeRole", federated, sub), true),
        (trust("'*'", federated, sub), true),
        (trust("sts:AssumeRoleWithOIDC", federated, sub), false),
        (trust("sts:AssumeRole", "{Federated: other}", sub), false),
        (trust("sts:AssumeRole", "{RAM: provider}", sub), false),
        (trust("sts:AssumeRole", federated, "{}"), true),
        (trust("sts:AssumeRole", federated, "{StringLike: {'oidc:sub': '*:ns:*'}}"), true),
        (trust("sts:AssumeRole", federated, "{StringLike: {'oidc:sub': '*:other:*'}}"), false),
        (trust("sts:AssumeRole", federated, "{StringEquals: {'oidc:sub': '*'}}"), false),
        (trust("sts:AssumeRole", federated, "{StringNotEquals: {'oidc:aud': two}}"), false),
        (trust("sts:AssumeRole", federated, "{StringEquals: {'oidc:unknown': x}}"), false),
    ];
    let context = Context::from([
        ("oidc:sub".to_owned(), vec!["system:serviceaccount:ns:sa".to_owned()]),
        ("oidc:aud".to_owned(), vec!["sts.aliyuncs.com".to_owned(), "two".to_owned()]),
    ]);
    for (document, wanted) in table {
        let named = |principals: &Principals| {
            principals.federated.as_ref().is_some_and(|list| list.iter().any(|p| p == "provider"))
        };
        let decision = evaluate_trust(&document, named, &context);
        assert_eq!(decision == Decision::Allowed, wanted, "{document:?}");
    }
}

#[test]
fn session_policies_are_read_strictly() {
    let good =
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}"#;
    assert!(parse_session_policy(good).is_ok());
    assert!(parse_session_policy(r#"{"Version":"1","Statement":[]}"#).is_ok());
    let padded = format!("{good}{}", " ".repeat(2048));
    assert_eq!(parse_session_policy(&padded), Err(SessionPolicyError::Size));
    assert_eq!(parse_session_policy(""), Err(SessionPolicyError::Size));
    for bad in [
        "not json",
        "{}",
        r#"{"Statement":[]}"#,
        r#"{"Version":"2","Statement":[]}"#,
        r#"{"Version":"1","Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}"#,
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Resource":"*"}]}"#,
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*"}]}"#,
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Extra":1}]}"#,
        r#"{"Version":"1","Statement":[{"Effect":"Allow","Action":"*","Resource":"*","Principal":{"RAM":"x"}}]}"#,
    ] {
        assert_eq!(parse_session_policy(bad), Err(SessionPolicyError::Grammar), "{bad}");
    }
}

#[test]
fn short_form() {
    let lines = ["kms:GetSecretValue on acs:kms:*:1:secret/app/*".to_owned(), "oos:*".to_owned()];
    let deny = ["kms:* on *:secret/app/root".to_owned()];
    let statement = ShortPolicy { allow: &lines, deny: &deny }.statements();
    let documents = [Document { version: None, statement }];
    let decide = |action, resource| evaluate(&documents, action, resource, &Context::new());
    assert_eq!(decide("kms:GetSecretValue", SECRET), Decision::Allowed);
    assert_eq!(decide("oos:GetSecretParameter", "anything"), Decision::Allowed);
    assert_eq!(decide("kms:Decrypt", SECRET), Decision::ImplicitDeny);
    let root = "acs:kms:cn-hangzhou:1:secret/app/root";
    assert_eq!(decide("kms:GetSecretValue", root), Decision::ExplicitDeny);
}
