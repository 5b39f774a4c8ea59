//! The chart's dashboard and alerts against a real Prometheus, which reads a real provider through what can go
//! wrong: each query of the dashboard has to give something, and each alert has to be one that Prometheus can tell.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use emulator::fetch;
use http_body_util::Full;
use hyper::Request;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    Fault, Programs,
    chart::Series,
    cloud::Cloud,
    content::{self, NAMESPACE, account, role_arn, secret},
    driver::{Driver, PodVolume},
    node::Node,
    page::Page,
    panel::{Panel, Phase, sheet},
    pods,
    processes::Process,
};

const ACCOUNTS: usize = 4;
const LATENCY_MS: u64 = 20;
const MOUNT_EVERY: Duration = Duration::from_millis(400);
const RUN: f64 = 75.0;
/// What `$__rate_interval` is, with a scrape each second.
const RATE: &str = "8s";
const ROTATED_AT: f64 = 10.0;
/// First: who was throttled is slowed for a while.
const AWAY: Phase = Phase { name: "KMS answers 503", from: 18.0, to: 34.0 };
const THROTTLED: Phase = Phase { name: "KMS throttles", from: 44.0, to: 62.0 };
const JOB: &str = "kube-system/csi-secrets-store-provider-alibabacloud";
/// What the run brings about; the others need hours or a fault of the provider.
const SEEN: [&str; 3] = ["SecretsMountsFail", "SecretsStaleServed", "SecretsCallsThrottled"];

pub(crate) async fn run(
    programs: &Programs,
    page: &Page,
    prometheus: &Path,
    draw: Option<&Path>,
) -> Result<(), Fault> {
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/chart");
    let dashboard = fs::read_to_string(chart.join("dashboards/provider.json"))?;
    let dashboard: Value = serde_json::from_str(&dashboard)?;
    let directory = TempDir::with_prefix("alibabacloud-bench-dashboard-")?;
    let content = content::cloud(ACCOUNTS, Some(LATENCY_MS));
    let (_emulator, cloud) =
        Cloud::start(&programs.emulator, directory.path(), &content, &[]).await?;
    let node = provider(programs, &cloud, directory.path()).await?;
    let rules = chart.join("rules/alerts.yaml");
    let watch = Watch::start(prometheus, directory.path(), &node, &rules, cloud.ca_file()).await?;
    page.line(&format!("{RUN:.0} s of mounts, a refusal, a rotation, throttling and an outage"))?;
    let begun = now()?;
    pass(&cloud, &node).await?;
    let mut panels = Vec::new();
    let mut empty = Vec::new();
    let listed = dashboard.get("panels").and_then(Value::as_array).ok_or("no panels")?;
    for panel in listed.iter().filter(|panel| panel.get("targets").is_some()) {
        let title = text(panel, "/title");
        let mut series = Vec::new();
        for target in panel.get("targets").and_then(Value::as_array).into_iter().flatten() {
            let expression = text(target, "/expr");
            let found = watch.range(&expression, begun, &text(target, "/legendFormat")).await?;
            let points: usize = found.iter().map(|series| series.points.len()).sum();
            page.line(&format!("{:3} series, {points:4} points: {title}", found.len()))?;
            if points == 0 {
                empty.push(expression);
            }
            series.extend(found);
        }
        panels.push(Panel { title, unit: text(panel, "/fieldConfig/defaults/unit"), series });
    }
    let alerts = watch.alerts().await?;
    for (name, state) in &alerts {
        page.line(&format!("alert {name}: {state}"))?;
    }
    if let Some(folder) = draw {
        let title = "The dashboard's queries over a run of 75 s (not Grafana's picture)";
        let svg = sheet(title, RUN, &[AWAY, THROTTLED], &panels);
        fs::write(folder.join("dashboard.svg"), svg)?;
    }
    if !empty.is_empty() {
        return Err(format!("queries that gave nothing:\n{}", empty.join("\n")).into());
    }
    let quiet = SEEN.iter().filter(|seen| {
        !alerts
            .iter()
            .any(|(name, state)| name == *seen && matches!(&**state, "pending" | "firing"))
    });
    match quiet.copied().collect::<Vec<_>>().as_slice() {
        [] => Ok(()),
        quiet => Err(format!("alerts that did not see it: {}", quiet.join(", ")).into()),
    }
}

async fn provider(programs: &Programs, cloud: &Cloud, directory: &Path) -> Result<Node, Fault> {
    let own = PodVolume::new(NAMESPACE, &account(0), "provider");
    let (token, _) = cloud.pod_token(&own).await?;
    let token_file = directory.join("token");
    fs::write(&token_file, token)?;
    let flags = [
        "--refresh-interval=3s".to_owned(),
        "--mount-timeout=5".to_owned(),
        "--outage-grace=1h".to_owned(),
        "--events=5s".to_owned(),
        "--allowed-identities=pod,provider".to_owned(),
        format!("--audit={}", directory.join("audit.log").display()),
        format!("--role-arn={}", role_arn(&account(0))),
        format!("--oidc-token-file={}", token_file.display()),
    ];
    Node::start(&programs.provider, cloud, &flags.each_ref().map(String::as_str)).await
}

/// What happens.
async fn pass(cloud: &Cloud, node: &Node) -> Result<(), Fault> {
    let begun = Instant::now();
    let until = |seconds: f64| sleep_until(begun + Duration::from_secs_f64(seconds));
    let mut going = Vec::new();
    let of = |number: usize, class: &str| pods::pod(number, 3).class(class);
    let per_account = pods::PODS_PER_ACCOUNT;
    let own = of(0, "shared").parameter("identity", "provider");
    let all = [
        of(1, "checkout"),
        of(2, "checkout"),
        of(per_account, "reports"),
        of(per_account + 1, "reports"),
        PodVolume { pod: "batch".to_owned(), uid: "uid-of-batch".to_owned(), ..own },
        pods::optional_missing(2 * per_account).class("optional"),
        pods::refused(100).class("intruder"),
        of(3 * per_account, "revoked"),
    ];
    for pod in all {
        going.push(go_on(node.driver()?.clone(), pods::admit(cloud, pod).await?));
    }
    until(5.0).await;
    let revoked = json!({
        "service": "kms",
        "object": format!("{}/*", account(3)),
        "effect": content::error(403, "Forbidden.NoPermission"),
    });
    cloud.steer("fault", &revoked).await?;
    until(ROTATED_AT).await;
    cloud.rotate(&secret(&account(0), 0), "another value of the bench").await?;
    for (phase, status, code) in
        [(AWAY, 503, "ServiceUnavailableTemporary"), (THROTTLED, 429, "Rejected.Throttling")]
    {
        until(phase.from).await;
        let fault = json!({ "service": "kms", "effect": content::error(status, code) });
        let fault = cloud.steer("fault", &fault).await?;
        until(phase.to).await;
        let id = fault.get("fault_id").unwrap_or(&fault);
        cloud.steer("clear-fault", &json!({ "id": id })).await?;
    }
    until(RUN).await;
    Ok(())
}

/// Mounts of one pod, as kubelet repeats them, but for how often.
fn go_on(driver: Driver, volume: PodVolume) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut ticks = interval(MOUNT_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // Many are meant to fail.
            let _ = driver.mount(&volume).await;
        }
    }))
}

/// Prometheus, and how it is asked.
struct Watch {
    _process: Process,
    address: String,
    /// A file of one certificate spares reading all of the system's.
    ca_file: String,
}

impl Watch {
    async fn start(
        program: &Path,
        directory: &Path,
        node: &Node,
        rules: &Path,
        ca_file: &str,
    ) -> Result<Self, Fault> {
        let metrics = node.metrics()?;
        let target = metrics.trim_start_matches("http://").trim_end_matches("/metrics");
        let configuration = json!({
            "global": { "scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s" },
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": JOB,
                "static_configs": [{ "targets": [target], "labels": { "node": "node-1" } }],
            }],
        });
        let file = directory.join("prometheus.yaml");
        fs::write(&file, configuration.to_string())?;
        // Another program may take the port meanwhile; then Prometheus ends and says so.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let arguments = [
            format!("--config.file={}", file.display()),
            format!("--storage.tsdb.path={}", directory.join("prometheus").display()),
            format!("--web.listen-address={address}"),
            "--log.level=warn".to_owned(),
        ];
        let mut process = Process::start(program, &arguments, directory)?;
        let (ca, up) =
            (ca_file.to_owned(), format!("http://{address}/api/v1/query?query=up%3D%3D1"));
        let read = async || {
            let (_, body) = get(&up, &ca).await.ok()?;
            let answer: Value = serde_json::from_slice(&body).ok()?;
            answer.pointer("/data/result/0").map(drop)
        };
        process.until("it read the provider's metrics", read).await?;
        Ok(Self { _process: process, address, ca_file: ca_file.to_owned() })
    }

    /// What a query gives over the run, under the names of its legend.
    async fn range(&self, query: &str, begun: f64, legend: &str) -> Result<Vec<Series>, Fault> {
        let query = query.replace("$__rate_interval", RATE).replace("$node", ".*");
        let found = self
            .ask(&format!(
                "query_range?query={}&start={begun}&end={}&step=1",
                encoded(&query),
                begun + RUN
            ))
            .await?;
        let result = found.pointer("/data/result").and_then(Value::as_array).ok_or("no result")?;
        let series = result.iter().map(|series| {
            let labels = series.get("metric").and_then(Value::as_object).into_iter().flatten();
            let name = labels.fold(legend.to_owned(), |name, (label, value)| {
                name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default())
            });
            let values = series.get("values").and_then(Value::as_array).into_iter().flatten();
            let points = values.filter_map(|pair| {
                let value: f64 = pair.get(1)?.as_str()?.parse().ok()?;
                value.is_finite().then_some((pair.get(0)?.as_f64()? - begun, value))
            });
            // A label that is empty is none to Prometheus.
            Series::new(&name.replace("{{namespace}}/{{secret_provider_class}}", "other"), points)
        });
        Ok(series.collect())
    }

    /// The state of each; one whose expression cannot be evaluated is a fault.
    async fn alerts(&self) -> Result<Vec<(String, String)>, Fault> {
        let rules = self.ask("rules").await?;
        let groups = rules.pointer("/data/groups").and_then(Value::as_array).ok_or("no rules")?;
        let rules = groups.iter().filter_map(|group| group.get("rules")?.as_array()).flatten();
        let mut states = Vec::new();
        for rule in rules {
            if text(rule, "/health") != "ok" {
                return Err(format!("{}: {}", text(rule, "/name"), text(rule, "/lastError")).into());
            }
            states.push((text(rule, "/name"), text(rule, "/state")));
        }
        Ok(states)
    }

    async fn ask(&self, what: &str) -> Result<Value, Fault> {
        let url = format!("http://{}/api/v1/{what}", self.address);
        match get(&url, &self.ca_file).await? {
            (200, body) => Ok(serde_json::from_slice(&body)?),
            (status, body) => {
                Err(format!("{what}: {status} {}", String::from_utf8_lossy(&body)).into())
            }
        }
    }
}

async fn get(url: &str, ca_file: &str) -> Result<(u16, Bytes), Fault> {
    let request = Request::get(url).body(Full::new(Bytes::new()))?;
    Ok(fetch::send(request, Some(ca_file)).await?)
}

fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let each =
        |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(each).collect()
}

fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn now() -> Result<f64, Fault> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64().floor())
}
