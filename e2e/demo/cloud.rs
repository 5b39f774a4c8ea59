//! The emulator's listeners, as kubelet and this program's author use them.

use std::{fs, net::SocketAddr, path::Path};

use bytes::Bytes;
use emulator::{Config, RequestRecord, fetch};
use http_body_util::Full;
use hyper::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Fault, driver::PodVolume, processes::Process};

pub(crate) const AUDIENCE: &str = "sts.aliyuncs.com";

/// What the emulator prints when it listens.
#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Addresses {
    pub(crate) https: SocketAddr,
    pub(crate) kubernetes: SocketAddr,
    control: SocketAddr,
}

pub(crate) struct Cloud {
    pub(crate) addresses: Addresses,
    content: Config,
    ca_file: String,
    /// Calls up to this one have been told about.
    told: u64,
}

impl Cloud {
    /// Starts the emulator with this content; its CA is in `ca/ca.pem` of the directory.
    pub(crate) async fn start(
        program: &Path,
        directory: &Path,
        yaml: &str,
        arguments: &[&str],
    ) -> Result<(Process, Self), Fault> {
        let (file, ca) = (directory.join("cloud.yaml"), directory.join("ca"));
        fs::write(&file, yaml)?;
        let mut all =
            vec![format!("--config={}", file.display()), format!("--ca-dir={}", ca.display())];
        let listeners = ["", "http-", "metadata-", "kubernetes-", "control-"];
        all.extend(listeners.map(|listener| format!("--{listener}listen=127.0.0.1:0")));
        all.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        let mut process = Process::start(program, &all, directory)?;
        let log = process.log_path().to_owned();
        let listening = async || {
            let text = fs::read_to_string(&log).ok()?;
            serde_json::from_str::<Addresses>(text.split_once('\n')?.0).ok()
        };
        let addresses = process.until("it listened", listening).await?;
        let ca_file = ca.join("ca.pem").display().to_string();
        let content = Config::from_yaml(yaml)?;
        Ok((process, Self { addresses, content, ca_file, told: 0 }))
    }

    pub(crate) fn ca_file(&self) -> &str {
        &self.ca_file
    }

    /// The value that its content gives a secret or parameter.
    pub(crate) fn value(&self, name: &str) -> &str {
        let Config { secrets, parameters, .. } = &self.content;
        let secret = secrets.iter().find(|s| s.name == name).and_then(|s| s.value.as_deref());
        let parameter = || parameters.iter().find(|p| p.name == name)?.value.as_deref();
        secret.or_else(parameter).unwrap_or_default()
    }

    /// A token as kubelet asks for it; returns it with the time at which it ends.
    pub(crate) async fn pod_token(&self, pod: &PodVolume) -> Result<(String, String), Fault> {
        let PodVolume { namespace, service_account, .. } = pod;
        let path = format!("api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token");
        let body = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [AUDIENCE],
                "expirationSeconds": 3600,
                "boundObjectRef": { "kind": "Pod", "name": pod.pod, "uid": pod.uid },
            },
        });
        let answer = self.send("POST", self.addresses.kubernetes, &path, &body).await?;
        let field = |name: &str| {
            let text = answer.pointer(name).and_then(Value::as_str).map(str::to_owned);
            text.ok_or_else(|| format!("the TokenRequest's answer has no {name}"))
        };
        Ok((field("/status/token")?, field("/status/expirationTimestamp")?))
    }

    /// Gives a secret a new current version and returns its id.
    pub(crate) async fn rotate(&self, name: &str, value: &str) -> Result<String, Fault> {
        let change = json!({ "name": name, "value": value });
        let answer = self.steer("rotate-secret", &change).await?;
        let version = answer.get("version").and_then(Value::as_str);
        Ok(version.ok_or("the rotation was not answered with a version")?.to_owned())
    }

    /// Changes the running emulator, as its `ctl` does.
    pub(crate) async fn steer(&self, what: &str, change: &Value) -> Result<Value, Fault> {
        self.send("POST", self.addresses.control, what, change).await
    }

    /// All that was asked, in the order of the answers.
    pub(crate) async fn calls(&self) -> Result<Vec<RequestRecord>, Fault> {
        Ok(serde_json::from_value(self.get("requests").await?)?)
    }

    /// What was asked since this was last called.
    pub(crate) async fn new_calls(&mut self) -> Result<Vec<RequestRecord>, Fault> {
        let mut new = self.calls().await?;
        new.retain(|call| call.sequence > self.told);
        self.told = new.iter().map(|call| call.sequence).fold(self.told, u64::max);
        Ok(new)
    }

    /// Whether a text holds any value, token or key that the cloud holds or gave out.
    pub(crate) async fn leaks_into(&self, text: &str) -> Result<bool, Fault> {
        let mut secrets: Vec<String> = serde_json::from_value(self.get("issued-secrets").await?)?;
        let members = secrets.iter().flat_map(|secret| string_members(secret)).collect::<Vec<_>>();
        secrets.extend(members);
        if secrets.is_empty() {
            return Err("the emulator names no secrets to look for".into());
        }
        Ok(secrets.iter().any(|secret| text.contains(secret.as_str())))
    }

    async fn get(&self, path: &str) -> Result<Value, Fault> {
        self.send("GET", self.addresses.control, path, &Value::Null).await
    }

    async fn send(
        &self,
        method: &str,
        address: SocketAddr,
        path: &str,
        body: &Value,
    ) -> Result<Value, Fault> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}/{path}"))
            .body(Full::new(Bytes::from(body.to_string())))?;
        // A file of one certificate spares reading all of the system's at every call.
        let (status, answer) = fetch::send(request, Some(&self.ca_file)).await?;
        if !(200..300).contains(&status) {
            return Err(format!("{method} {path}: the emulator answered {status}").into());
        }
        Ok(serde_json::from_slice(&answer)?)
    }
}

/// What a JSON secret holds, as far as it is too long to turn up by chance.
fn string_members(secret: &str) -> Vec<String> {
    let Ok(Value::Object(members)) = serde_json::from_str(secret) else { return Vec::new() };
    let texts = members.values().filter_map(Value::as_str);
    texts.filter(|text| text.len() >= 10).map(str::to_owned).collect()
}
