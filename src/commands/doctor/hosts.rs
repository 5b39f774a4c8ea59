//! Hosts: names, connections and answers of the services' hosts.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::{
    api::Api,
    cloud::{Call, Cause, Cloud, Failure, Probe, limiter::Priority, trust},
    doctor::{
        certificate::Certificate,
        check::Check,
        checks::{
            answer,
            certificate::{self, Distrust, Shown},
            clock,
            names::{self, Gave, Server, Way},
            proxy,
        },
        line::{Line, Outcome, advice},
    },
    endpoint::{Endpoint, Endpoints, Service, Trust},
    http::{self, NameError, Untrusted, dns},
    login::Caller,
    request::Mount,
};

/// How long each may take: what hangs must leave time for what comes after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// One question to one name server.
    pub(super) name: Duration,
    /// A connection, and an answer.
    pub(super) call: Duration,
    /// A login, with all that is asked again meanwhile.
    pub(super) login: Duration,
}

impl Bounds {
    /// Three of them, one after the other, end within all the time.
    pub(super) fn within(all: Duration) -> Self {
        let most = |seconds| Duration::from_secs(seconds).min(all / 4);
        Self { name: most(3), call: most(8), login: most(12) }
    }
}

/// A host, and what for.
#[derive(Clone, Debug)]
pub(super) struct Host {
    pub(super) service: Service,
    pub(super) endpoint: Endpoint,
    /// Whether mounts need it, as far as is known.
    pub(super) needed: bool,
}

/// What all hosts are reached by.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) cloud: Arc<Cloud>,
    pub(super) trust: trust::Options,
    pub(super) bounds: Bounds,
}

/// What was learned of a host beside its lines.
#[derive(Debug)]
pub(super) struct Learned {
    pub(super) clock: Option<clock::Seen>,
    pub(super) throttled: bool,
    /// Whether it is a KMS instance, and the certificates that it sent.
    pub(super) instance: Option<(usize, String)>,
}

impl Reach {
    /// One after the other: what the first says of a host explains what the next would say.
    pub(super) async fn examine(&self, host: &Host, tell: &(dyn Fn(Line) + Sync)) -> Learned {
        let name = host.endpoint.host();
        let tell = |line: Line| tell(host.weighed(line));
        tell(self.names(host).await);
        let (line, shown) = self.certificate(host).await;
        let reached = shown.is_some();
        tell(line);
        let instance = shown
            .filter(|_| host.endpoint.trust() == Trust::KmsInstance)
            .map(|shown| (shown.chain.len(), shown.version));
        if !reached {
            tell(Line::skipped(Check::Answer, name, "there is no connection that is trusted"));
            return Learned { clock: None, throttled: false, instance };
        }
        let (line, clock, throttled) = self.answer(host).await;
        tell(line);
        Learned { clock, throttled, instance }
    }

    async fn names(&self, host: &Host) -> Line {
        let authority = host.endpoint.host();
        let name = without_port(authority);
        let started = Instant::now();
        let fixed = http::fixed_address(&self.trust.resolve, name);
        let way = if let Some(address) = fixed {
            Way::Operator(address.to_string())
        } else if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            Way::Address
        } else if let Some(proxy) =
            self.trust.proxy.as_ref().filter(|_| self.trust.is_proxied(&host.endpoint))
        {
            Way::Proxy(proxy.address().to_owned())
        } else {
            way(dns::survey(name, self.bounds.name).await)
        };
        names::judge(authority, &way).took(started.elapsed())
    }

    /// With what was shown, if that is trusted.
    async fn certificate(&self, host: &Host) -> (Line, Option<Shown>) {
        let name = host.endpoint.host();
        let trust = host.endpoint.trust();
        let unreached =
            |what: String, fix: String| (Line::broken(Check::Certificate, name, what, fix), None);
        let roots = match self.trust.roots(trust) {
            Ok(roots) => roots,
            Err(what) => {
                return unreached(
                    format!("nothing can be trusted: the file {what}"),
                    String::new(),
                );
            }
        };
        let resolve = Arc::new(self.trust.resolve.clone());
        let proxy = self.trust.proxy.clone();
        let shaken = http::handshake(name, roots, resolve, proxy, self.bounds.call).await;
        let shaken = match shaken {
            Ok(shaken) => shaken,
            Err(broken) => {
                let failure =
                    Failure::new(api(host.service), &host.endpoint, Cause::Broken(broken));
                let (what, fix) = of_failure(&failure);
                return unreached(what, fix);
            }
        };
        let (flag, pem) = match trust {
            Trust::System => ("--ca-file", &self.trust.ca_pem),
            Trust::KmsInstance => ("--kms-ca-file", &self.trust.kms_ca_pem),
        };
        let own = pem.as_ref().and_then(|pem| http::certificates(pem).ok()).unwrap_or_default();
        let own = own.iter().filter_map(|one| Some(Certificate::read(one)?.subject));
        let shown = Shown {
            peer: shaken.peer.map_or_else(|| "an unknown address".to_owned(), |at| at.to_string()),
            version: shaken.version.unwrap_or_else(|| "TLS".to_owned()),
            chain: shaken.chain.iter().filter_map(|der| Certificate::read(der)).collect(),
            distrust: shaken.untrusted.map(distrust),
            own: own.collect(),
            flag,
            took: shaken.took,
        };
        let line = certificate::judge(name, &shown, Timestamp::now());
        (line, Some(shown).filter(|shown| shown.distrust.is_none()))
    }

    async fn answer(&self, host: &Host) -> (Line, Option<clock::Seen>, bool) {
        let name = host.endpoint.host();
        let api = api(host.service);
        let query = match host.service {
            Service::Sts => {
                vec![("Action", api.name()), ("Format", "JSON"), ("Version", api.version())]
            }
            Service::Kms | Service::Oos => vec![],
        };
        let call = unsigned(api, &host.endpoint, query);
        let probe = match self.cloud.probe(&call, self.bounds.call).await {
            Ok(probe) => probe,
            Err(failure) => {
                let (what, fix) = of_failure(&failure);
                return (Line::broken(Check::Answer, name, what, fix), None, false);
            }
        };
        let clock =
            clock::Seen { host: name.to_owned(), date: probe.date.clone(), here: Timestamp::now() };
        let seen = seen(host.service, probe);
        (answer::judge(name, &seen), Some(clock), seen.throttled)
    }
}

impl Host {
    /// What no mount needs does not break any.
    fn weighed(&self, mut line: Line) -> Line {
        line.subject = format!("{} {}", self.service.name(), line.subject);
        match line.outcome {
            Outcome::Broken if !self.needed => {
                let line = Line { outcome: Outcome::Warn, ..line };
                line.note("nothing that is configured or asked about here needs this host")
            }
            _ => line,
        }
    }
}

fn seen(service: Service, probe: Probe) -> answer::Seen {
    let is = |cause| probe.failure.as_ref().is_some_and(|failure| failure.cause == cause);
    answer::Seen {
        service: service.name(),
        status: probe.status,
        foreign: is(Cause::OnTheWay),
        throttled: is(Cause::Throttled),
        code: probe.code,
        request: probe.request_id,
        took: probe.took,
    }
}

/// An operation of the service, by which it is asked.
fn api(service: Service) -> Api {
    match service {
        Service::Sts => Api::AssumeRoleWithOidc,
        Service::Kms => Api::GetSecretValue,
        Service::Oos => Api::GetSecretParameter,
    }
}

/// A call that is nobody's.
pub(super) fn unsigned<'a>(
    api: Api,
    endpoint: &'a Endpoint,
    query: Vec<(&'a str, &'a str)>,
) -> Call<'a> {
    let caller = Caller { login: [0; 32], account: [0; 32] };
    let (priority, form, keys) = (Priority::default(), None, None);
    Call { api, endpoint, query, form, keys, caller, priority, on_error: None, sent: None }
}

/// What happened, without the operation that would have been called, and what to do.
fn of_failure(failure: &Failure) -> (String, String) {
    let error = failure.error("", "");
    let what = error.message.split_once(": ").map_or(&*error.message, |(_, what)| what);
    (what.to_owned(), advice(&error.hint))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => authority,
    }
}

fn way(survey: dns::Survey) -> Way {
    let texts = |addresses: &[IpAddr]| addresses.iter().map(ToString::to_string).collect();
    if let Some(addresses) = survey.hosts_file {
        return Way::HostsFile(texts(&addresses));
    }
    let gave = |(found, took): (Result<Vec<IpAddr>, NameError>, Duration)| {
        let gave = match found {
            Ok(addresses) => Gave::Addresses(texts(&addresses)),
            Err(NameError::NoAddress) => Gave::NoAddress,
            Err(NameError::NotFound) => Gave::NotFound,
            Err(NameError::NoAnswer | NameError::NoServer) => Gave::Silent,
            Err(NameError::Failed) => Gave::Failed,
        };
        (gave, took)
    };
    let server = |asked: dns::Asked| {
        let dns::Asked { server, v4, v6 } = asked;
        Server { address: server.to_string(), v4: gave(v4), v6: gave(v6) }
    };
    Way::Servers(survey.servers.into_iter().map(server).collect())
}

fn distrust(why: Untrusted) -> Distrust {
    match why {
        Untrusted::Expired => Distrust::Expired,
        Untrusted::NotYetValid => Distrust::NotYetValid,
        Untrusted::UnknownIssuer => Distrust::UnknownIssuer,
        Untrusted::OtherName => Distrust::OtherName,
        Untrusted::Otherwise => Distrust::Otherwise,
    }
}

/// Whether the region has this host, by DNS.
pub(super) async fn exists(
    trust: &trust::Options,
    host: &str,
    bounds: Bounds,
) -> Result<bool, String> {
    if http::fixed_address(&trust.resolve, host).is_some() {
        return Err("--resolve names its address, so that DNS is not asked".to_owned());
    }
    match way(dns::survey(host, bounds.name).await) {
        Way::Servers(servers) if servers.is_empty() => {
            Err("no name server is configured".to_owned())
        }
        Way::Servers(servers) => {
            let families = || servers.iter().flat_map(|one| [&one.v4.0, &one.v6.0]);
            if families().any(|gave| matches!(gave, Gave::Addresses(_))) {
                return Ok(true);
            }
            let known = families().any(|gave| matches!(gave, Gave::NotFound | Gave::NoAddress));
            if known { Ok(false) } else { Err("the name servers do not answer".to_owned()) }
        }
        _ => Ok(true),
    }
}

/// STS, KMS and OOS as they are configured, and what else the objects name.
pub(super) fn all(
    endpoints: &Endpoints,
    sts: &Endpoint,
    mount: Option<&Mount>,
    needs_sts: bool,
    asks: bool,
) -> Vec<Host> {
    let objects = mount.map_or(&[][..], |mount| &mount.spec.objects);
    let reads: Vec<(Service, &Endpoint)> = objects
        .iter()
        .filter(|_| asks)
        .map(|object| (object.read.source.facts().api().service(), &object.read.endpoint))
        .collect();
    let reads_at =
        |endpoint: &Endpoint| reads.iter().any(|(_, named)| named.host() == endpoint.host());
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

pub(super) fn proxied(reach: &Reach, hosts: &[Host]) -> proxy::Seen {
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
