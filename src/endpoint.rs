//! The hosts a signed request may go to. An `Endpoint` exists only for Alibaba Cloud's own host
//! names and for those the operator named, so nothing signed can go anywhere else.

use std::{fmt, net::Ipv6Addr, sync::Arc};

use crate::{
    limits,
    names::{Glob, Region},
    text::quoted,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    Sts,
    Kms,
    Oos,
}

impl Service {
    pub fn name(self) -> &'static str {
        match self {
            Service::Sts => "STS",
            Service::Kms => "KMS",
            Service::Oos => "OOS",
        }
    }

    fn host_prefix(self) -> &'static str {
        match self {
            Service::Sts => "sts",
            Service::Kms => "kms",
            Service::Oos => "oos",
        }
    }
}

/// Which certificates a host is trusted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The system's roots and the operator's.
    System,
    /// Alibaba Cloud's private CA for KMS instances.
    KmsInstance,
}

/// `host[:port]` of an HTTPS endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    host: Arc<str>,
    trust: Trust,
    named_by_pods: bool,
    unlisted_instance: bool,
}

impl Endpoint {
    pub fn host(&self) -> &str {
        &self.host
    }

    /// For who keeps it.
    pub fn shared_host(&self) -> Arc<str> {
        self.host.clone()
    }

    pub fn trust(&self) -> Trust {
        self.trust
    }

    /// Whether a SecretProviderClass chose it, by a host or a region, and not the operator.
    pub fn is_named_by_pods(&self) -> bool {
        self.named_by_pods
    }

    /// Whether it is a KMS instance that no operator named: it may be anybody's.
    pub fn is_unlisted_instance(&self) -> bool {
        self.unlisted_instance
    }

    fn new(host: String, named_by_pods: bool) -> Self {
        let trust = if is_kms_instance(&host) { Trust::KmsInstance } else { Trust::System };
        Self { host: host.into(), trust, named_by_pods, unlisted_instance: false }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)
    }
}

/// A host the operator set. `{region}` in it stands for the region that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostTemplate(String);

impl HostTemplate {
    pub fn parse(text: &str) -> Option<Self> {
        let example = text.replace("{region}", "cn-hangzhou");
        is_authority(&example).then(|| Self(text.to_owned()))
    }
}

/// A host name or `[IPV6-ADDRESS]`, with a port or without.
pub fn is_authority(text: &str) -> bool {
    let is_port = |text: &str| text.parse::<u16>().is_ok_and(|port| port > 0);
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let port = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
            port && address.parse::<Ipv6Addr>().is_ok()
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => is_port(port) && is_host(host),
            None => is_host(text),
        },
    }
}

/// Where each service is, as the operator decided.
#[derive(Clone, Debug)]
pub struct Endpoints {
    pub region: Region,
    /// Public hosts in place of those inside a VPC.
    pub public: bool,
    pub sts: Option<HostTemplate>,
    pub kms: Option<HostTemplate>,
    pub oos: Option<HostTemplate>,
    /// Hosts beyond Alibaba Cloud's that a SecretProviderClass may name.
    pub allowed: Vec<Glob>,
}

impl Endpoints {
    pub fn of(&self, service: Service, region: &Region) -> Endpoint {
        let explicit = match service {
            Service::Sts => &self.sts,
            Service::Kms => &self.kms,
            Service::Oos => &self.oos,
        };
        if let Some(HostTemplate(host)) = explicit {
            let any_region = host.contains("{region}");
            if any_region || *region == self.region {
                let other = any_region && self.is_of_pods(service, region);
                return Endpoint::new(host.replace("{region}", region.as_str()), other);
            }
        }
        let network = if self.public { "" } else { "-vpc" };
        let host = format!("{}{network}.{region}.aliyuncs.com", service.host_prefix());
        Endpoint::new(host, self.is_of_pods(service, region))
    }

    /// STS's region is the operator's alone.
    fn is_of_pods(&self, service: Service, region: &Region) -> bool {
        service != Service::Sts && *region != self.region
    }

    /// A `kmsEndpoint` of a SecretProviderClass: pod-author input. Also tells the region in its
    /// name, where it has one.
    pub fn kms_of_object(&self, written: &str) -> Result<(Endpoint, Option<Region>), String> {
        if written.contains("://") {
            return Err("is a URL; write the host name alone".to_owned());
        }
        if let Some(found) = self.of_object(written) {
            return Ok(found);
        }
        let (host, more) = written.split_at(written.find([':', '/']).unwrap_or(written.len()));
        if self.of_object(host).is_some() {
            return Err(format!("holds {} behind the host; write {host}", quoted(more)));
        }
        Err(format!(
            "{} is not an Alibaba Cloud KMS host (kms.REGION.aliyuncs.com, \
             kms-vpc.REGION.aliyuncs.com, INSTANCE.cryptoservice.kms.aliyuncs.com) nor one that \
             the operator listed in --allowed-endpoints",
            quoted(written)
        ))
    }

    fn of_object(&self, written: &str) -> Option<(Endpoint, Option<Region>)> {
        // Host names mean the same in either letter case; what is signed and kept has one.
        let host = &*written.to_ascii_lowercase();
        let named = self.of(Service::Kms, &self.region).host() != host;
        let endpoint = || Endpoint::new(host.to_owned(), named);
        let listed = self.allowed.iter().any(|glob| glob.matches(host) || glob.matches(written));
        if is_kms_instance(host) && is_host(host) {
            return Some((Endpoint { unlisted_instance: named && !listed, ..endpoint() }, None));
        }
        if let Some(region) = shared_gateway_region(host) {
            return Some((endpoint(), Some(region)));
        }
        let valid = listed && HostTemplate::parse(host).is_some() && !host.contains('{');
        valid.then(|| (endpoint(), None))
    }
}

const INSTANCE_SUFFIX: &str = ".cryptoservice.kms.aliyuncs.com";

pub(super) fn is_kms_instance(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    name.strip_suffix(INSTANCE_SUFFIX).is_some_and(|id| !id.is_empty() && !id.contains('.'))
        && name.len() == host.len()
}

/// Whether a host, with a port or without, is one of Alibaba Cloud's that only exist inside a VPC.
pub fn is_inside_vpc(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    let regional = name.strip_suffix(".aliyuncs.com").and_then(|name| name.split_once('.'));
    is_kms_instance(name) || regional.is_some_and(|(service, _)| service.ends_with("-vpc"))
}

fn shared_gateway_region(host: &str) -> Option<Region> {
    let rest = host.strip_suffix(".aliyuncs.com")?;
    Region::parse(rest.strip_prefix("kms-vpc.").or_else(|| rest.strip_prefix("kms."))?)
}

/// Service and region of a regional host as Alibaba Cloud names them, as far as it looks like one.
pub(crate) fn regional(host: &str) -> Option<(&str, &str)> {
    let (service, region) = host.strip_suffix(".aliyuncs.com")?.split_once('.')?;
    let service = service.strip_suffix("-vpc").unwrap_or(service);
    (matches!(service, "sts" | "kms" | "oos") && !region.contains('.')).then_some((service, region))
}

fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= limits::DNS_NAME && text.split('.').all(label)
}

#[cfg(test)]
impl Endpoints {
    /// Where the operator says nothing.
    pub(crate) fn of_hangzhou() -> Self {
        Self {
            region: Region::parse("cn-hangzhou").unwrap(),
            public: false,
            sts: None,
            kms: None,
            oos: None,
            allowed: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
