//! Which certificates the cloud's hosts are trusted by.

use std::sync::Arc;

use rustls::RootCertStore;

use super::endpoint::Trust;
use crate::http::{self, Client, FixedAddresses, Transport};

/// How hosts are found and trusted, beyond the defaults.
#[derive(Debug, Default)]
pub struct Options {
    /// PEM certificates trusted beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// PEM certificates trusted for KMS instances in place of those built in.
    pub kms_ca_pem: Option<Vec<u8>>,
    pub resolve: FixedAddresses,
}

/// Connections that all mounts share, one set for each trust.
#[derive(Debug)]
pub struct Clients {
    system: Arc<dyn Transport>,
    kms_instance: Arc<dyn Transport>,
}

impl Clients {
    pub fn new(options: Options) -> Result<Self, String> {
        let resolve = Arc::new(options.resolve);
        let mut roots = RootCertStore::empty();
        // Honours SSL_CERT_FILE and SSL_CERT_DIR. A machine without roots is no error here: the
        // operator's file may be all there is.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if let Some(pem) = &options.ca_pem {
            http::trust(&mut roots, pem)?;
        }
        let mut instance_roots = RootCertStore::empty();
        match &options.kms_ca_pem {
            Some(pem) => http::trust(&mut instance_roots, pem)?,
            None => {
                for pem in KMS_INSTANCE_CA {
                    http::trust(&mut instance_roots, pem.as_bytes())?;
                }
            }
        }
        Ok(Self {
            system: Arc::new(Client::secure(roots, resolve.clone())?),
            kms_instance: Arc::new(Client::secure(instance_roots, resolve)?),
        })
    }

    /// All hosts by another way.
    pub fn by(transport: Arc<dyn Transport>) -> Self {
        Self { system: transport.clone(), kms_instance: transport }
    }

    pub fn of(&self, trust: Trust) -> &dyn Transport {
        match trust {
            Trust::System => &*self.system,
            Trust::KmsInstance => &*self.kms_instance,
        }
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
