//! What debug output shows of everything that a mount goes through: names, and nothing secret.

use std::sync::Arc;

use aho_corasick::AhoCorasick;
use provider::{
    cloud::{
        Cloud,
        endpoint::Service,
        sign::{Keys, Unsigned},
        trust::Clients,
    },
    credentials::{Sessions, metadata::Metadata},
    fetch::{Fetcher, whole},
    identity::{self, kubernetes::ServiceAccounts},
    names::Region,
    project::project,
    request,
    secret::Secret,
    telemetry::Metrics,
    values::Values,
};
use tempfile::TempDir;
use tokio::time::{Duration, Instant};

use crate::{
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
    let setup = Setup::default()
        .own_token()
        .flag("allowed-identities", "pod,access-key,node-publish-secret")
        .env("ACCESS_KEY_ID", "LTAI5tEXAMPLEKEYID000001")
        .env("SECRET_ACCESS_KEY", "planted-access-key-secret-0001");
    let config = configure(None, &emulator, directory.path(), &setup).unwrap();
    let mut shown = vec![format!("{config:?} {config:#?}")];

    let metrics = Arc::new(Metrics::new());
    let region = Region::parse("cn-hangzhou").unwrap();
    let endpoints = config.hosts.endpoints(region);
    let sts = endpoints.of(Service::Sts, &endpoints.region);
    let clients = Clients::new(config.trust).unwrap();
    let cloud = Arc::new(Cloud::new(clients, metrics.clone(), 8, 8));
    let metadata = Metadata::new(&config.metadata.host, None, false).unwrap();
    let sessions = Sessions::new(cloud.clone(), sts, metadata, metrics.clone());
    let values = Arc::new(Values::new(1 << 20, metrics).unwrap());
    let accounts = ServiceAccounts::new(config.api_server);
    let fetcher = Fetcher::new(cloud, sessions, values, false);

    for mode in ["pod", "access-key", "node-publish-secret"] {
        let volume = PodVolume::new("shop", "web", "web-1").objects(OBJECTS);
        let PodVolume { namespace, service_account, pod, uid, .. } = &volume;
        let hour = Duration::from_secs(3600);
        let token = emulator.pod_token(namespace, service_account, pod, uid, AUDIENCE, hour);
        let volume = volume
            .token(AUDIENCE, &token, "2126-01-01T00:00:00Z")
            .parameter("identity", mode)
            .secret("access_key", "LTAI5tEXAMPLEKEYID000002")
            .secret("access_SECRET", "planted-access-key-secret-0002");
        let mut who = None;
        let mount =
            request::parse(volume.request(), &endpoints, &Default::default(), &mut who).unwrap();
        shown.push(format!("{who:?} {who:#?} {mount:?} {mount:#?}"));
        let identity = identity::choose(&mount, &config.policy, &accounts).await.unwrap();
        shown.push(format!("{identity:?} {identity:#?}"));
        let deadline = Instant::now() + Duration::from_secs(20);
        // The operator's key may read less than the pod; what a refusal shows counts too.
        let ends = fetcher.fetch(&identity, &mount, INTERVAL, deadline).await.unwrap();
        shown.push(format!("{ends:?} {ends:#?} {fetcher:?} {fetcher:#?}"));
        match whole(&mount.objects, &ends) {
            Ok(values) => {
                let projection = project(&mount.objects, &values).unwrap();
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

    let shown = shown.join("\n");
    for name in [
        "Config",
        "Policy",
        "Pod",
        "PodToken",
        "Mount",
        "node_publish",
        "Object",
        "Identity",
        "Oidc",
        "Keys",
        "ReadEnd",
        "Value",
        "Fetcher",
        "Sessions",
        "Session",
        "Projection",
        "OutFile",
        "Unsigned",
    ] {
        assert!(shown.contains(name), "{name} was not shown");
    }
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
