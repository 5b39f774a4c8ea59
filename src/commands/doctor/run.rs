//! Run: all checks, those that do not depend on each other at the same time, each with a bound of its own, and
//! all of them with one together.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{
    FutureExt as _,
    future::{LocalBoxFuture, join_all},
};
use hyper::header::HeaderValue;
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    bundle::About,
    facts,
    given::Given,
    hosts::{self, Bounds, Learned, Reach},
    identity::{self, LoggedIn},
    node,
};
use crate::{
    cloud::{
        Cloud,
        trust::{self, Clients},
    },
    config::{Engine, Hosts, MetadataOptions, doctor::Doctor},
    credentials::{Sessions, metadata::Metadata},
    doctor::{
        check::Check,
        checks::{
            clock, configuration, driver, issuer, kubelet, login, metadata, permission, provider,
            proxy, quota, service_accounts, socket, token,
        },
        facts::{Fact, Tried},
        line::{Line, Report},
    },
    endpoint::{Endpoint, Endpoints, Service},
    error::{Error, Reason},
    identity::api_server::{ACCOUNT_DIR, ApiServer},
    names::Region,
    policy::{Policy, Share},
    request::Mount,
    secret::Secret,
    spc::mode::Mode,
    sync::lock,
    telemetry::Metrics,
};

/// Calls to a service, of which this command makes few.
const AT_ONCE: usize = 8;
/// The name of the socket, which is the provider's in a SecretProviderClass.
const SOCKET: &str = "alibabacloud.sock";

pub(super) struct Asked {
    pub(super) settings: Doctor,
    pub(super) given: Given,
    /// Where flags were given.
    pub(super) from: String,
    /// Whether facts are to be tried.
    pub(super) cloud: bool,
    pub(super) time: Duration,
}

/// What is shown while it goes on.
pub(super) enum Progress {
    Line(Line),
    /// What the facts begin with.
    Facts(&'static str),
    Fact(Tried),
}

pub(super) struct Examined {
    pub(super) report: Report,
    pub(super) facts: Option<Vec<Tried>>,
    pub(super) about: About,
}

const ABOUT_FACTS: &str = "Facts that were tried against the endpoints above, whatever these are: of an emulator they \
    say nothing of the cloud.";

/// What has been shown so far.
#[derive(Default)]
struct Ledger {
    lines: Vec<Line>,
    facts: Option<Vec<Tried>>,
    about: About,
}

pub(super) async fn examine(asked: Asked, show: &(dyn Fn(&Progress) + Sync)) -> Examined {
    let end = Instant::now() + asked.time;
    let seconds = asked.time.as_secs();
    let ledger = Mutex::new(Ledger::default());
    let say = |line: Line| {
        lock(&ledger).lines.push(line.clone());
        show(&Progress::Line(line));
    };
    let (ledger, say) = (&ledger, &say as &(dyn Fn(Line) + Sync));
    let all = work(asked, ledger, say, show);
    tokio::select! {
        () = all => {}
        () = sleep_until(end) => {
            let what = format!("not all was looked at within --timeout={seconds}");
            say(Line::broken(Check::Configuration, "", what, "look at the lines that are there, or give it more time"));
        }
    }
    let Ledger { lines, facts, about, .. } = std::mem::take(&mut *lock(ledger));
    Examined { report: Report { lines }, facts, about }
}

/// What the login and its questions need, and what came of them.
struct Found {
    reach: Reach,
    endpoints: Endpoints,
    sts: Endpoint,
    logged_in: Option<LoggedIn>,
    permissions: Vec<permission::Seen>,
    learned: Vec<Learned>,
    dated: bool,
}

async fn work(
    asked: Asked,
    ledger: &Mutex<Ledger>,
    say: &(dyn Fn(Line) + Sync),
    show: &(dyn Fn(&Progress) + Sync),
) {
    let Asked { settings, given, from, cloud, time } = asked;
    let limits = Bounds::within(time);
    let Doctor {
        engine, provider_volume, admin, in_cluster, mistakes, warnings, given: flags, ..
    } = settings;
    let seen = configuration::Seen { mistakes, warnings, given: flags.len(), from };
    configuration::judge(&seen).into_iter().for_each(say);
    lock(ledger).about.given = flags;
    let Engine { region, hosts, trust, policy, metadata, api_server, agent, .. } = engine;
    let quota = quota::Seen {
        kms_calls: engine.kms_calls,
        oos_calls: engine.oos_calls,
        kms_batch: engine.kms_batch,
        shared: policy.share == Share::ServiceAccount,
        refresh_seconds: engine.freshness.of(None).as_secs(),
        metrics: Err(String::new()),
        throttled_now: false,
    };
    let (file, jwt) = identity::token(policy.token_file.as_deref());
    say(token::judge(&file, jiff::Timestamp::now()));
    say(issuer::judge(file.claims(), policy.oidc_provider.as_ref()));

    let address = match admin.ip().is_unspecified() {
        true => format!("127.0.0.1:{}", admin.port()),
        false => admin.to_string(),
    };
    let socket = provider_volume.join(SOCKET);
    let uses_tokens = policy.allowed.contains(&Mode::Pod);
    let looks_up = uses_tokens && socket.exists();
    let mut local: Vec<LocalBoxFuture<'_, ()>> = vec![
        Box::pin(of_socket(socket, limits, say)),
        Box::pin(of_provider(address, ledger, say)),
        Box::pin(of_cluster(limits, api_server, in_cluster, &given, looks_up, uses_tokens, say)),
    ];
    let ask_region = || of_metadata(limits, &metadata, region.as_ref(), &policy, say);
    if region.is_some() {
        local.push(Box::pin(ask_region().map(drop)));
    }
    let of_cloud = async {
        // All else waits for it where no flag names it.
        let region = match &region {
            Some(region) => Some(region.clone()),
            None => ask_region().await,
        };
        let cloud = Clouded { hosts: &hosts, trust, agent, metadata: &metadata, limits };
        let who = Who { policy: &policy, given: &given, file: &file, jwt };
        of_cloud(region?, cloud, who, say).await
    };
    let (found, _) = tokio::join!(of_cloud, join_all(local));
    let metrics = lock(ledger).about.metrics.clone();
    let metrics = metrics.unwrap_or_else(|| Err("no provider was asked".to_owned()));
    let learned = found.iter().flat_map(|found| &found.learned);
    let throttled_now = learned.into_iter().any(|one| one.throttled);
    say(quota::judge(&quota::Seen { metrics, throttled_now, ..quota }));
    if found.is_none() {
        no_hosts(say);
    }
    if cloud {
        show(&Progress::Facts(ABOUT_FACTS));
        lock(ledger).facts = Some(Vec::new());
        let done = |tried: Tried| {
            if let Some(facts) = &mut lock(ledger).facts {
                facts.push(tried.clone());
            }
            show(&Progress::Fact(tried));
        };
        try_facts(found.as_ref(), &done).await;
    }
}

fn no_hosts(say: &(dyn Fn(Line) + Sync)) {
    for check in [
        Check::Names,
        Check::Certificate,
        Check::Answer,
        Check::Clock,
        Check::Login,
        Check::Permission,
    ] {
        say(Line::skipped(check, "", "no host can be called: see the lines that are broken"));
    }
}

async fn try_facts(found: Option<&Found>, done: &(dyn Fn(Tried) + Sync)) {
    let Some(Found { reach, endpoints, sts, logged_in, permissions, learned, dated }) = found
    else {
        Fact::ALL.into_iter().map(|fact| Tried::not(fact, "no host can be called")).for_each(done);
        return;
    };
    let logged_in = logged_in.as_ref();
    let dated = *dated;
    facts::Trial { reach, endpoints, sts, logged_in, permissions, learned, dated }.all(done).await;
}

/// How the cloud is called.
struct Clouded<'a> {
    hosts: &'a Hosts,
    trust: trust::Options,
    agent: Option<HeaderValue>,
    metadata: &'a MetadataOptions,
    limits: Bounds,
}

/// Who calls it, and for what.
struct Who<'a> {
    policy: &'a Policy,
    given: &'a Given,
    file: &'a token::File,
    jwt: Option<Arc<Secret<String>>>,
}

/// The hosts, and beside them the login and what it may read. `None`: nothing can be called.
async fn of_cloud(
    region: Region,
    cloud: Clouded<'_>,
    who: Who<'_>,
    say: &(dyn Fn(Line) + Sync),
) -> Option<Found> {
    let Clouded { hosts: named, trust, agent, metadata, limits } = cloud;
    let sts_region = named.sts_region.clone().unwrap_or_else(|| region.clone());
    let endpoints = named.endpoints(region);
    let sts = endpoints.of(Service::Sts, &sts_region);
    let MetadataOptions { host, role, without_token } = metadata;
    let made = Metadata::new(host, role.clone(), *without_token)
        .and_then(|metadata| Ok((metadata, Clients::new(trust.clone())?)));
    let (metadata, clients) = match made {
        Ok(made) => made,
        Err(what) => {
            let fix = "give the certificates that the message names";
            say(Line::broken(Check::Certificate, "", what, fix));
            return None;
        }
    };
    let metrics = Arc::new(Metrics::new());
    let calls = Cloud::new(clients, metrics.clone(), AT_ONCE, AT_ONCE);
    let calls = Arc::new(match agent {
        Some(agent) => calls.with_agent(agent),
        None => calls,
    });
    let sessions = Sessions::new(calls.clone(), sts.clone(), metadata, metrics);
    let reach = Reach { cloud: calls, trust, bounds: limits };
    let mount = identity::mount(&who.given.class, who.file, who.jwt.clone(), &endpoints);
    let asked = mount.as_ref().ok();
    let needs_sts = asked.is_none_or(|mount| identity::needs_sts(mount, who.policy));
    let all = hosts::all(&endpoints, &sts, asked, needs_sts, who.given.asks);
    say(proxy::judge(&hosts::proxied(&reach, &all)));
    let of_hosts = async {
        let mut learned = join_all(all.iter().map(|host| reach.examine(host, say))).await;
        let clocks: Vec<clock::Seen> =
            learned.iter_mut().filter_map(|one| one.clock.take()).collect();
        say(clock::judge(&clocks));
        (learned, clocks.iter().any(|seen| seen.date.is_some()))
    };
    let ((learned, dated), (logged_in, permissions)) =
        tokio::join!(of_hosts, of_identity(mount, &who, &reach, &sessions, say));
    Some(Found { reach, endpoints, sts, logged_in, permissions, learned, dated })
}

async fn of_identity(
    mount: Result<Mount, Vec<Line>>,
    who: &Who<'_>,
    reach: &Reach,
    sessions: &Sessions,
    say: &(dyn Fn(Line) + Sync),
) -> (Option<LoggedIn>, Vec<permission::Seen>) {
    let mount = match mount {
        Ok(mount) => mount,
        Err(lines) => {
            lines.into_iter().for_each(say);
            return (None, vec![]);
        }
    };
    let (named, seen, logged_in) =
        identity::login(&mount, who.policy, sessions, reach.bounds).await;
    say(login::judge(&named, &seen, who.file.claims(), who.policy.oidc_provider.as_ref()));
    let why_not = match &logged_in {
        None => Some("there is no login"),
        Some(_) if !who.given.asks => {
            Some("no secret is asked about: name one with --secret, or a class with --file")
        }
        Some(_) => None,
    };
    if let Some(why) = why_not {
        say(Line::skipped(Check::Permission, "", why));
        return (logged_in, vec![]);
    }
    let permissions = match &logged_in {
        Some(logged_in) => identity::permissions(&mount, logged_in, reach, sessions).await,
        None => vec![],
    };
    permissions.iter().for_each(|seen| say(permission::judge(seen)));
    (logged_in, permissions)
}

async fn of_socket(path: PathBuf, limits: Bounds, say: &(dyn Fn(Line) + Sync)) {
    let state = node::socket(&path, limits.call).await;
    let seen = socket::Seen { path: path.display().to_string(), state };
    say(socket::judge(&seen, env!("CARGO_PKG_VERSION")));
}

async fn of_provider(address: String, ledger: &Mutex<Ledger>, say: &(dyn Fn(Line) + Sync)) {
    let (ready, metrics, state) = tokio::join!(
        node::admin(&address, "/readyz"),
        node::admin(&address, "/metrics"),
        node::admin(&address, "/debug/state"),
    );
    say(provider::judge(&address, &ready));
    let own = |answer: Result<(u16, String), String>, flag: &str| match answer {
        Ok((200, text)) => Ok(text),
        Ok((status, _)) => Err(format!("HTTP {status} at {address}: see {flag}")),
        Err(why) => Err(format!("at {address}: {why}")),
    };
    let about = &mut lock(ledger).about;
    about.metrics = Some(own(metrics, "--metrics"));
    about.debug_state = Some(own(state, "--debug-endpoints"));
}

async fn of_cluster(
    limits: Bounds,
    api: Option<Arc<ApiServer>>,
    in_cluster: bool,
    given: &Given,
    needed: bool,
    tokens: bool,
    say: &(dyn Fn(Line) + Sync),
) {
    let has_account = PathBuf::from(ACCOUNT_DIR).join("token").exists();
    let address = api.as_ref().map_or(String::new(), |api| api.address().to_owned());
    let cluster = match api {
        None => node::Cluster::unasked(
            "--service-account-lookup is false, so that the API server is not asked",
        ),
        Some(_) if in_cluster && !has_account => {
            node::Cluster::unasked("there is no ServiceAccount token here, and no --kubernetes-api")
        }
        Some(api) => match timeout(limits.login, node::Cluster::ask(&api)).await {
            Ok(cluster) => cluster,
            Err(_elapsed) => node::Cluster::unasked("the API server does not answer in time"),
        },
    };
    say(service_accounts::judge(&address, &cluster.accounts, needed));
    let object = cluster.driver.or_else(|why| given.driver.clone().ok_or(why));
    let program = cluster.program.or_else(node::running_driver);
    let seen = driver::Seen { object, program };
    driver::judge(&seen, tokens).into_iter().for_each(say);
    let version = cluster.version.as_ref().map(|json| json.expose().as_slice());
    say(kubelet::judge(version.map_err(String::as_str)));
}

/// The region, of the flag or of the instance.
async fn of_metadata(
    limits: Bounds,
    options: &MetadataOptions,
    region: Option<&Region>,
    policy: &Policy,
    say: &(dyn Fn(Line) + Sync),
) -> Option<Region> {
    let asked = match Metadata::new(&options.host, None, options.without_token) {
        Ok(metadata) if policy.ecs_metadata => {
            let none = |_| Err(Error::new(Reason::Timeout, "no answer in time"));
            Some(timeout(limits.call, metadata.region()).await.unwrap_or_else(none))
        }
        _ => None,
    };
    let asked = asked.map(|asked| asked.map_err(|error| error.message.to_string()));
    let given = asked.as_ref().and_then(|asked| asked.as_ref().ok());
    let given = given.and_then(|text| Region::parse(text));
    let seen = metadata::Seen {
        host: options.host.clone(),
        region: asked,
        given: region.map(|region| region.as_str().to_owned()),
        identity: policy.allowed.contains(&Mode::EcsRole),
    };
    say(metadata::judge(&seen));
    region.cloned().or(given)
}
