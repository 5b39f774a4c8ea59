//! What debug output shows of everything that a mount goes through: names, and nothing secret.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    sync::Arc,
};

use aho_corasick::AhoCorasick;
use provider::{
    api::Api,
    app::App,
    cloud::{Call, Cloud, Failure, ReadOptions, limiter::Priority, sign::Unsigned, trust::Clients},
    credentials::{Sessions, metadata::Metadata},
    digest::Parts,
    endpoint::Service,
    fetch::{Fetcher, require_all},
    http::Answer,
    identity::{self, kubernetes::ServiceAccounts},
    keys::Keys,
    login::Caller,
    names::{Region, RoleArn},
    project::project,
    request,
    secret::Secret,
    telemetry::Metrics,
    value_cache::ValueCache,
};
use tempfile::TempDir;
use tokio::time::{Duration, Instant};

use crate::{
    architecture::{root, sources},
    driver::PodVolume,
    world::{AUDIENCE, Setup, canaries, cloud, configure},
};

const OBJECTS: &str = "- objectName: web/plain\n\
                       - {objectName: web/db, jmesPath: [{path: user, objectAlias: user}]}\n";
const INTERVAL: Duration = Duration::from_secs(300);

/// Each step by itself, and what holds sessions, keys and values from then on.
#[tokio::test]
async fn debug_output_shows_nothing_secret_of_a_mount() {
    let emulator = cloud(&[]).await;
    let directory = TempDir::new().unwrap();
    let key = directory.path().join("audit-key");
    fs::write(&key, "planted-audit-key-of-more-than-32-bytes").unwrap();
    let setup = Setup::default()
        .own_token()
        .flag("allowed-identities", "pod,access-key,node-publish-secret,ram-role,ecs-role")
        .flag("audit-key-file", &key.display().to_string())
        .env("ALICLOUD_ROLE_ARN", "acs:ram::1234567890123456:role/provider")
        .flag("https-proxy", "http://user:planted-proxy-password@127.0.0.1:3128")
        .env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001")
        .env("SECRET_ACCESS_KEY", "planted-access-key-secret-0001");
    let config = configure(&emulator, directory.path(), &setup).unwrap();
    let mut shown = vec![format!("{config:?} {config:#?}")];

    let metrics = Arc::new(Metrics::new());
    let region = Region::parse("cn-hangzhou").unwrap();
    let endpoints = config.engine.hosts.endpoints(region);
    let sts = endpoints.of(Service::Sts, &endpoints.region);
    let clients = Clients::new(config.engine.trust).unwrap();
    let cloud = Arc::new(Cloud::new(clients, metrics.clone(), 8, 8));
    let metadata = Metadata::new(&config.engine.metadata.host, None, false).unwrap();
    let sessions = Sessions::new(cloud.clone(), sts, metadata, metrics.clone());
    let values = Arc::new(ValueCache::new(1 << 20, metrics).unwrap());
    let accounts = ServiceAccounts::new(config.engine.api_server);
    let fetcher = Fetcher::new(cloud, sessions.clone(), values, false);

    for mode in ["pod", "access-key", "node-publish-secret", "ram-role", "ecs-role"] {
        let volume = PodVolume::new("shop", "web", "web-1").objects(OBJECTS);
        let PodVolume { namespace, service_account, pod, uid, .. } = &volume;
        let hour = Duration::from_secs(3600);
        let token = emulator.pod_token(namespace, service_account, pod, uid, AUDIENCE, hour);
        let volume = volume
            .token(AUDIENCE, &token, "2126-01-01T00:00:00Z")
            .parameter("identity", mode)
            .secret("access_key", "LTAI5tEXAMPLEKEYID000002")
            .secret("access_SECRET", "planted-access-key-secret-0002");
        let mut who = Default::default();
        let mount =
            request::parse(volume.request(), &endpoints, &Default::default(), &mut who).unwrap();
        shown.push(format!("{who:?} {who:#?} {mount:?} {mount:#?}"));
        let identity = identity::resolve(&mount, &config.engine.policy, &accounts).await.unwrap();
        shown.push(format!("{identity:?} {identity:#?}"));
        let partner = RoleArn::parse("acs:ram::6543210987654321:role/partner").unwrap();
        let led = identity.assume_role(&partner);
        shown.push(format!("{led:?} {led:#?}"));
        let credentials = sessions
            .credentials(
                &identity.login,
                Priority::default(),
                Instant::now() + Duration::from_secs(20),
            )
            .await;
        shown.push(format!("{credentials:?} {credentials:#?}"));
        let deadline = Instant::now() + Duration::from_secs(20);
        // The operator's key may read less than the pod; what a refusal shows counts too.
        let ends = fetcher.fetch(&identity, &mount, INTERVAL, deadline).await.unwrap();
        shown.push(format!("{ends:?} {ends:#?} {fetcher:?} {fetcher:#?}"));
        match require_all(&mount.spec.objects, &ends) {
            Ok(values) => {
                let projection = project(&mount.spec.objects, &values).unwrap();
                shown.push(format!("{values:?} {projection:?} {projection:#?}"));
            }
            Err(errors) => shown.push(format!("{errors:?} {errors:#?}")),
        }
    }

    let token = "planted-session-token";
    let keys = Keys {
        id: "STS.planned".to_owned(),
        secret: Secret::new("planted-session-key".to_owned()),
        token: Some(Secret::new(token.to_owned())),
    };
    let headers = [("x-acs-security-token", token), ("host", "kms-vpc.cn-hangzhou.aliyuncs.com")];
    let unsigned =
        Unsigned { method: "POST", path: "/", query: "", headers: &headers, body_sha256: "" };
    shown.push(format!("{keys:?} {keys:#?} {unsigned:?} {unsigned:#?}"));
    let endpoint = endpoints.of(Service::Kms, &endpoints.region);
    let caller = Caller { login: [0; 32], account: [0; 32] };
    let priority = Priority::of(0, 0, None);
    let form = Some(Secret::new(format!("OIDCToken={token}")));
    let (query, on_error) = (vec![("SecretName", "web/plain")], |_: &Failure| {});
    let options = ReadOptions {
        endpoint: &endpoint,
        keys: &keys,
        caller,
        priority,
        deadline: Instant::now(),
        on_error: &on_error,
        sent: &|| {},
    };
    let api = Api::GetSecretValue;
    let (endpoint, keys) = (&endpoint, Some(&keys));
    let call =
        Call { api, endpoint, query, form, keys, caller, priority, on_error: None, sent: None };
    let body = Secret::new(token.as_bytes().to_vec());
    let answer = Answer { status: 200, headers: Default::default(), body };
    shown.push(format!("{options:?} {options:#?} {call:?} {call:#?} {answer:?} {answer:#?}"));
    let secret = Secret::new(token.to_owned());
    let mut parts = Parts::new();
    parts.part(token);
    shown.push(format!("Secret {secret:?} {secret:#?} {parts:?} {parts:#?}"));

    let folder = TempDir::new().unwrap();
    let config = configure(&emulator, folder.path(), &setup).unwrap();
    let app = App::bind(config).await.unwrap();
    shown.push(format!("{app:?} {app:#?}"));

    let shown = shown.join("\n");
    // A type is shown by any of its variants; these are what a session comes from.
    for name in ["node_publish", "Oidc {", "Assume {", "login: EcsRole"] {
        assert!(shown.contains(name), "{name} was not shown");
    }
    every_public_type_is_shown_or_holds_no_secret(&shown);
    let canaries = canaries(&emulator);
    let found = AhoCorasick::new(&canaries).unwrap().find(&shown);
    let around = |at: usize| {
        let text = shown.get(at.saturating_sub(120)..at).unwrap_or("?");
        text.to_owned()
    };
    assert!(found.is_none(), "after {}", found.map_or_else(String::new, |f| around(f.start())));
    // The search finds one where it is.
    let leaked = format!("{shown} {:?}", canaries.first());
    assert!(AhoCorasick::new(&canaries).unwrap().is_match(&leaked));
}

/// Public types that debug output was not asked of above: no field of theirs can hold a secret, or
/// only within a type that was shown.
const HOLD_NONE: &[&str] = &[
    // Numbers, words of our own, and states; of a turn its amount alone is shown.
    "AnswerRoom",
    "Batch",
    "Broken",
    "ConnectionError",
    "Deadline",
    "DebugAccess",
    "Debugged",
    "Decision",
    "Described",
    "EndReason",
    "Fact",
    "Failing",
    "FetchState",
    "Flat",
    "Full",
    "Granted",
    "HostState",
    "InFlightGuard",
    "Known",
    "LayerStatus",
    "LeftUnread",
    "LimiterState",
    "LogLevel",
    "Malformed",
    "Malformed",
    "ModeFacts",
    "NameError",
    "Outcome",
    "Place",
    "PathTranslation",
    "Priority",
    "ProxyError",
    "Refreshed",
    "Refused",
    "Removal",
    "Report",
    "RequestRoom",
    "Stale",
    "State",
    "Target",
    "Trial",
    "Turn",
    "Untrusted",
    // Manifests and what becomes of them: a Secret among them is not read.
    "Conversion",
    "Converted",
    "Fate",
    "Field",
    "Input",
    "Ledger",
    "Role",
    "Tree",
    // Names, places and errors without their input.
    "AdminState",
    "BindError",
    "Context",
    "Ended",
    "HostTemplate",
    "Key",
    "Layout",
    "Mistakes",
    "Names",
    "NoSession",
    "NotMounted",
    "ParameterRef",
    "Permit",
    "Query",
    "Queued",
    "Records",
    "RefreshEvents",
    "ServeError",
    "StartupTaint",
    "Unusable",
    // By hand: which flags are given, and not what they are set to.
    "Flags",
    // No command takes a key or a token: those come from the environment and from files.
    "Asked",
    "Arguments",
    "Goal",
    "Hook",
    "Invocation",
    "Sidecar",
    "Subcommand",
    "Watch",
    "Whom",
    // What the cloud said, as far as it looks like a code or a request id; the audit record's lines
    // are searched where they are written.
    "Failure",
    "Record",
    "ErrorResponse",
    // As much as what is waited for: values and sessions, which are shown.
    "Leader",
    "Mounted",
    "OwnMount",
    "Prepared",
    "Waiter",
    "Waited",
    // Texts of authors, each a `Secret`.
    "Class",
    "Parameters",
    // By hand: without what goes through it.
    "AuthorityFix",
    // Places in a manifest, and its names; a text of an author's is a `Text`, by hand without it.
    "Class",
    "Controller",
    "CsiDriver",
    "Document",
    "Manifest",
    "Pair",
    "SecretObject",
    "SecretSync",
    "Unreadable",
    "Volume",
    "Workload",
    // What annotations say of a role, what a mount would say, and how `check` is set up.
    "Annotations",
    "Budget",
    "Finding",
    "Settings",
    // By hand: without texts and keys.
    "Entry",
    "NamespaceRules",
    "Node",
    "Scalar",
];

fn every_public_type_is_shown_or_holds_no_secret(shown: &str) {
    let words: HashSet<&str> = shown.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let types = public_types();
    assert!(types.len() > 80, "{types:?}");
    let was_shown = |names: &[String]| names.iter().any(|name| words.contains(name.as_str()));
    let (seen, unseen): (Vec<_>, Vec<_>) = types.iter().partition(|(_, names)| was_shown(names));
    let is_listed = |name: &String| HOLD_NONE.contains(&name.as_str());
    let unseen: Vec<_> =
        unseen.iter().map(|(name, _)| name).filter(|name| !is_listed(name)).collect();
    assert!(unseen.is_empty(), "not shown, and not said to hold no secret: {unseen:?}");
    let seen: Vec<_> = seen.iter().map(|(name, _)| name).filter(|name| is_listed(name)).collect();
    assert!(seen.is_empty(), "shown, and so not to be listed: {seen:?}");
    for name in HOLD_NONE {
        assert!(types.contains_key(*name), "there is no {name} any more");
    }
}

/// Those with debug output, each with what tells that it was shown: its name, or one of its variants.
fn public_types() -> BTreeMap<String, Vec<String>> {
    let mut types = BTreeMap::new();
    for path in sources(&root().join("src")) {
        let text = fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let mut lines = code.lines();
        let mut derived = false;
        while let Some(line) = lines.next() {
            let named = |start| line.strip_prefix(start).map(word);
            let (is_enum, name) = match (named("pub struct "), named("pub enum ")) {
                (Some(name), _) => (false, name),
                (_, Some(name)) => (true, name),
                _ => {
                    let about_the_next = line.starts_with("#[") || line.starts_with("//");
                    derived = about_the_next
                        && (derived || line.starts_with("#[derive") && line.contains("Debug"));
                    continue;
                }
            };
            let by_hand = code.lines().any(|line| {
                line.contains("fmt::Debug for ")
                    && line.split(" for ").nth(1).is_some_and(|of| word(of) == name)
            });
            if derived || by_hand {
                let variants = lines.by_ref().take_while(|line| is_enum && *line != "}");
                let variants = variants.filter_map(|line| line.strip_prefix("    ")).map(word);
                let variants = variants.filter(|name| name.starts_with(char::is_uppercase));
                types.insert(name.clone(), std::iter::once(name).chain(variants).collect());
            }
            derived = false;
        }
    }
    types
}

fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric()).collect()
}
