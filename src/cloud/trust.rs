//! Which certificates the cloud's hosts are trusted by.

use std::{
    env, fmt,
    path::PathBuf,
    sync::{Arc, LazyLock},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::Request;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::{
    endpoint::{Endpoint, Trust},
    http::{self, Answer, Broken, Client, FixedAddresses, Proxy, Transport, Untrusted},
};

/// How hosts are found and trusted, beyond the defaults.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// PEM certificates trusted beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// PEM certificates trusted for KMS instances in place of those built in.
    pub kms_ca_pem: Option<Vec<u8>>,
    pub resolve: FixedAddresses,
    /// How hosts outside the VPC are reached, where not directly.
    pub proxy: Option<Arc<Proxy>>,
}

impl Options {
    /// What hosts of this trust are held to.
    pub(crate) fn roots(&self, trust: Trust) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        match trust {
            Trust::System => {
                if let Some(pem) = &self.ca_pem {
                    http::trust(&mut roots, pem)?;
                }
                add_system(&mut roots);
            }
            Trust::KmsInstance => match &self.kms_ca_pem {
                Some(pem) => http::trust(&mut roots, pem)?,
                None => add_built_in(&mut roots)?,
            },
        }
        Ok(roots)
    }

    /// Whether a host is called through the proxy.
    pub fn is_proxied(&self, endpoint: &Endpoint) -> bool {
        let host = endpoint.host();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        http::fixed_address(&self.resolve, name).is_none()
            && self.proxy.as_ref().is_some_and(|proxy| proxy.is_for(host))
    }
}

/// Connections that all mounts share, one set for each trust.
#[derive(Debug)]
pub struct Clients {
    system: Arc<dyn Transport>,
    kms_instance: Arc<dyn Transport>,
}

impl Clients {
    /// The operator's certificates are read at once, the many others when they are needed: reading
    /// them takes longer than all the rest of a start.
    pub fn new(options: Options) -> Result<Self, String> {
        let Options { ca_pem, kms_ca_pem, resolve, proxy } = options;
        let resolve = Arc::new(resolve);
        let mut operators = RootCertStore::empty();
        if let Some(pem) = &ca_pem {
            http::trust(&mut operators, pem)?;
        } else if !has_system_certificate() {
            return Err(NO_ROOTS.to_owned());
        }
        let system = {
            let (resolve, proxy) = (resolve.clone(), proxy.clone());
            Later::new(move || {
                let mut roots = operators;
                add_system(&mut roots);
                Client::secure(roots, resolve, proxy)
            })
        };
        let mut operators = RootCertStore::empty();
        if let Some(pem) = &kms_ca_pem {
            http::trust(&mut operators, pem)?;
        }
        let kms_instance = Later::new(move || {
            let mut roots = operators;
            if kms_ca_pem.is_none() {
                add_built_in(&mut roots)?;
            }
            Client::secure(roots, resolve, proxy)
        });
        Ok(Self { system: Arc::new(system), kms_instance: Arc::new(kms_instance) })
    }

    /// All hosts by another way.
    pub fn by(transport: Arc<dyn Transport>) -> Self {
        Self { system: transport.clone(), kms_instance: transport }
    }

    /// For the hosts that every mount needs. Takes some milliseconds.
    pub fn warm(&self) {
        self.system.warm();
    }

    pub fn of(&self, trust: Trust) -> &dyn Transport {
        match trust {
            Trust::System => &*self.system,
            Trust::KmsInstance => &*self.kms_instance,
        }
    }
}

/// Honours SSL_CERT_FILE and SSL_CERT_DIR. The operator's file may be all there is.
fn add_system(roots: &mut RootCertStore) {
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
}

fn add_built_in(roots: &mut RootCertStore) -> Result<(), String> {
    KMS_INSTANCE_CA.iter().try_for_each(|pem| http::trust(roots, pem.as_bytes()))
}

const NO_ROOTS: &str = "no root certificates are found, so no host can be trusted: give a CA bundle with \
    --ca-file, SSL_CERT_FILE or SSL_CERT_DIR, or install the system's ca-certificates";

/// Whether the system has any, without the milliseconds that reading all of them takes.
fn has_system_certificate() -> bool {
    let variable = |name| env::var_os(name).filter(|text| !text.is_empty());
    let (file, folders) = match (variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR")) {
        (None, None) => {
            let found = openssl_probe::probe();
            (found.cert_file, found.cert_dir)
        }
        (file, folders) => {
            let folders = folders.map(|folders| env::split_paths(&folders).collect());
            (file.map(PathBuf::from), folders.unwrap_or_default())
        }
    };
    let files = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten();
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    file.into_iter().chain(files).any(|path| CertificateDer::from_pem_file(path).is_ok())
}

type Make = Box<dyn FnOnce() -> Result<Client, String> + Send>;

/// A client that is made when the first request needs it.
struct Later(LazyLock<Result<Client, String>, Make>);

impl Later {
    fn new(make: impl FnOnce() -> Result<Client, String> + Send + 'static) -> Self {
        Self(LazyLock::new(Box::new(make)))
    }
}

impl Transport for Later {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        match &*self.0 {
            Ok(client) => Transport::send(client, request),
            Err(_) => Box::pin(async { Err(Broken::Certificate(Untrusted::Otherwise)) }),
        }
    }

    fn warm(&self) {
        LazyLock::force(&self.0);
    }
}

impl fmt::Debug for Later {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Later")
    }
}

/// Root and regional CA of each region's KMS instances. An instance's host name does not tell its
/// region, and whether it sends its intermediate is not known, so all of them are anchors: they
/// hang on one root, and they are trusted for instance hosts alone.
const KMS_INSTANCE_CA: [&str; 26] = [
    include_str!("kms-private-ca/ap-northeast-1.pem"),
    include_str!("kms-private-ca/ap-southeast-1.pem"),
    include_str!("kms-private-ca/ap-southeast-3.pem"),
    include_str!("kms-private-ca/ap-southeast-5.pem"),
    include_str!("kms-private-ca/ap-southeast-6.pem"),
    include_str!("kms-private-ca/ap-southeast-7.pem"),
    include_str!("kms-private-ca/cn-beijing-finance-1.pem"),
    include_str!("kms-private-ca/cn-beijing.pem"),
    include_str!("kms-private-ca/cn-chengdu.pem"),
    include_str!("kms-private-ca/cn-guangzhou.pem"),
    include_str!("kms-private-ca/cn-hangzhou.pem"),
    include_str!("kms-private-ca/cn-heyuan-acdr-1.pem"),
    include_str!("kms-private-ca/cn-heyuan.pem"),
    include_str!("kms-private-ca/cn-hongkong.pem"),
    include_str!("kms-private-ca/cn-huhehaote.pem"),
    include_str!("kms-private-ca/cn-qingdao.pem"),
    include_str!("kms-private-ca/cn-shanghai-finance-1.pem"),
    include_str!("kms-private-ca/cn-shanghai.pem"),
    include_str!("kms-private-ca/cn-shenzhen.pem"),
    include_str!("kms-private-ca/cn-wulanchabu.pem"),
    include_str!("kms-private-ca/cn-zhangjiakou.pem"),
    include_str!("kms-private-ca/eu-central-1.pem"),
    include_str!("kms-private-ca/eu-west-1.pem"),
    include_str!("kms-private-ca/me-central-1.pem"),
    include_str!("kms-private-ca/us-east-1.pem"),
    include_str!("kms-private-ca/us-west-1.pem"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_private_ca_loads_with_its_root() {
        let mut all = std::collections::BTreeSet::new();
        for pem in KMS_INSTANCE_CA {
            let pair = http::certificates(pem.as_bytes()).unwrap();
            assert_eq!(pair.len(), 2);
            all.extend(pair.iter().map(|certificate| certificate.as_ref().to_vec()));
        }
        assert_eq!(all.len(), 27, "one root and 26 regions");
        assert!(Clients::new(Options::default()).is_ok());
    }
}
