//! `policy` and `explain`: the policies that they write let the examples' mounts through and nothing less does,
//! and what they say of files and calls is what a mount has and makes.

mod documents;
mod guides;
mod judged;
mod pictures;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::{Value, json};

use crate::{
    architecture::root,
    check::run,
    driver::Volume,
    world::{Setup, World},
};

/// The same as JSON; it must have gone well.
fn told(command: &str, arguments: &[&str], input: &str) -> Value {
    let all = [&[command, "--output=json"], arguments].concat();
    let (status, said, failed) = run(&all, input);
    assert_eq!((status, &*failed), (0, ""), "{said}");
    serde_json::from_str(&said).unwrap()
}

/// Manifests, and what they are told with.
struct Example {
    manifests: String,
    arguments: Vec<&'static str>,
}

const OPERATOR: [&str; 2] =
    ["--oidc-issuer=https://kubernetes.default.svc", "--cluster-id=c0123456789abcdef"];

fn example(file: &str, arguments: &[&'static str]) -> Example {
    let manifests = fs::read_to_string(root().join(file)).unwrap();
    Example { manifests, arguments: [&OPERATOR, arguments, &["-"]].concat() }
}

/// The README's first example.
fn readme() -> Example {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let manifests = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let arguments = [&OPERATOR[..], &["-"]].concat();
    Example { manifests: manifests.to_owned(), arguments }
}

/// The demo's class, whose workload and ServiceAccount are written elsewhere.
fn demo() -> Example {
    let mut example = example("e2e/demo/checkout.yaml", &["--service-account=shop/checkout"]);
    example.manifests.push_str(
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: checkout\n  namespace: shop\n  \
         annotations: {ack.alibabacloud.com/role-arn: \"acs:ram::1234567890123456:role/checkout\"}\n",
    );
    example
}

/// The key of a secret in a KMS instance.
const KEY: [&str; 2] = [
    "--kms-key=acs:kms:cn-hangzhou:1234567890123456:key/key-ledger",
    "--account-id=1234567890123456",
];

fn examples() -> Vec<Example> {
    vec![
        readme(),
        demo(),
        example("examples/policy/shop.yaml", &[]),
        example("examples/policy/instance.yaml", &KEY),
    ]
}

impl Example {
    fn told(&self, command: &str) -> Value {
        told(command, &self.arguments, &self.manifests)
    }

    fn documents(&self) -> Vec<Value> {
        let documents = serde_yaml_ng::Deserializer::from_str(&self.manifests);
        documents.map(|one| serde::Deserialize::deserialize(one).unwrap()).collect()
    }

    /// A cloud that has what the manifests name, and these roles alone beside the usual ones.
    fn setup(&self, policies: &Value) -> Setup {
        let roles = policies["roles"].as_array().unwrap().iter().map(|role| {
            let documents = role["permission_policies"].as_array().unwrap();
            let documents: Vec<&Value> = documents.iter().map(|of| &of["document"]).collect();
            json!({ "arn": role["arn"], "trust": role["trust_policy"], "policies": documents })
        });
        let accounts = self.documents().into_iter().filter(|one| one["kind"] == "ServiceAccount");
        let accounts = accounts.map(|one| {
            let of = &one["metadata"];
            json!({ "namespace": of["namespace"], "name": of["name"], "annotations": of["annotations"] })
        });
        let secret = |name: &str| json!({ "name": name, "value": "planted-value-of-an-example" });
        let database = json!({
            "username": "planted-example-username",
            "password": "planted-example-password",
            "hosts": ["planted-example-host"],
            "tls.crt": "planted-example-certificate",
            "keystore": "cGxhbnRlZC1leGFtcGxlLWtleXN0b3Jl",
        });
        let versions = |name: &str, previous: &str, current: &str| {
            let version = |id: &str, stage: &str| json!({ "id": id, "value": format!("planted-{id}-of-{name}"), "stages": [stage] });
            json!({ "name": name, "versions": [version(previous, "ACSPrevious"), version(current, "ACSCurrent")] })
        };
        let secrets = [
            json!({ "name": "shop/database", "value": database.to_string() }),
            secret("shop/tls-key"),
            versions("shop/api-key", "v1", "v2"),
            versions("shop/licence", "v2023-01", "v2024-01"),
            secret("shop/db-password"),
            secret("shop/payment-key"),
            json!({
                "name": "partner/prices",
                "account": "6543210987654321",
                "value": "planted-value-of-prices",
            }),
            json!({
                "name": "ledger/signing-key",
                "instance": "kst-hzz0001",
                "key_id": "key-ledger",
                "value": "planted-value-of-the-ledger",
            }),
        ];
        let users = ["planted-user-1", "planted-user-2", "planted-user-3"];
        let parameters =
            [json!({ "name": "smtp-user", "versions": users }), secret("smtp-password")];
        let list = |head: &str, items: Vec<Value>| -> &'static str {
            let items: String = items.iter().map(|item| format!("  - {item}\n")).collect();
            Box::leak(format!("\n{head}:\n{items}").into_boxed_str())
        };
        let accounts: String = accounts.map(|account| format!("    - {account}\n")).collect();
        let accounts = format!("  service_accounts:\n{accounts}");
        Setup::default()
            .cloud("\nroles:\n", list("roles", roles.collect()))
            .cloud("\nsecrets:\n", list("secrets", secrets.to_vec()))
            .cloud("\nparameters:\n", list("parameters", parameters.to_vec()))
            .cloud("  service_accounts:\n", Box::leak(accounts.into_boxed_str()))
    }

    /// What a pod of this explanation gets.
    async fn mount(&self, world: &World, explanation: &Value) -> Result<Volume, tonic::Status> {
        let class = self.documents().into_iter().find(|one| {
            one["kind"] == "SecretProviderClass"
                && one["metadata"]["name"] == explanation["secret_provider_class"]
        });
        let account = explanation["service_account"].as_str().unwrap();
        let mut pod = world.pod(account, &pod_of(explanation));
        for (name, value) in class.unwrap()["spec"]["parameters"].as_object().unwrap() {
            pod = pod.parameter(name, value.as_str().unwrap());
        }
        world.mount(&pod).await
    }

    /// Whether all mounts succeed with these policies.
    async fn works_with(&self, policies: &Value) -> bool {
        let world = self.setup(policies).start().await;
        let mut works = true;
        for explanation in self.told("explain")["mounts"].as_array().unwrap() {
            works &= self.mount(&world, explanation).await.is_ok();
        }
        world.finish().await;
        works
    }
}

/// The pod's own name, or one that a workload's pod could have.
fn pod_of(explanation: &Value) -> String {
    match explanation["user"].as_str().unwrap().strip_prefix("Pod shop/") {
        Some(name) => name.to_owned(),
        None => format!("{}-1", explanation["service_account"].as_str().unwrap()),
    }
}

/// Each with one statement less, and what that was.
fn with_one_statement_less(policies: &Value) -> Vec<(Value, Value)> {
    let mut all = Vec::new();
    for (number, role) in policies["roles"].as_array().unwrap().iter().enumerate() {
        let documents = role["permission_policies"].as_array().unwrap().len();
        let paths = (0..documents)
            .map(|document| {
                format!("/roles/{number}/permission_policies/{document}/document/Statement")
            })
            .chain([format!("/roles/{number}/trust_policy/Statement")]);
        for path in paths {
            for at in 0..policies.pointer(&path).unwrap().as_array().unwrap().len() {
                let mut less = policies.clone();
                let removed = less.pointer_mut(&path).unwrap().as_array_mut().unwrap().remove(at);
                all.push((less, removed));
            }
        }
    }
    all
}

/// Each with one resource less, where a statement has several.
fn with_one_resource_less(policies: &Value) -> Vec<(Value, Value)> {
    let mut all = Vec::new();
    for (number, role) in policies["roles"].as_array().unwrap().iter().enumerate() {
        let statements = &role["permission_policies"][0]["document"]["Statement"];
        for at in 0..statements.as_array().unwrap().len() {
            let path =
                format!("/roles/{number}/permission_policies/0/document/Statement/{at}/Resource");
            let several = policies.pointer(&path).unwrap().as_array().map_or(0, Vec::len);
            for resource in 0..several {
                let mut less = policies.clone();
                let list = less.pointer_mut(&path).unwrap().as_array_mut().unwrap();
                let removed = list.remove(resource);
                all.push((less, removed));
            }
        }
    }
    all
}

#[tokio::test]
async fn generated_policies_let_examples_mount_and_nothing_less_does() {
    let mut tried = 0;
    for example in examples() {
        let policies = example.told("policy");
        assert!(policies["placeholders"].as_object().unwrap().is_empty(), "{policies:#}");
        assert!(example.works_with(&policies).await, "{policies:#}");
        let less = with_one_statement_less(&policies).into_iter();
        for (less, removed) in less.chain(with_one_resource_less(&policies)) {
            assert!(!example.works_with(&less).await, "not needed: {removed:#}");
            tried += 1;
        }
    }
    assert!(tried > 20, "{tried}");
}

/// Calls as `explain` and the cloud have them: operation, host, what was asked for, and by which role.
type Calls = Vec<(String, String, Vec<String>, String)>;

fn told_calls(explanation: &Value) -> Calls {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let own = text(&explanation["identity"]["role"]);
    let calls = explanation["calls"].as_array().unwrap().iter().map(|call| {
        let objects = call["objects"].as_array().into_iter().flatten().map(&text);
        let mut objects: Vec<String> = objects.collect();
        let role = text(&call["role"]);
        let by = match (&*objects, &*role) {
            // A login has no caller but for one role that assumes another.
            ([], role) => {
                let by = if role == own { String::new() } else { own.clone() };
                objects = vec![role.to_owned()];
                by
            }
            (_, "") => own.clone(),
            (_, role) => role.to_owned(),
        };
        objects.sort();
        (text(&call["operation"]), text(&call["host"]), objects, by)
    });
    let mut calls: Calls = calls.collect();
    calls.sort();
    calls
}

fn made_calls(world: &World) -> Calls {
    let requests = world.emulator.requests().into_iter();
    let requests = requests.filter(|of| matches!(&*of.service, "sts" | "kms" | "oos"));
    let calls = requests.map(|of| {
        assert_eq!(of.status, 200, "{of:?}");
        let host = of.host.split(':').next().unwrap().to_owned();
        let mut objects = of.objects;
        objects.sort();
        (of.action, host, objects, of.principal.map_or_else(String::new, |by| by.arn))
    });
    let mut calls: Calls = calls.collect();
    calls.sort();
    calls
}

#[tokio::test]
async fn explained_files_calls_and_sessions_are_those_of_a_mount() {
    let mut compared = 0;
    for example in examples() {
        let (policies, explanations) = (example.told("policy"), example.told("explain"));
        for explanation in explanations["mounts"].as_array().unwrap() {
            let world = example.setup(&policies).start().await;
            let mounted = example.mount(&world, explanation).await.unwrap();
            let files: BTreeMap<String, String> = mounted
                .files
                .iter()
                .map(|(path, (_, mode))| (path.clone(), format!("{mode:04o}")))
                .collect();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let told = explanation["files"].as_array().unwrap().iter();
            let told: BTreeMap<String, String> =
                told.map(|file| (text(&file["path"]), text(&file["mode"]))).collect();
            assert_eq!(told, files);
            assert_eq!(told_calls(explanation), made_calls(&world));
            let session = text(&explanation["identity"]["session"]);
            let session = session.replace("POD", &pod_of(explanation));
            let principals = world.emulator.requests().into_iter().filter_map(|of| of.principal);
            let made: BTreeSet<String> = principals.filter_map(|of| of.session_name).collect();
            assert_eq!(made, BTreeSet::from([session]));
            compared += files.len();
            world.finish().await;
        }
    }
    assert!(compared >= 10, "{compared}");
}

/// Without the caller, which is a RAM user or an instance's role that manifests do not name.
fn without_callers(calls: Calls) -> Vec<(String, String, Vec<String>)> {
    let cloud = calls.into_iter().filter(|(operation, ..)| operation != "instance metadata");
    cloud.map(|(operation, host, objects, _)| (operation, host, objects)).collect()
}

#[tokio::test]
async fn explained_calls_of_identities_that_pods_share_are_those_of_a_mount() {
    const ROLE: &str = "acs:ram::1234567890123456:role/provider";
    const PARTNER: &str = "acs:ram::6543210987654321:role/partner";
    let all = "pod,provider,ram-role,node-publish-secret,access-key,ecs-role";
    let greeting = "- objectName: shared/greeting";
    let partner = format!("- objectName: partner/secret\n  crossAccountRoleArn: {PARTNER}");
    for (mode, objects, calls) in [
        ("provider", greeting, 2),
        ("ram-role", greeting, 2),
        ("node-publish-secret", greeting, 1),
        ("access-key", greeting, 1),
        ("ecs-role", greeting, 1),
        ("provider", &partner, 3),
    ] {
        let class = json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClass",
            "metadata": { "name": "c", "namespace": "shop" },
            "spec": {
                "provider": "alibabacloud",
                "parameters": { "identity": mode, "objects": objects },
            },
        });
        let (identities, roles) = (
            format!("--allowed-identities={all}"),
            format!("--allowed-cross-account-roles={PARTNER}"),
        );
        let role = format!("--role-arn={ROLE}");
        let arguments = [&*identities, &roles, &role, "--service-account=web", "-"];
        let explanation = told("explain", &arguments, &class.to_string())["mounts"][0].take();
        let world = Setup::default()
            .own_token()
            .flag("allowed-identities", all)
            .flag("allowed-cross-account-roles", PARTNER)
            .env("ALICLOUD_ROLE_ARN", ROLE)
            .env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001")
            .env("SECRET_ACCESS_KEY", "planted-access-key-secret-0001")
            .start()
            .await;
        let pod = world
            .pod("web", "web-1")
            .parameter("identity", mode)
            .objects(objects)
            .secret("access_key", "LTAI5tEXAMPLEKEYID000002")
            .secret("access_SECRET", "planted-access-key-secret-0002");
        world.mount(&pod).await.unwrap();
        let made = without_callers(made_calls(&world));
        assert_eq!(without_callers(told_calls(&explanation)), made, "{mode}");
        assert_eq!(made.len(), calls, "{mode}");
        assert_eq!(explanation["identity"]["mode"], mode);
        world.finish().await;
    }
}

/// The role and policy that the README has its readers make.
#[test]
fn policies_of_the_readme_are_those_that_are_written() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    let written: Vec<Value> = text
        .split("```json\n")
        .skip(1)
        .map(|rest| serde_json::from_str(rest.split("```").next().unwrap()).unwrap())
        .collect();
    let mut example = readme();
    example.arguments[0] =
        "--oidc-issuer=https://oidc-ack-cn-hangzhou.oss-cn-hangzhou.aliyuncs.com/c0123456789abcdef";
    let role = &example.told("policy")["roles"][0];
    let [trust, policy] = written.try_into().unwrap();
    assert_eq!(role["trust_policy"], trust);
    assert_eq!(role["permission_policies"][0]["document"], policy);
}
