//! The examples of docs/sidecar.md: their classes and command lines, against the cloud.

use std::{fs, process::Command};

use serde_yaml_ng::{Deserializer, Value};

use super::{HOUR, Pod, ROLE};
use crate::{
    architecture::root,
    program::program,
    world::{AUDIENCE, OIDC_PROVIDER, cloud},
};

fn example(name: &str) -> String {
    fs::read_to_string(root().join("examples/sidecar").join(name)).unwrap()
}

fn documents(name: &str) -> Vec<Value> {
    let text = example(name);
    let documents = Deserializer::from_str(&text);
    documents.map(|one| serde::Deserialize::deserialize(one).unwrap()).collect()
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_sequence().unwrap();
    list.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Of the pod among the documents: what the container runs, and the class that it reads.
fn of_pod(name: &str) -> (Vec<String>, String) {
    let documents = documents(name);
    let of = |kind: &str| documents.iter().find(|one| one["kind"] == kind).unwrap();
    let container = &of("Pod")["spec"]["initContainers"][0];
    let class = of("ConfigMap")["data"]["spc.yaml"].as_str().unwrap().to_owned();
    for (field, wanted) in [("readOnlyRootFilesystem", true), ("allowPrivilegeEscalation", false)] {
        assert_eq!(container["securityContext"][field].as_bool(), Some(wanted), "{name}");
    }
    assert_eq!(of("Pod")["spec"]["securityContext"]["runAsNonRoot"].as_bool(), Some(true));
    assert_eq!(of("Pod")["spec"]["volumes"][0]["emptyDir"]["medium"], "Memory");
    (texts(&container["args"]), class)
}

fn of_compose() -> Vec<String> {
    texts(&documents("compose.yaml")[0]["services"]["secrets"]["command"])
}

fn of_service(line: &str) -> Vec<String> {
    let service = example("shop-secrets.service").replace("\\\n", " ");
    let start = service.lines().find_map(|one| one.strip_prefix(line)).unwrap();
    start.split_whitespace().skip(1).map(str::to_owned).collect()
}

/// The examples' own paths, role and flags of a sidecar replaced by the test's.
fn run(pod: &Pod, arguments: &[String], class: &str, once: bool) -> Command {
    fs::write(pod.given("spc.yaml"), class).unwrap();
    let into = if once { pod.volume.path().display().to_string() } else { "/no/such".to_owned() };
    let of_a_sidecar = ["--watch", "--healthz", "--on-change"];
    let mut command = program();
    for argument in arguments {
        let flag = argument.split('=').next().unwrap();
        if once && of_a_sidecar.iter().any(|prefix| flag.starts_with(prefix)) {
            continue;
        }
        command.arg(match flag {
            "--file" => format!("--file={}", pod.given("spc.yaml").display()),
            "--into" => format!("--into={into}"),
            "--role-arn" => format!("--role-arn={ROLE}"),
            "--oidc-token-file" => format!("--oidc-token-file={}", pod.given("token").display()),
            _ => argument.clone(),
        });
    }
    command
        .arg(format!("--ca-file={}", pod.given("ca.pem").display()))
        .arg(format!("--resolve=*.aliyuncs.com={}", pod.emulator.https_addr()))
        .arg(format!("--metadata-endpoint={}", pod.emulator.metadata_addr()));
    command
}

/// With what the examples read, for the pod's role and for the instance's.
async fn pod() -> Pod {
    let changes = [
        ("acs:kms:*:1234567890123456:secret/no*", "acs:kms:*:1234567890123456:secret/s*"),
        (
            "- allow: [\"kms:GetSecretValue on acs:kms:*:1234567890123456:secret/shared/*\"]\n  - arn: acs:ram::6543210987654321:role/partner",
            "- allow: [\"kms:GetSecretValue on acs:kms:*:1234567890123456:secret/s*\", \"oos:GetSecretParameter* on acs:oos:*:1234567890123456:secretparameter/*\"]\n  - arn: acs:ram::6543210987654321:role/partner",
        ),
        (
            "secrets:\n  - ",
            "secrets:\n  - { name: shop/database, value: '{\"password\": \"planted-example-password\"}' }\n  - ",
        ),
        (
            "parameters:\n",
            "parameters:\n  - { name: smtp-password, value: planted-example-smtp }\n",
        ),
    ];
    let mut pod = Pod::start().await;
    pod.emulator = cloud(&changes).await;
    fs::write(pod.given("ca.pem"), pod.emulator.ca_pem()).unwrap();
    let token = pod.emulator.pod_token("shop", "web", "web-1", "u-1", AUDIENCE, HOUR);
    fs::write(pod.given("token"), token).unwrap();
    pod
}

#[tokio::test]
async fn examples_write_the_files_that_they_name() {
    let class = example("spc.yaml");
    let [init, sidecar, serverless] =
        ["init.yaml", "sidecar.yaml", "serverless.yaml"].map(|name| (name, of_pod(name)));
    let pods =
        [init, sidecar, serverless].map(|(name, (arguments, class))| (name, arguments, class));
    let hosts = [
        ("compose.yaml", of_compose()),
        ("ExecStartPre", of_service("ExecStartPre=")),
        ("ExecStart", of_service("ExecStart=")),
    ];
    let hosts = hosts.map(|(name, arguments)| (name, arguments, class.clone()));
    for (name, arguments, class) in pods.into_iter().chain(hosts) {
        let pod = pod().await;
        let mut command = run(&pod, &arguments, &class, true);
        if name == "serverless.yaml" {
            command
                .env("ALIBABA_CLOUD_ROLE_ARN", ROLE)
                .env("ALIBABA_CLOUD_OIDC_PROVIDER_ARN", OIDC_PROVIDER)
                .env("ALIBABA_CLOUD_OIDC_TOKEN_FILE", pod.given("token"));
        }
        let (status, said) = pod.once(command).await;
        assert_eq!(status, 0, "{name}: {said}");
        assert_eq!(pod.text("smtp-password"), "planted-example-smtp", "{name}");
        assert!(pod.text("database.json").contains("planted-example-password"), "{name}");
        // As a whole the command line is right, and only its folder is not there.
        let (status, said) = pod.once(run(&pod, &arguments, &class, false)).await;
        assert_eq!(status, 73, "{name}: {said}");
    }
}
