//! The cloud: region, hosts, certificates, instance metadata, calls at once.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hyper::header::HeaderValue;

use super::{
    flag::{CLOUD, Flag, flag},
    settings::Settings,
};
use crate::{
    cloud::{agent, trust},
    credentials::metadata::DEFAULT_HOST,
    endpoint::{Endpoints, HostTemplate, is_authority},
    http::Proxy,
    names::{Glob, Region, url_host},
    policy::Policy,
};

pub(super) const FLAGS: &[Flag] = &[
    flag(
        CLOUD,
        "region",
        "REGION",
        "Region of secrets whose SecretProviderClass names none, such as cn-hangzhou [default: the \
         instance's, from instance metadata] [also: ALIBABA_CLOUD_REGION_ID]",
    ),
    flag(
        CLOUD,
        "public-endpoints",
        "BOOL",
        "Call STS, KMS and OOS at their public hosts, not at those inside the VPC \
         [default: false] [also: ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED=false]",
    ),
    flag(
        CLOUD,
        "sts-endpoint",
        "HOST",
        "Host of STS in place of Alibaba Cloud's; {region} is filled in [also: ALIBABA_CLOUD_STS_ENDPOINT]",
    ),
    flag(
        CLOUD,
        "kms-endpoint",
        "HOST",
        "Host of KMS in place of Alibaba Cloud's; {region} is filled in",
    ),
    flag(
        CLOUD,
        "oos-endpoint",
        "HOST",
        "Host of OOS in place of Alibaba Cloud's; {region} is filled in",
    ),
    flag(
        CLOUD,
        "allowed-endpoints",
        "HOST,...",
        "Hosts (with * and ?) that an object may name in kmsEndpoint beyond Alibaba Cloud's own, and \
         KMS instances that it may name under an identity that pods share [default: none]",
    ),
    flag(CLOUD, "ca-file", "FILE", "PEM certificates to trust in addition to the system's"),
    flag(
        CLOUD,
        "kms-ca-file",
        "FILE",
        "PEM certificates to trust for KMS instances, in place of Alibaba Cloud's private CAs",
    ),
    flag(
        CLOUD,
        "resolve",
        "HOST=IP[:PORT],...",
        "Addresses of hosts (with * and ?), used instead of DNS; certificates are checked all the \
         same",
    ),
    flag(
        CLOUD,
        "https-proxy",
        "URL",
        "HTTP proxy for hosts outside the VPC: http://[USER:PASSWORD@]HOST:PORT. They are called through it by \
         CONNECT, and their certificates are checked all the same. Not for instance metadata nor the \
         Kubernetes API [default: none] [also: HTTPS_PROXY, https_proxy, ALL_PROXY, all_proxy]",
    ),
    flag(
        CLOUD,
        "no-proxy",
        "HOST,...",
        "Hosts that are called directly: names with all names below them, addresses, networks, * for all \
         [default: none] [also: NO_PROXY, no_proxy]",
    ),
    flag(
        CLOUD,
        "proxy-vpc-endpoints",
        "BOOL",
        "Call hosts inside the VPC through the proxy too, KMS instances included [default: false]",
    ),
    flag(
        CLOUD,
        "metadata-endpoint",
        "HOST[:PORT]",
        "Instance metadata service, called over http [default: 100.100.100.200]",
    ),
    flag(
        CLOUD,
        "max-concurrent-kms-secret-pulls",
        "N",
        "Concurrent KMS calls, over all mounts [default: 64]",
    ),
    flag(
        CLOUD,
        "max-concurrent-oos-secret-pulls",
        "N",
        "Concurrent OOS calls, over all mounts [default: 16]",
    ),
    flag(
        CLOUD,
        "user-agent",
        "TEXT",
        "Words behind the program's name and version in the User-Agent of calls to the cloud, such \
         as the cluster's name [default: none]",
    ),
];

const HTTPS_PROXY: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const ALL_PROXY: [&str; 2] = ["ALL_PROXY", "all_proxy"];

/// `Endpoints` before the region is known.
#[derive(Debug)]
pub struct Hosts {
    pub public: bool,
    pub sts: Option<HostTemplate>,
    pub sts_region: Option<Region>,
    pub kms: Option<HostTemplate>,
    pub oos: Option<HostTemplate>,
    pub allowed: Vec<Glob>,
}

impl Hosts {
    pub fn endpoints(&self, region: Region) -> Endpoints {
        let Self { public, sts, kms, oos, allowed, .. } = self;
        Endpoints {
            region,
            public: *public,
            sts: sts.clone(),
            kms: kms.clone(),
            oos: oos.clone(),
            allowed: allowed.clone(),
        }
    }
}

#[derive(Debug)]
pub struct MetadataOptions {
    pub host: String,
    pub role: Option<String>,
    pub without_token: bool,
}

impl Settings<'_> {
    pub(super) fn trust(&mut self) -> trust::Options {
        trust::Options {
            ca_pem: self.pem("ca-file"),
            kms_ca_pem: self.pem("kms-ca-file"),
            resolve: self.list("resolve", fixed_address, "HOST=IP or HOST=IP:PORT"),
            proxy: self.proxy().map(Arc::new),
        }
    }

    /// For calls over https, whether it can be used or not.
    pub(super) fn proxy_is_given(&mut self) -> bool {
        self.text("https-proxy", &HTTPS_PROXY).is_some() || self.env(&ALL_PROXY).is_some()
    }

    /// No mistake or warning quotes a proxy's URL, which may hold a password.
    fn proxy(&mut self) -> Option<Proxy> {
        let except = self.text("no-proxy", &["NO_PROXY", "no_proxy"]).unwrap_or_default();
        let inside_vpc = self.flag("proxy-vpc-endpoints").unwrap_or_default();
        let parse = |url: &str| Proxy::new(url, &except, inside_vpc);
        // Of all protocols: it may well be one that other programs of the pod need.
        let of_all = self.env(&ALL_PROXY);
        if self.text("https-proxy", &HTTPS_PROXY).is_some() {
            return self
                .checked("https-proxy", &HTTPS_PROXY, |url| parse(url).map_err(str::to_owned));
        }
        parse(&of_all?).map_err(|what| self.warn(format!("ALL_PROXY is not used: it {what}"))).ok()
    }

    pub(super) fn kms_calls(&mut self) -> usize {
        self.count("max-concurrent-kms-secret-pulls", 1, 64)
    }

    pub(super) fn oos_calls(&mut self) -> usize {
        self.count("max-concurrent-oos-secret-pulls", 1, 16)
    }

    pub(super) fn agent(&mut self) -> Option<HeaderValue> {
        self.parsed("user-agent", &[], agent, "at most 128 printable characters of ASCII")
    }

    pub(super) fn region(&mut self, policy: &Policy) -> Option<Region> {
        let before = self.count_mistakes();
        let region = self.parsed(
            "region",
            &["ALIBABA_CLOUD_REGION_ID"],
            Region::parse,
            "a region id such as cn-hangzhou",
        );
        if region.is_none() && self.count_mistakes() == before && !policy.ecs_metadata {
            self.wrong(
                "no --region is given, and ALIBABA_CLOUD_ECS_METADATA_DISABLED turns off the \
                 instance metadata, which would be asked for it: set --region",
            );
        }
        region
    }

    pub(super) fn hosts(&mut self) -> Hosts {
        let host = "a host name or [IPV6-ADDRESS], with :PORT and {region} if needed, and without https://";
        let inside = self.env_bool("ALIBABA_CLOUD_VPC_ENDPOINT_ENABLED").unwrap_or(true);
        let public = self.flag("public-endpoints").unwrap_or(!inside);
        let sts_region = self.env(&["ALIBABA_CLOUD_STS_REGION"]);
        let sts_region = sts_region.and_then(|text| {
            let region = Region::parse(&text);
            if region.is_none() {
                self.wrong("ALIBABA_CLOUD_STS_REGION is not a region id".to_owned());
            }
            region
        });
        Hosts {
            public,
            sts: self.parsed(
                "sts-endpoint",
                &["ALIBABA_CLOUD_STS_ENDPOINT"],
                HostTemplate::parse,
                host,
            ),
            sts_region,
            kms: self.parsed("kms-endpoint", &[], HostTemplate::parse, host),
            oos: self.parsed("oos-endpoint", &[], HostTemplate::parse, host),
            allowed: self.list(
                "allowed-endpoints",
                |text| (!text.contains("://")).then(|| Glob::new(text)),
                "host names or patterns of them",
            ),
        }
    }

    pub(super) fn metadata(&mut self) -> MetadataOptions {
        MetadataOptions {
            host: self
                .parsed("metadata-endpoint", &[], authority, "HOST or HOST:PORT, without http://")
                .unwrap_or_else(|| DEFAULT_HOST.to_owned()),
            role: self.parsed(
                "ecs-role-name",
                &["ALIBABA_CLOUD_ECS_METADATA"],
                |text| crate::text::identifier(text).map(str::to_owned),
                "a RAM role's name",
            ),
            without_token: !self.env_bool("ALIBABA_CLOUD_IMDSV1_DISABLED").unwrap_or(false),
        }
    }
}

fn authority(text: &str) -> Option<String> {
    let host = url_host(text);
    is_authority(&host).then_some(host)
}

fn fixed_address(text: &str) -> Option<(Glob, SocketAddr)> {
    let (host, address) = text.split_once('=')?;
    let ip = || match address.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        Some(text) => text.parse().ok().map(IpAddr::V6),
        None => address.parse().ok(),
    };
    let address = address.parse().ok().or_else(|| Some(SocketAddr::new(ip()?, 0)))?;
    (!host.is_empty()).then(|| (Glob::new(host), address))
}
