//! `alibabacloud-emulator ctl`: the control listener from a shell.

use bytes::Bytes;
use clap::{Args, Subcommand};
use emulator::{RequestRecord, fetch, stdout};
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};

#[derive(Debug, Args)]
pub(crate) struct Ctl {
    /// Address of the control listener.
    #[arg(long, env = "ALIBABACLOUD_EMULATOR_CONTROL", default_value = "127.0.0.1:18090")]
    control: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Give a secret a new current version.
    Rotate { name: String, value: String },
    /// Give a parameter a new version.
    RotateParameter { name: String, value: String },
    /// Create or replace a text secret.
    Put { name: String, value: String },
    /// Delete a secret.
    Delete { name: String },
    /// Delete a parameter.
    DeleteParameter { name: String },
    /// Move a stage label, such as ACSCurrent, to another version.
    MoveStage { name: String, stage: String, version_id: String },
    /// Take all permissions from a role (name or ARN).
    RevokeRole { role: String },
    /// Give them back.
    RestoreRole { role: String },
    /// Let nobody assume a role any more.
    RevokeTrust { role: String },
    /// Let it be assumed again.
    RestoreTrust { role: String },
    /// End a role's sessions now.
    ExpireSessions { role: String },
    /// Override the lifetime of new sessions; without a number, end the override.
    SessionLifetime { seconds: Option<u64> },
    /// Set the cloud's clock ahead of this machine's, or with a negative number behind it.
    ClockOffset {
        #[arg(allow_negative_numbers = true)]
        seconds: i64,
    },
    /// Delay every answer.
    Latency { ms: u64 },
    /// Make BatchGetSecretValue available, unknown or forbidden.
    Batch { mode: String },
    /// Add a fault, as JSON.
    ///
    /// Matchers: service (sts, kms, oos, metadata, kubernetes), action, host, object, role,
    /// account; how often: times, every. Effects: {"latency":{"ms":N}},
    /// {"error":{"status":429,"code":"Rejected.Throttling","headers":{"Retry-After":"2"}}},
    /// "hang", "reset", {"reset-after":{"bytes":N}}, "truncate", "garbage", {"html":{"status":502}},
    /// {"empty":{"status":500}}, {"protobuf":{"status":400}}, {"huge":{"mib":64}},
    /// "wrong-schema", {"echo":{"status":403,"code":"X"}}.
    ///
    /// Example: ctl fault '{"service":"kms","times":2,"effect":"reset"}'
    #[command(verbatim_doc_comment)]
    Fault { json: String },
    /// List faults with how often each has hit.
    Faults,
    /// Remove all faults and the latency.
    ClearFaults,
    /// List what was asked, by whom and how it ended.
    Requests {
        /// As JSON instead of one line each.
        #[arg(long)]
        json: bool,
    },
    /// Forget the requests listed so far.
    Clear,
    /// Print a ServiceAccount token bound to a pod.
    PodToken {
        #[arg(long, default_value = "default")]
        namespace: String,
        #[arg(long)]
        service_account: String,
        #[arg(long, default_value = "pod-0")]
        pod: String,
        #[arg(long, default_value = "pod-0")]
        uid: String,
        #[arg(long, default_value = "sts.aliyuncs.com")]
        audience: String,
        /// Negative: expired that long ago.
        #[arg(long, default_value_t = 3600, allow_negative_numbers = true)]
        lifetime_seconds: i64,
    },
    /// Refuse connections, as in an outage.
    StopListening,
    /// End the outage.
    Resume,
    /// Print a path as it is: requests, faults, connections, addresses, ca.pem, instance-ca.pem.
    Get { path: String },
    /// Send any change by name with its fields as JSON.
    Post { path: String, json: Option<String> },
}

impl Command {
    /// Method, path and fields on the control listener.
    fn request(&self) -> Result<(&'static str, &str, Value), String> {
        let post = |path, fields| Ok(("POST", path, fields));
        let parse = |text: &str| {
            serde_json::from_str::<Value>(text).map_err(|error| format!("not JSON: {error}"))
        };
        match self {
            Self::Rotate { name, value } => {
                post("rotate-secret", json!({ "name": name, "value": value }))
            }
            Self::RotateParameter { name, value } => {
                post("rotate-parameter", json!({ "name": name, "value": value }))
            }
            Self::Put { name, value } => {
                post("put-secret", json!({ "name": name, "value": value }))
            }
            Self::Delete { name } => post("delete-secret", json!({ "name": name })),
            Self::DeleteParameter { name } => post("delete-parameter", json!({ "name": name })),
            Self::MoveStage { name, stage, version_id } => post(
                "move-stage",
                json!({ "name": name, "stage": stage, "version_id": version_id }),
            ),
            Self::RevokeRole { role } => post("revoke-role", json!({ "role": role })),
            Self::RestoreRole { role } => post("restore-role", json!({ "role": role })),
            Self::RevokeTrust { role } => post("revoke-trust", json!({ "role": role })),
            Self::RestoreTrust { role } => post("restore-trust", json!({ "role": role })),
            Self::ExpireSessions { role } => post("expire-sessions", json!({ "role": role })),
            Self::SessionLifetime { seconds } => {
                post("session-lifetime", json!({ "seconds": seconds }))
            }
            Self::ClockOffset { seconds } => post("clock-offset", json!({ "seconds": seconds })),
            Self::Latency { ms } => post("latency", json!({ "ms": ms })),
            Self::Batch { mode } => post("batch", json!({ "mode": mode })),
            Self::Fault { json } => post("fault", parse(json)?),
            Self::Faults => Ok(("GET", "faults", Value::Null)),
            Self::ClearFaults => Ok(("DELETE", "faults", Value::Null)),
            Self::Requests { .. } => Ok(("GET", "requests", Value::Null)),
            Self::Clear => Ok(("DELETE", "requests", Value::Null)),
            Self::PodToken { namespace, service_account, pod, uid, audience, lifetime_seconds } => {
                let fields = json!({
                    "namespace": namespace, "service_account": service_account, "pod": pod,
                    "uid": uid, "audience": audience, "lifetime_seconds": lifetime_seconds,
                });
                post("pod-token", fields)
            }
            Self::StopListening => post("stop-listening", Value::Null),
            Self::Resume => post("resume", Value::Null),
            Self::Get { path } => Ok(("GET", path, Value::Null)),
            Self::Post { path, json } => {
                let fields = json.as_deref().map(parse).transpose()?;
                Ok(("POST", path, fields.unwrap_or(Value::Null)))
            }
        }
    }
}

pub(crate) async fn run(ctl: &Ctl) -> Result<(), String> {
    let (method, path, fields) = ctl.command.request()?;
    let body = if fields.is_null() { Bytes::new() } else { fields.to_string().into() };
    let request = Request::builder()
        .method(method)
        .uri(format!("http://{}/{path}", ctl.control))
        .body(Full::new(body))
        .map_err(|error| error.to_string())?;
    let (status, body) = fetch::send(request, None)
        .await
        .map_err(|error| format!("control listener {}: {error}", ctl.control))?;
    let text = String::from_utf8_lossy(&body);
    if status != 200 {
        return Err(text.into_owned());
    }
    let answer: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    match &ctl.command {
        Command::Requests { json: false } => {
            let records: Vec<RequestRecord> =
                serde_json::from_value(answer).map_err(|error| error.to_string())?;
            records.iter().for_each(|record| stdout::line(&record.to_string()));
        }
        Command::PodToken { .. } => {
            stdout::line(answer.get("token").and_then(Value::as_str).unwrap_or_default());
        }
        _ => stdout::line(text.trim_end()),
    }
    Ok(())
}
