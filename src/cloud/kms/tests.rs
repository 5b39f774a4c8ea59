use super::{
    super::tests::{Node, Said, ok, text},
    *,
};

fn value(json: &str) -> Option<Value> {
    serde_json::from_str::<Answer>(json).ok()?.value(None)
}

#[test]
fn text_and_binary_values() {
    let text = value(r#"{"SecretData":"v","SecretDataType":"text","VersionId":"1","X":null}"#);
    assert_eq!(text.unwrap().bytes.expose(), b"v");
    let binary = value(r#"{"SecretData":"AAH/","SecretDataType":"binary","VersionId":"1"}"#);
    assert_eq!(binary.unwrap().bytes.expose(), &[0, 1, 255]);
    for stages in [r#"["A"]"#, r#"{"VersionStage":["A"]}"#, "null"] {
        let json = format!(r#"{{"SecretData":"v","VersionId":"1","VersionStages":{stages}}}"#);
        assert!(value(&json).is_some());
    }
}

#[test]
fn answer_is_of_its_own_secret_alone() {
    let arn = "acs:kms:cn-hangzhou:1:secret/web/plain";
    for (answered, asked, expected) in [
        (r#""web/plain""#, "web/plain", true),
        (r#""web/plain""#, arn, true),
        (r#""acs:kms:cn-hangzhou:1:secret/web/plain""#, arn, true),
        ("null", "web/plain", true),
        (r#""web/other""#, "web/plain", false),
        (r#""plain""#, "web/plain", false),
        (r#""web/other""#, arn, false),
    ] {
        let json = format!(r#"{{"SecretName":{answered},"SecretData":"v","VersionId":"1"}}"#);
        let answer: Answer = serde_json::from_str(&json).unwrap();
        assert_eq!(answer.is_of(asked), expected, "{answered} {asked}");
    }
}

#[test]
fn an_answer_without_a_value_is_none() {
    for bad in [
        r#"{"SecretData":null,"VersionId":"1"}"#,
        r#"{"VersionId":"1"}"#,
        r#"{"SecretData":"v"}"#,
        r#"{"SecretData":"not base64","SecretDataType":"binary","VersionId":"1"}"#,
        r#"{"SecretData":"v","SecretDataType":"other","VersionId":"1"}"#,
        r#"{"Code":"x"}"#,
        "<html>",
    ] {
        assert!(value(bad).is_none(), "{bad}");
    }
}

fn secret(name: &str, version_id: Option<&str>, stage: Option<&str>) -> SecretRef {
    let own = |text: Option<&str>| text.map(str::to_owned);
    SecretRef { name: name.to_owned(), version_id: own(version_id), stage: own(stage) }
}

async fn get(node: &Node, secret: &SecretRef) -> Result<Value, Failure> {
    node.read(async |cloud, options| cloud.get_secret_value(options, secret).await).await
}

/// The values of secrets, where the answer has them.
async fn batch(said: Said, secrets: &[SecretRef]) -> Result<Vec<Option<String>>, Failure> {
    let node = Node::new(vec![said]);
    let secrets: Vec<&SecretRef> = secrets.iter().collect();
    let read =
        node.read(async |cloud, options| cloud.batch_get_secret_value(options, &secrets).await);
    let values = read.await?;
    Ok(values.iter().map(|value| value.as_ref().map(|value| text(value).to_owned())).collect())
}

#[tokio::test(start_paused = true)]
async fn version_and_label_are_asked_for_where_they_are_given() {
    let node = Node::new(vec![ok(r#"{"SecretData":"v","VersionId":"1"}"#)]);
    for secret in
        [secret("a", None, None), secret("a", Some("v1"), None), secret("a", None, Some("old"))]
    {
        get(&node, &secret).await.unwrap();
    }
    assert_eq!(
        node.queries(),
        ["SecretName=a", "SecretName=a&VersionId=v1", "SecretName=a&VersionStage=old"]
    );
}

#[tokio::test(start_paused = true)]
async fn answer_of_another_secret_is_garbled() {
    let node = Node::new(vec![ok(r#"{"SecretName":"b","SecretData":"v","VersionId":"1"}"#)]);
    let failure = get(&node, &secret("a", None, None)).await.unwrap_err();
    assert_eq!((failure.cause, failure.api), (Cause::Garbled, Api::GetSecretValue));
}

#[tokio::test(start_paused = true)]
async fn value_has_the_request_and_the_rotation_that_the_answer_tells() {
    let node = Node::new(vec![ok(
        r#"{"SecretData":"v","VersionId":"7","RequestId":"r-1","AutomaticRotation":"Enabled",
            "NextRotationDate":"2126-01-01T00:00:00Z"}"#,
    )]);
    let value = get(&node, &secret("a", None, None)).await.unwrap();
    assert_eq!((&*value.version, &*value.request_id), ("7", "r-1"));
    assert_eq!(value.rotates_at, Some("2126-01-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn rotation_that_is_not_enabled_has_no_date() {
    for rotation in ["Disabled", "Paused", "Invalid"] {
        let json = format!(
            r#"{{"SecretData":"v","VersionId":"1","AutomaticRotation":"{rotation}",
                "NextRotationDate":"2126-01-01T00:00:00Z"}}"#
        );
        assert_eq!(value(&json).unwrap().rotates_at, None, "{rotation}");
    }
}

#[test]
fn request_id_that_is_no_identifier_is_left_out() {
    assert_eq!(request_id(Some("0d7e-1")), "0d7e-1");
    assert_eq!(request_id(Some("a b\n")), "");
    assert_eq!(request_id(None), "");
}

#[tokio::test(start_paused = true)]
async fn batch_asks_for_each_secret_with_its_version() {
    let node = Node::new(vec![ok("{}")]);
    let secrets = [secret("a", None, None), secret("b", Some("v1"), Some("old"))];
    let secrets: Vec<&SecretRef> = secrets.iter().collect();
    let read =
        node.read(async |cloud, options| cloud.batch_get_secret_value(options, &secrets).await);
    read.await.unwrap();
    let list = r#"[{"SecretName":"a"},{"SecretName":"b","VersionId":"v1","VersionStage":"old"}]"#;
    let query = super::super::sign::canonical_query([("SecretsList", list)]);
    assert_eq!(node.queries(), [query]);
}

#[tokio::test(start_paused = true)]
async fn secret_of_another_version_is_not_in_a_batch() {
    let said = || ok(r#"{"SecretValues":[{"SecretName":"a","SecretData":"1","VersionId":"v2"}]}"#);
    for (asked, expected) in [(Some("v1"), None), (Some("v2"), Some("1")), (None, Some("1"))] {
        let values = batch(said(), &[secret("a", asked, None)]).await.unwrap();
        assert_eq!(values[0].as_deref(), expected, "{asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn secret_without_a_name_is_nobodys_in_a_batch() {
    let said = ok(r#"{"SecretValues":[{"SecretData":"1","VersionId":"v"}]}"#);
    assert_eq!(batch(said, &[secret("a", None, None)]).await.unwrap(), [None]);
}

#[tokio::test(start_paused = true)]
async fn batch_without_a_list_has_none_of_its_secrets() {
    assert_eq!(batch(ok("{}"), &[secret("a", None, None)]).await.unwrap(), [None]);
}

#[tokio::test(start_paused = true)]
async fn batch_that_cannot_be_read_is_garbled() {
    for said in ["<html>", r#"{"SecretValues":[{"SecretName":"a"}]}"#] {
        let failure = batch(ok(said), &[secret("a", None, None)]).await.unwrap_err();
        assert_eq!((failure.cause, failure.api), (Cause::Garbled, Api::BatchGetSecretValue));
    }
}

#[tokio::test(start_paused = true)]
async fn values_of_a_batch_have_its_request() {
    let node = Node::new(vec![ok(
        r#"{"SecretValues":[{"SecretName":"a","SecretData":"1","VersionId":"v","RequestId":"part"}],
            "RequestId":"whole"}"#,
    )]);
    let a = secret("a", None, None);
    let read = node.read(async |cloud, options| cloud.batch_get_secret_value(options, &[&a]).await);
    assert_eq!(read.await.unwrap()[0].as_ref().unwrap().request_id, "whole");
}
