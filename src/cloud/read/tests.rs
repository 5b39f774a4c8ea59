use super::{
    super::tests::{Node, ok, text},
    *,
};
use crate::{
    names::Region,
    spc::source::{kms::SecretRef, oos::ParameterRef},
};

fn secret(name: &str) -> Source {
    Source::Kms(SecretRef { name: name.to_owned(), version_id: None, stage: None })
}

fn parameter(name: &str) -> Source {
    let region = Region::parse("cn-hangzhou").unwrap();
    Source::Oos(ParameterRef { region, name: name.to_owned(), version: None })
}

#[tokio::test(start_paused = true)]
async fn each_source_is_read_by_its_own_operation() {
    let node = Node::new(vec![
        ok(r#"{"SecretName":"a","SecretData":"of KMS","VersionId":"1"}"#),
        ok(r#"{"Parameter":{"Name":"a","Value":"of OOS","ParameterVersion":1}}"#),
    ]);
    for (source, expected) in [(secret("a"), "of KMS"), (parameter("a"), "of OOS")] {
        let read = node.read(async |cloud, options| cloud.read_one(options, &source).await);
        assert_eq!(text(&read.await.unwrap()), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn batch_of_secrets_has_a_part_for_each_in_their_order() {
    let node = Node::new(vec![ok(
        r#"{"SecretValues":[{"SecretName":"c","SecretData":"3","VersionId":"1"},
                            {"SecretName":"a","SecretData":"1","VersionId":"1"}]}"#,
    )]);
    let sources = ["a", "b", "c"].map(secret);
    let sources: Vec<&Source> = sources.iter().collect();
    let parts = node.read(async |cloud, options| cloud.read_batch(options, &sources).await).await;
    let parts = parts.unwrap();
    let [Part::Value(a), Part::Absent, Part::Value(c)] = &*parts else { panic!("{parts:?}") };
    assert_eq!((text(a), text(c)), ("1", "3"));
}

#[tokio::test(start_paused = true)]
async fn batch_of_both_types_is_not_sent() {
    let node = Node::new(vec![ok("{}")]);
    let (a, b) = (secret("a"), parameter("b"));
    let read = node.read(async |cloud, options| cloud.read_batch(options, &[&a, &b]).await);
    assert_eq!(read.await.unwrap_err().cause, Cause::Unsendable);
    assert_eq!(node.queries(), [""; 0]);
}
