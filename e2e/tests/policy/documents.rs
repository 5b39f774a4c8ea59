//! The forms of the same policies, and what is said beside them.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{examples, run};
use crate::architecture::root;

/// Permission and trust policies of all roles.
fn all(policies: &Value) -> Vec<Value> {
    let roles = policies["roles"].as_array().unwrap().iter();
    let mut all: Vec<Value> = roles
        .flat_map(|role| {
            let permissions = role["permission_policies"].as_array().unwrap().iter();
            permissions.map(|of| of["document"].clone()).chain([role["trust_policy"].clone()])
        })
        .collect();
    all.sort_by_key(Value::to_string);
    all
}

/// A stand-in for `aliyun` that knows no role and no policy, and writes down what it is told.
const ALIYUN: &str =
    "#!/bin/sh\nprintf '%s\\n' \"$@\" >> \"$ALIYUN_TOLD\"\ncase \"$2\" in Get*) exit 1;; esac\n";

#[test]
fn commands_for_a_shell_hand_over_the_documents() {
    for example in examples() {
        let arguments = [&["policy", "--output=aliyun"], &*example.arguments].concat();
        let (status, script, _) = run(&arguments, &example.manifests);
        assert_eq!(status, 0);
        let folder = TempDir::new().unwrap();
        let (aliyun, told) = (folder.path().join("aliyun"), folder.path().join("told"));
        fs::write(&aliyun, ALIYUN).unwrap();
        fs::set_permissions(&aliyun, fs::Permissions::from_mode(0o755)).unwrap();
        let ended = Command::new("sh")
            .arg("-euc")
            .arg(&script)
            .env("PATH", format!("{}:/usr/bin:/bin", folder.path().display()))
            .env("ALIYUN_TOLD", &told)
            .status()
            .unwrap();
        assert!(ended.success(), "{script}");
        let told = fs::read_to_string(told).unwrap();
        let documents = told.lines().filter(|line| line.starts_with('{'));
        let mut documents: Vec<Value> =
            documents.map(|line| serde_json::from_str(line).unwrap()).collect();
        documents.sort_by_key(Value::to_string);
        assert_eq!(documents, all(&example.told("policy")));
        for command in ["CreateRole", "CreatePolicy", "AttachPolicyToRole"] {
            assert!(told.lines().any(|line| line == command), "{told}");
        }
    }
}

#[test]
fn script_with_placeholders_ends_before_it_changes_anything() {
    let path = "examples/policy/instance.yaml";
    let (_, script, _) = run(&["policy", "--output=aliyun", path], "");
    let ended =
        Command::new("/bin/sh").arg("-c").arg(&script).env("PATH", "/nowhere").output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(
        said,
        "fill in ACCOUNT_ID, CLUSTER_ID, KEY_ID, OIDC_ISSUER first, then remove this line\n"
    );
}

#[test]
fn terraform_has_the_documents_and_names_what_it_refers_to() {
    for example in examples() {
        let arguments = [&["policy", "--output=terraform"], &*example.arguments].concat();
        let (status, said, _) = run(&arguments, &example.manifests);
        assert_eq!(status, 0);
        let texts = said.split("<<-EOT\n").skip(1).map(|rest| rest.split("  EOT").next().unwrap());
        let mut documents: Vec<Value> =
            texts.map(|text| serde_json::from_str(text).unwrap()).collect();
        documents.sort_by_key(Value::to_string);
        assert_eq!(documents, all(&example.told("policy")));
        for reference in said.split(['=', ' ', '\n']).filter(|word| word.starts_with("alicloud_")) {
            let parts: Vec<&str> = reference.split('.').collect();
            let resource = format!("resource \"{}\" \"{}\" {{", parts[0], parts[1]);
            assert!(said.contains(&resource), "{reference}: {said}");
        }
        assert_eq!(said.matches('{').count(), said.matches('}').count());
    }
}

#[test]
fn what_nothing_given_says_is_a_placeholder_with_what_fills_it() {
    let class = "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\n\
                 metadata: {name: c}\nspec:\n  provider: alibabacloud\n  \
                 parameters: {objects: '- objectName: a'}\n";
    let (status, said, _) = run(&["policy", "--output=json", "-"], class);
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &told["roles"]), (0, &serde_json::json!([])));
    assert_eq!(told["unused"][0], "SecretProviderClass c");

    let (status, said, _) = run(&["policy", "--output=json", "--service-account=web", "-"], class);
    let told: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(status, 0);
    let role = &told["roles"][0];
    assert_eq!(role["arn"], "acs:ram::ACCOUNT_ID:role/ROLE_OF_NAMESPACE_WEB");
    let resource = &role["permission_policies"][0]["document"]["Statement"][0]["Resource"];
    assert_eq!(resource, "acs:kms:cn-hangzhou:*:secret/a");
    let placeholders: Vec<&String> = told["placeholders"].as_object().unwrap().keys().collect();
    let expected =
        ["ACCOUNT_ID", "CLUSTER_ID", "NAMESPACE", "OIDC_ISSUER", "ROLE_OF_NAMESPACE_WEB"];
    assert_eq!(placeholders, expected);
    assert!(told["notes"].to_string().contains("* stands for the account"));
}

#[test]
fn policies_are_split_where_ram_would_not_take_one() {
    let objects: String =
        (0..150).map(|n| format!("      - objectName: shop/secret-{n}\n")).collect();
    let class = format!(
        "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\n\
         metadata: {{name: c, namespace: shop}}\nspec:\n  provider: alibabacloud\n  parameters:\n    \
         roleArn: acs:ram::1234567890123456:role/web\n    objects: |\n{objects}"
    );
    let (status, said, _) = run(&["policy", "--output=json", "--service-account=web", "-"], &class);
    assert_eq!(status, 0);
    let told: Value = serde_json::from_str(&said).unwrap();
    let policies = told["roles"][0]["permission_policies"].as_array().unwrap();
    assert_eq!(policies.len(), 2);
    assert!(policies.iter().all(|of| of["document"].to_string().len() <= 6144));
    assert_eq!(policies[1]["name"], "web-secrets-2");
    let resources = policies.iter().flat_map(|of| {
        of["document"]["Statement"][0]["Resource"].as_array().unwrap().iter().map(Value::to_string)
    });
    assert_eq!(resources.collect::<std::collections::BTreeSet<_>>().len(), 150);
}

#[test]
fn what_a_mount_refuses_is_granted_nothing_and_told() {
    let (status, said, _) =
        run(&["policy", "--service-account=web", "e2e/check/unknown-field.yaml"], "");
    assert_eq!(status, 1);
    assert!(said.contains("error: SecretProviderClass") && !said.contains("kms:"), "{said}");
}

#[test]
fn exit_status_tells_a_wrong_command_line_from_a_file_that_cannot_be_read() {
    for (arguments, status) in [
        (&["policy"][..], 64),
        (&["policy", "--output=yaml", "README.md"], 64),
        (&["policy", "--role=a", "examples/policy"], 64),
        (&["policy", "--kms-key=a", "examples/policy"], 64),
        (&["policy", "--oidc-issuer=http://a", "examples/policy"], 64),
        (&["policy", "--output=aliyun", "--check=a", "examples/policy"], 64),
        (&["policy", "--check=AliyunKMSFullAccess", "examples/policy"], 64),
        (&["policy", "--check=README.md", "--role=storefront", "examples/policy"], 65),
        (&["policy", "/does/not/exist.yaml"], 66),
        (&["policy", "--check=/does/not/exist", "examples/policy/instance.yaml"], 66),
        (&["policy", "--audit=/does/not/exist", "examples/policy"], 66),
        (&["explain"], 64),
        (&["explain", "--outage-grace=never", "examples/policy"], 64),
        (&["explain", "/does/not/exist.yaml"], 66),
        (&["explain", "--service-account=web", "e2e/check/unknown-field.yaml"], 1),
        (&["explain", "examples/policy"], 0),
    ] {
        let (ended, said, failed) = run(arguments, "");
        assert_eq!(ended, status, "{arguments:?} {said}{failed}");
        assert_eq!(failed.is_empty(), ended < 2, "{failed}");
    }
}

/// Each block of a document that begins with the program's name, and what the program says.
#[test]
fn outputs_in_the_documents_are_what_the_program_says() {
    const PROGRAM: &str = "$ csi-secrets-store-provider-alibabacloud ";
    let mut blocks = 0;
    for name in ["docs/policy.md", "docs/explain.md"] {
        let path = root().join(name);
        let document = fs::read_to_string(&path).unwrap();
        let mut written = document.clone();
        for block in document.split("```console\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let (command, shown) = block.split_once("\n").unwrap();
            let arguments = command.strip_prefix(PROGRAM).unwrap();
            let arguments: Vec<&str> = arguments.split_whitespace().collect();
            let (_, said, failed) = run(&arguments, "");
            assert_eq!(failed, "", "{command}");
            written =
                written.replacen(&format!("{command}\n{shown}"), &format!("{command}\n{said}"), 1);
            blocks += 1;
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, &written).unwrap();
        } else {
            assert!(written == document, "UPDATE_DOCS=1 writes {name} anew:\n{written}");
        }
    }
    assert!(blocks >= 5, "{blocks}");
}

#[test]
fn parameters_of_a_volume_and_secret_syncs_count() {
    let manifests = "apiVersion: secrets-store.csi.x-k8s.io/v1\nkind: SecretProviderClass\n\
         metadata: {name: c, namespace: shop}\nspec:\n  provider: alibabacloud\n  parameters:\n    \
         roleArn: acs:ram::1234567890123456:role/web\n    objects: '- objectName: a'\n\
         ---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nspec:\n  \
         serviceAccountName: pod-account\n  volumes:\n    - name: v\n      csi:\n        \
         driver: secrets-store.csi.k8s.io\n        readOnly: true\n        \
         volumeAttributes: {secretProviderClass: c, region: REGION}\n\
         ---\napiVersion: secret-sync.x-k8s.io/v1alpha1\nkind: SecretSync\n\
         metadata: {name: s, namespace: shop}\nspec: {serviceAccountName: sync-account, \
         secretProviderClassName: c}\n";
    let told = |region: &str| {
        let manifests = manifests.replace("REGION", region);
        let (status, said, _) = run(&["policy", "--output=json", "-"], &manifests);
        (status, serde_json::from_str::<Value>(&said).unwrap())
    };
    let (status, json) = told("cn-beijing");
    assert_eq!(status, 0);
    let role = &json["roles"][0];
    let resources = &role["permission_policies"][0]["document"]["Statement"][0]["Resource"];
    let of = |region: &str| format!("acs:kms:{region}:1234567890123456:secret/a");
    assert_eq!(*resources, serde_json::json!([of("cn-beijing"), of("cn-hangzhou")]));
    let subjects = &role["trust_policy"]["Statement"][0]["Condition"]["StringEquals"]["oidc:sub"];
    let of = |account: &str| format!("system:serviceaccount:shop:{account}");
    assert_eq!(*subjects, serde_json::json!([of("pod-account"), of("sync-account")]));

    let (status, json) = told("[cn-beijing]");
    assert_eq!((status, &json["refused"][0]["subject"]), (1, &serde_json::json!("Pod shop/p")));
}
