//! The README's first example, word for word: its role, policy, ServiceAccount, SecretProviderClass and
//! Pod, against a cloud that holds the secrets it names.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{architecture::root, world::Setup};

/// The blocks of one language, in their order.
fn blocks(language: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1);
    blocks.map(|after| after.split("```").next().unwrap().to_owned()).collect()
}

/// The object of this kind among the README's manifests.
fn manifest(kind: &str) -> Value {
    let documents: Vec<Value> = blocks("yaml")
        .iter()
        .flat_map(|block| block.split("---\n").map(str::to_owned).collect::<Vec<_>>())
        .map(|document| serde_yaml_ng::from_str(&document).unwrap())
        .collect();
    let mut found = documents.into_iter().filter(|document| document["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "several {kind}");
    object
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_else(|| panic!("no {path} in {value}"))
}

fn leaked(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[tokio::test]
async fn first_example_mounts_the_files_that_it_names() {
    let [trust, policy] = blocks("json").try_into().unwrap();
    let [trust, policy] = [trust, policy].map(|text| serde_json::from_str::<Value>(&text).unwrap());
    let (account, class, pod) =
        (manifest("ServiceAccount"), manifest("SecretProviderClass"), manifest("Pod"));
    let annotations = &account["metadata"]["annotations"];
    let role = text(annotations, "/ack.alibabacloud.com~1role-arn");
    let name = text(&account, "/metadata/name");
    let issuer = text(&trust, "/Statement/0/Condition/StringEquals/oidc:iss");

    let secret = r#"{"user":"planted-readme-user","password":"planted-readme-password"}"#;
    let role = json!({ "arn": role, "trust": trust, "policies": [policy] });
    let account_entry = json!({ "namespace": "shop", "name": name, "annotations": annotations });
    let world = Setup::default()
        .cloud("https://kubernetes.default.svc", leaked(issuer.to_owned()))
        .cloud("\nroles:\n", leaked(format!("\nroles:\n  - {role}\n")))
        .cloud(
            "\nsecrets:\n",
            leaked(format!(
                "\nsecrets:\n  - {}\n",
                json!({ "name": "shop/database", "value": secret })
            )),
        )
        .cloud(
            "\nparameters:\n",
            "\nparameters:\n  - { name: smtp-password, value: planted-readme-smtp-password }\n",
        )
        .cloud(
            "  service_accounts:\n",
            leaked(format!("  service_accounts:\n    - {account_entry}\n")),
        )
        .start()
        .await;

    assert_eq!(text(&pod, "/spec/serviceAccountName"), name);
    assert_eq!(text(&class, "/spec/provider"), "alibabacloud");
    let volume = &pod["spec"]["volumes"][0]["csi"];
    assert_eq!(text(volume, "/driver"), "secrets-store.csi.k8s.io");
    assert_eq!(
        text(volume, "/volumeAttributes/secretProviderClass"),
        text(&class, "/metadata/name")
    );
    for object in [&account, &class, &pod] {
        assert_eq!(text(object, "/metadata/namespace"), "shop");
    }

    let mut request = world.pod(name, text(&pod, "/metadata/name"));
    let parameters = class["spec"]["parameters"].as_object().unwrap();
    for (name, value) in parameters {
        request = request.parameter(name, value.as_str().unwrap());
    }
    let mounted = world.mount(&request).await.unwrap();
    let files: BTreeMap<&str, (&str, u32)> = mounted
        .files
        .iter()
        .map(|(path, (bytes, mode))| (&**path, (std::str::from_utf8(bytes).unwrap(), *mode)))
        .collect();
    let expected = BTreeMap::from([
        ("database.json", (secret, 0o644)),
        ("database-password", ("planted-readme-password", 0o400)),
        ("smtp-password", ("planted-readme-smtp-password", 0o644)),
    ]);
    assert_eq!(files, expected);
    let text = std::fs::read_to_string(root().join("README.md")).unwrap();
    let said = text.split("The pod has the files").nth(1).unwrap().split("If it").next().unwrap();
    assert!(expected.keys().all(|file| said.contains(&format!("`{file}`"))), "{said}");

    // It may read nothing else.
    let more = world.pod(name, "checkout").objects("- objectName: shared/greeting");
    assert_eq!(world.mount(&more).await.unwrap_err().code(), tonic::Code::PermissionDenied);
    world.finish().await;
}
