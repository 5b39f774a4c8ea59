//! Driver: what the CSIDriver object and the driver's arguments mean for this provider.

use serde::Deserialize;

use crate::{
    convert::duration,
    doctor::{check::Check, line::Line},
    manifests::csi_driver,
    request::STS_AUDIENCE,
    text::quoted,
};

const CHECK: Check = Check::Driver;
/// Its name, and how to look at it by hand.
pub(crate) const NAME: &str = "secrets-store.csi.k8s.io";
const LOOK: &str = "look by hand: kubectl get csidriver secrets-store.csi.k8s.io -o yaml, and the arguments of \
    container secrets-store in the driver's DaemonSet; or give the CSIDriver to doctor with --file, or the API with \
    kubectl proxy and --kubernetes-api=http://127.0.0.1:8001";
/// The driver's own default.
const DEFAULT_INTERVAL_MS: u64 = 120_000;
const MINUTE_MS: u64 = 60_000;

#[derive(Debug)]
pub(crate) struct Seen {
    /// Or why it could not be had.
    pub(crate) object: Result<Object, String>,
    pub(crate) program: Option<Program>,
}

/// A CSIDriver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Where it was read.
    pub(crate) from: String,
    audiences: Option<Vec<String>>,
    pod_info: bool,
    republish: bool,
}

/// The driver as it runs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) from: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) version: Option<String>,
}

impl Object {
    /// As the API server has it.
    pub(crate) fn of_json(json: &[u8], from: &str) -> Option<Self> {
        let object: Json = serde_json::from_slice(json).ok()?;
        let Spec { token_requests, pod_info_on_mount, requires_republish } = object.spec;
        let audiences = token_requests.map(|all| all.into_iter().map(|one| one.audience).collect());
        Some(Self {
            from: from.to_owned(),
            audiences,
            pod_info: pod_info_on_mount.unwrap_or(false),
            republish: requires_republish.unwrap_or(false),
        })
    }

    pub(crate) fn of_manifest(driver: &csi_driver::CsiDriver, from: &str) -> Self {
        let texts = driver.token_requests.as_ref().map(|(_, texts)| texts);
        Self {
            from: from.to_owned(),
            audiences: texts.map(|texts| texts.iter().map(|one| one.text.to_string()).collect()),
            pod_info: driver.pod_info_on_mount,
            republish: driver.requires_republish,
        }
    }
}

impl Program {
    /// The driver's container in a list of DaemonSets, as the API server has it.
    pub(crate) fn of_json(json: &[u8], from: &str) -> Option<Self> {
        let list: List = serde_json::from_slice(json).ok()?;
        let mut containers =
            list.items.into_iter().flat_map(|one| one.spec.template.spec.containers);
        let driver = containers.find(|one| {
            one.image.contains("csi-secrets-store/driver") || one.name == "secrets-store"
        })?;
        let tag = driver.image.rsplit_once(':').map(|(_, tag)| tag);
        let version = tag.filter(|tag| tag.starts_with('v')).map(str::to_owned);
        Some(Self { from: from.to_owned(), arguments: driver.args, version })
    }

    fn argument(&self, name: &str) -> Option<&str> {
        self.arguments.iter().find_map(|argument| {
            let rest = argument.trim_start_matches('-').strip_prefix(name)?;
            if rest.is_empty() { Some("true") } else { rest.strip_prefix('=') }
        })
    }

    /// Before 1.6 the driver itself asked all providers again and again.
    fn asks_by_itself(&self) -> bool {
        let version = self.version.as_deref().unwrap_or_default().trim_start_matches('v');
        let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        !version.is_empty() && (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < (1, 6)
    }
}

/// `tokens`: whether the identity is proven by pods' tokens.
pub(crate) fn judge(seen: &Seen, tokens: bool) -> Vec<Line> {
    let mut lines = match &seen.object {
        Ok(object) => of_object(object, tokens),
        Err(why) => vec![Line::skipped(CHECK, NAME, format!("{why}; {LOOK}"))],
    };
    match &seen.program {
        Some(program) => lines.push(of_program(program)),
        None if seen.object.is_ok() => {
            let why = "the driver's own arguments are not seen from here: look at --enable-secret-rotation and \
                       --rotation-poll-interval of container secrets-store in its DaemonSet";
            lines.push(Line::skipped(CHECK, "rotation", why));
        }
        None => {}
    }
    lines
}

fn of_object(object: &Object, tokens: bool) -> Vec<Line> {
    let mut lines = Vec::new();
    let write = format!(
        "write tokenRequests: [{{audience: {STS_AUDIENCE}}}] under its spec (the driver's chart: tokenRequests[0].audience)"
    );
    if tokens && !object.audiences.iter().flatten().any(|name| name == STS_AUDIENCE) {
        let has = match &object.audiences {
            Some(audiences) if !audiences.is_empty() => {
                audiences.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
            }
            _ => "none".to_owned(),
        };
        let what = format!(
            "its tokenRequests ({has}) lack {STS_AUDIENCE}: kubelet sends no token that STS takes"
        );
        lines.push(Line::broken(CHECK, NAME, what, write));
    }
    if !object.pod_info {
        let what = "podInfoOnMount is not true: kubelet does not say for which pod it mounts";
        lines.push(Line::broken(CHECK, NAME, what, "write podInfoOnMount: true under its spec"));
    }
    if !object.republish {
        let what = "requiresRepublish is not true: running pods never get changed secrets";
        let fix = "set enableSecretRotation: true in the driver's chart, or requiresRepublish: true under its spec";
        lines.push(Line::warn(CHECK, NAME, what, fix));
    }
    if lines.is_empty() {
        let what = format!("sends pods' tokens and names, and mounts again ({})", object.from);
        lines.push(Line::ok(CHECK, NAME, what));
    }
    lines
}

fn of_program(program: &Program) -> Line {
    let subject = "rotation";
    let version = program.version.as_deref().unwrap_or("of unknown version");
    let text = program.argument("rotation-poll-interval");
    let interval = text.map_or(Some(DEFAULT_INTERVAL_MS), duration::milliseconds);
    let shown = text.unwrap_or("2m, the default");
    let from = &program.from;
    if program.argument("enable-secret-rotation") != Some("true") {
        let what = format!(
            "enable-secret-rotation is off: running pods never get changed secrets ({from})"
        );
        return Line::warn(
            CHECK,
            subject,
            what,
            "set enableSecretRotation: true in the driver's chart",
        );
    }
    match interval {
        None => Line::warn(
            CHECK,
            subject,
            format!("rotation-poll-interval {} is no duration ({from})", quoted(shown)),
            "write it as 100ms, 2m or 1h",
        ),
        Some(ms) if program.asks_by_itself() && ms < MINUTE_MS => Line::warn(
            CHECK,
            subject,
            format!("driver {version} has every volume mounted again each {shown} ({from})"),
            "set rotationPollInterval to 2m: below 1m the driver, before 1.6, asks for all pods of a node that often",
        ),
        // What kubelet's retry finds skipped is a pod on an empty folder.
        Some(ms) if !program.asks_by_itself() && program.version.is_some() && ms > MINUTE_MS => {
            Line::warn(
                CHECK,
                subject,
                format!(
                    "driver {version} skips a mount that is tried again within {shown}: after a mount that hung, a pod can \
                 start on an empty folder ({from})"
                ),
                "set rotationPollInterval: 100ms with driver 1.6 and later, where kubelet alone decides how often volumes \
             are mounted again",
            )
        }
        Some(_) => {
            Line::ok(CHECK, subject, format!("on, driver {version}, interval {shown} ({from})"))
        }
    }
}

#[derive(Deserialize)]
struct Json {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    token_requests: Option<Vec<TokenRequest>>,
    pod_info_on_mount: Option<bool>,
    requires_republish: Option<bool>,
}

#[derive(Deserialize)]
struct TokenRequest {
    audience: String,
}

#[derive(Deserialize)]
struct List {
    items: Vec<DaemonSet>,
}

#[derive(Deserialize)]
struct DaemonSet {
    spec: DaemonSetSpec,
}

#[derive(Deserialize)]
struct DaemonSetSpec {
    template: Template,
}

#[derive(Deserialize)]
struct Template {
    spec: PodSpec,
}

#[derive(Deserialize)]
struct PodSpec {
    containers: Vec<Container>,
}

#[derive(Deserialize)]
struct Container {
    #[serde(default)]
    name: String,
    #[serde(default)]
    image: String,
    #[serde(default)]
    args: Vec<String>,
}
