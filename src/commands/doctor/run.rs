//! Run: all checks, those that do not depend on each other at the same time, each with a bound of its own, and
//! all of them with one together.

use std::{path::PathBuf, sync::Mutex, time::Duration};

use futures::{
    StreamExt as _,
    future::{LocalBoxFuture, join_all},
    stream::FuturesUnordered,
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    bundle::About,
    facts,
    given::Given,
    hosts::{Bounds, Host, Learned, Reach},
    identity, node,
};
use crate::{
    cloud::{Cloud, trust::Clients},
    config::{Engine, MetadataOptions, doctor::Doctor},
    credentials::{Sessions, metadata::Metadata},
    doctor::{
        check::Check,
        checks::{
            clock, configuration, driver, issuer, kubelet, login, metadata, permission, provider,
            proxy, quota, service_accounts, socket, token,
        },
        facts::Tried,
        line::{Line, Report},
    },
    endpoint::{Endpoint, Endpoints, Service},
    error::{Error, Reason},
    identity::api_server::{ACCOUNT_DIR, ApiServer},
    names::Region,
    policy::{Policy, Share},
    request::Mount,
    spc::{mode::Mode, source::Source},
    sync::lock,
    telemetry::Metrics,
};

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

/// What is told while it goes on.
pub(super) enum Told {
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

/// What has been told so far.
#[derive(Default)]
struct Ledger {
    lines: Vec<Line>,
    facts: Option<Vec<Tried>>,
    learned: Vec<Learned>,
    about: About,
    throttled: bool,
}

pub(super) async fn examine(asked: Asked, tell: &(dyn Fn(&Told) + Sync)) -> Examined {
    let end = Instant::now() + asked.time;
    let seconds = asked.time.as_secs();
    let ledger = Mutex::new(Ledger::default());
    let say = |line: Line| {
        lock(&ledger).lines.push(line.clone());
        tell(&Told::Line(line));
    };
    let (ledger, say) = (&ledger, &say as &(dyn Fn(Line) + Sync));
    let all = work(asked, ledger, say, tell);
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

async fn work(
    asked: Asked,
    ledger: &Mutex<Ledger>,
    say: &(dyn Fn(Line) + Sync),
    tell: &(dyn Fn(&Told) + Sync),
) {
    let Asked { settings, given, from, cloud, time } = asked;
    let limits = Bounds::within(time);
    let Doctor {
        engine, provider_volume, admin, in_cluster, mistakes, warnings, given: flags, ..
    } = settings;
    let seen = configuration::Seen { mistakes, warnings, given: flags.len(), from };
    configuration::judge(&seen).into_iter().for_each(say);
    lock(ledger).about.given = flags;
    let Engine { region, hosts, trust, policy, metadata, api_server, .. } = engine;
    let bounds = quota::Seen {
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

    let address = if admin.ip().is_unspecified() {
        format!("127.0.0.1:{}", admin.port())
    } else {
        admin.to_string()
    };
    let socket = provider_volume.join(SOCKET);
    let serves_here = socket.exists();
    let looks_up = serves_here && policy.allowed.contains(&Mode::Pod);
    let uses_tokens = policy.allowed.contains(&Mode::Pod);
    let local: Vec<LocalBoxFuture<'_, ()>> = vec![
        Box::pin(of_socket(socket, limits, say)),
        Box::pin(of_provider(address, ledger, say)),
        Box::pin(of_cluster(limits, api_server, in_cluster, &given, looks_up, uses_tokens, say)),
    ];
    let of_cloud = async {
        let MetadataOptions { host, role, without_token } = metadata;
        let region = of_metadata(limits, &host, without_token, region, &policy, say).await;
        let Some(region) = region else {
            for check in [
                Check::Names,
                Check::Certificate,
                Check::Answer,
                Check::Clock,
                Check::Login,
                Check::Permission,
            ] {
                say(Line::skipped(
                    check,
                    "",
                    "the region is not known, and so no host is: set --region",
                ));
            }
            return;
        };
        let sts_region = hosts.sts_region.clone().unwrap_or_else(|| region.clone());
        let endpoints = hosts.endpoints(region);
        let sts = endpoints.of(Service::Sts, &sts_region);
        let metadata = Metadata::new(&host, role, without_token);
        let clients = Clients::new(trust.clone());
        let (metadata, clients) = match (metadata, clients) {
            (Ok(metadata), Ok(clients)) => (metadata, clients),
            (Err(what), _) | (_, Err(what)) => {
                return say(Line::broken(
                    Check::Certificate,
                    "",
                    what,
                    "give the certificates that the message names",
                ));
            }
        };
        let metrics = std::sync::Arc::new(Metrics::new());
        let cloud_calls = Cloud::new(clients, metrics.clone(), bounds.kms_calls, bounds.oos_calls);
        let cloud_calls = std::sync::Arc::new(match engine.agent {
            Some(agent) => cloud_calls.with_agent(agent),
            None => cloud_calls,
        });
        let sessions = Sessions::new(cloud_calls.clone(), sts.clone(), metadata, metrics);
        let reach = Reach { cloud: cloud_calls, trust, bounds: limits };
        let mount = identity::mount(&given.class, &file, jwt, &endpoints);
        let all = hosts_of(&endpoints, &sts, mount.as_ref().ok(), &policy, given.asks);
        say(proxy::judge(&of_proxy(&reach, &all)));
        let of_hosts = async {
            let learned = join_all(all.iter().map(|host| reach.examine(host, say))).await;
            let clocks: Vec<clock::Seen> = {
                let mut ledger = lock(ledger);
                ledger.learned = learned;
                ledger.throttled |= ledger.learned.iter().any(|one| one.throttled);
                ledger.learned.iter_mut().filter_map(|one| one.clock.take()).collect()
            };
            say(clock::judge(&clocks));
            clocks.iter().any(|seen| seen.date.is_some())
        };
        let of_identity = async {
            let mount = match mount {
                Ok(mount) => mount,
                Err(lines) => {
                    lines.into_iter().for_each(say);
                    return None;
                }
            };
            let (named, seen, logged_in) =
                identity::login(&mount, &policy, &sessions, limits).await;
            say(login::judge(&named, &seen, file.claims(), policy.oidc_provider.as_ref()));
            let asked = match (&logged_in, given.asks) {
                (None, _) => {
                    say(Line::skipped(Check::Permission, "", "there is no login"));
                    vec![]
                }
                (_, false) => {
                    let why =
                        "no secret is asked about: name one with --secret, or a class with --file";
                    say(Line::skipped(Check::Permission, "", why));
                    vec![]
                }
                (Some(logged_in), true) => {
                    identity::permissions(&mount, logged_in, &reach, &sessions).await
                }
            };
            asked.iter().for_each(|seen| say(permission::judge(seen)));
            Some((logged_in, asked))
        };
        let (dated, of_identity) = tokio::join!(of_hosts, of_identity);
        if cloud {
            let (logged_in, asked) = of_identity.unwrap_or_default();
            tell(&Told::Facts(ABOUT_FACTS));
            let learned = std::mem::take(&mut lock(ledger).learned);
            let trial = facts::Trial {
                reach: &reach,
                endpoints: &endpoints,
                sts: &sts,
                logged_in: logged_in.as_ref(),
                permissions: &asked,
                learned: &learned,
                dated,
            };
            lock(ledger).facts = Some(Vec::new());
            trial
                .all(&|tried: Tried| {
                    if let Some(facts) = &mut lock(ledger).facts {
                        facts.push(tried.clone());
                    }
                    tell(&Told::Fact(tried));
                })
                .await;
        }
    };
    let mut all: FuturesUnordered<LocalBoxFuture<'_, ()>> = local.into_iter().collect();
    all.push(Box::pin(of_cloud));
    while all.next().await.is_some() {}
    drop(all);
    let (metrics, throttled_now) = {
        let ledger = lock(ledger);
        let none = || Err("no provider was asked".to_owned());
        (ledger.about.metrics.clone().unwrap_or_else(none), ledger.throttled)
    };
    say(quota::judge(&quota::Seen { metrics, throttled_now, ..bounds }));
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
    api: Option<ApiServer>,
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
    host: &str,
    without_token: bool,
    region: Option<Region>,
    policy: &Policy,
    say: &(dyn Fn(Line) + Sync),
) -> Option<Region> {
    let asked = match Metadata::new(host, None, without_token) {
        Ok(metadata) if policy.ecs_metadata => {
            let none = |_| Err(Error::new(Reason::Timeout, "no answer in time"));
            Some(timeout(limits.call, metadata.region()).await.unwrap_or_else(none))
        }
        _ => None,
    };
    let asked = asked.map(|asked| asked.map_err(|error| error.message.to_string()));
    let told = asked.as_ref().and_then(|asked| asked.as_ref().ok());
    let told = told.and_then(|text| Region::parse(text));
    let seen = metadata::Seen {
        host: host.to_owned(),
        region: asked,
        given: region.as_ref().map(|region| region.as_str().to_owned()),
        identity: policy.allowed.contains(&Mode::EcsRole),
    };
    say(metadata::judge(&seen));
    region.or(told)
}

/// STS, KMS and OOS as they are configured, and what else the objects name.
fn hosts_of(
    endpoints: &Endpoints,
    sts: &Endpoint,
    mount: Option<&Mount>,
    policy: &Policy,
    asks: bool,
) -> Vec<Host> {
    let service_of = |source: &Source| match source {
        Source::Kms(_) => Service::Kms,
        Source::Oos(_) => Service::Oos,
    };
    let objects = mount.map_or(&[][..], |mount| &mount.spec.objects);
    let reads: Vec<(Service, &Endpoint)> = objects
        .iter()
        .filter(|_| asks)
        .map(|object| (service_of(&object.read.source), &object.read.endpoint))
        .collect();
    let reads_at =
        |endpoint: &Endpoint| reads.iter().any(|(_, named)| named.host() == endpoint.host());
    let needs_sts = mount.is_none_or(|mount| identity::needs_sts(mount, policy));
    let (kms, oos) = (
        endpoints.of(Service::Kms, &endpoints.region),
        endpoints.of(Service::Oos, &endpoints.region),
    );
    let mut hosts = vec![
        Host { service: Service::Sts, needed: needs_sts, endpoint: sts.clone() },
        Host { service: Service::Kms, needed: reads_at(&kms) || reads.is_empty(), endpoint: kms },
        Host { service: Service::Oos, needed: reads_at(&oos), endpoint: oos },
    ];
    for (service, endpoint) in reads {
        if !hosts.iter().any(|host| host.endpoint.host() == endpoint.host()) {
            hosts.push(Host { service, needed: true, endpoint: endpoint.clone() });
        }
    }
    hosts
}

fn of_proxy(reach: &Reach, hosts: &[Host]) -> proxy::Seen {
    let names = |through: bool| {
        let of = |host: &&Host| reach.trust.is_proxied(&host.endpoint) == through;
        hosts.iter().filter(of).map(|host| host.endpoint.host().to_owned()).collect()
    };
    proxy::Seen {
        proxy: reach.trust.proxy.as_ref().map(|proxy| proxy.address().to_owned()),
        through: names(true),
        direct: names(false),
    }
}
