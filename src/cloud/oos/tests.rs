use super::{
    super::tests::{Node, ok, text},
    *,
};

#[test]
fn versions_are_ints_or_strings() {
    for (version, expected) in [("7", Some("7")), ("\"7\"", Some("7")), ("null", None)] {
        let json =
            format!(r#"{{"Parameter":{{"Name":"p","Value":"v","ParameterVersion":{version}}}}}"#);
        let one: One = serde_json::from_str(&json).unwrap();
        let got = one.parameter.value("").map(|(_, value)| value.version);
        assert_eq!(got.as_deref(), expected);
    }
    let null = r#"{"Parameter":{"Name":"p","Value":null,"ParameterVersion":1}}"#;
    assert!(serde_json::from_str::<One>(null).unwrap().parameter.value("").is_none());
}

fn region() -> Region {
    Region::parse("cn-beijing").unwrap()
}

async fn get(node: &Node, name: &str, version: Option<u32>) -> Result<Value, Failure> {
    let parameter = ParameterRef { region: region(), name: name.to_owned(), version };
    node.read(async |cloud, options| cloud.get_secret_parameter(options, &parameter).await).await
}

async fn batch(node: &Node, names: &[&str]) -> Result<Vec<Part>, Failure> {
    let region = region();
    let read = node
        .read(async |cloud, options| cloud.get_secret_parameters(options, &region, names).await);
    read.await
}

const ONE: &str = r#"{"Parameter":{"Name":"p","Value":"v","ParameterVersion":7},"RequestId":"r"}"#;

#[tokio::test(start_paused = true)]
async fn version_is_asked_for_where_it_is_given() {
    let node = Node::new(vec![ok(ONE)]);
    get(&node, "p", None).await.unwrap();
    get(&node, "p", Some(7)).await.unwrap();
    assert_eq!(
        node.queries(),
        [
            "Name=p&RegionId=cn-beijing&WithDecryption=true",
            "Name=p&ParameterVersion=7&RegionId=cn-beijing&WithDecryption=true"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn value_has_version_and_request_of_the_answer_and_no_rotation() {
    let value = get(&Node::new(vec![ok(ONE)]), "p", None).await.unwrap();
    assert_eq!((text(&value), &*value.version, &*value.request_id), ("v", "7", "r"));
    assert_eq!(value.rotates_at, None);
}

#[tokio::test(start_paused = true)]
async fn answer_that_is_no_value_of_the_parameter_is_garbled() {
    for said in [
        r#"{"Parameter":{"Name":"other","Value":"v","ParameterVersion":7}}"#,
        r#"{"Parameter":{"Name":"p","Value":null,"ParameterVersion":7}}"#,
        r#"{"Parameter":{"Name":"p","Value":"v","ParameterVersion":-1}}"#,
        r#"{"Parameter":{"Name":"p","Value":"v"}}"#,
        "{}",
        "<html>",
    ] {
        let failure = get(&Node::new(vec![ok(said)]), "p", None).await.unwrap_err();
        let garbled = (Cause::Garbled, Api::GetSecretParameter);
        assert_eq!((failure.cause, failure.api), garbled, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn batch_has_a_part_for_each_parameter_in_their_order() {
    let node =
        Node::new(vec![ok(r#"{"Parameters":[{"Name":"d","Value":"4","ParameterVersion":1},
                          {"Name":"c","Value":null,"ParameterVersion":1},
                          {"Name":"a","Value":"1","ParameterVersion":1}],
            "InvalidParameters":["b"],"RequestId":"r"}"#)]);
    let parts = batch(&node, &["a", "b", "c", "d", "e"]).await.unwrap();
    let [Part::Value(a), Part::Refused, Part::Absent, Part::Value(d), Part::Absent] = &*parts
    else {
        panic!("{parts:?}")
    };
    assert_eq!((text(a), text(d), &*d.request_id), ("1", "4", "r"));
}

#[tokio::test(start_paused = true)]
async fn batch_asks_for_all_names_decrypted() {
    let node = Node::new(vec![ok(r#"{"Parameters":[]}"#)]);
    batch(&node, &["a", "b"]).await.unwrap();
    let list = "Names=%5B%22a%22%2C%22b%22%5D&RegionId=cn-beijing&WithDecryption=true";
    assert_eq!(node.queries(), [list]);
}

#[tokio::test(start_paused = true)]
async fn batch_that_cannot_be_read_is_garbled() {
    for said in ["{}", "<html>"] {
        let failure = batch(&Node::new(vec![ok(said)]), &["a"]).await.unwrap_err();
        assert_eq!((failure.cause, failure.api), (Cause::Garbled, Api::GetSecretParameters));
    }
}
