//! Two certificate authorities, and a certificate for every name a client asks for.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{default_provider, sign::any_ecdsa_type};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::state::sync::lock;

const INSTANCES: &str = ".cryptoservice.kms.aliyuncs.com";

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("{0}: {1}")]
    File(String, std::io::Error),
}

/// The authority of the public names, and that of the KMS instances with its intermediate.
pub(crate) struct Authorities {
    public: Authority,
    instance_root: Authority,
    instance: Authority,
    names: Vec<String>,
    send_intermediate: bool,
    leaves: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorities").finish_non_exhaustive()
    }
}

impl Authorities {
    /// Read from `folder` when they are there, else made, and kept there for the next time.
    pub(crate) fn load(
        folder: Option<&Path>,
        settings: &crate::state::config::Tls,
    ) -> Result<Self, TlsError> {
        let public = Authority::load(folder, "ca", "Emulated Public CA", None)?;
        let instance_root =
            Authority::load(folder, "instance-ca", "Emulated Private KMS Root CA", None)?;
        let instance = Authority::load(
            folder,
            "instance-intermediate",
            "Emulated Private KMS Second CA",
            Some(&instance_root),
        )?;
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(settings.names.clone());
        let send_intermediate = settings.send_instance_intermediate;
        let leaves = Mutex::default();
        Ok(Self { public, instance_root, instance, names, send_intermediate, leaves })
    }

    pub(crate) fn ca_pem(&self) -> String {
        self.public.pem.clone()
    }

    /// Root and intermediate, as both are anchors of the real instances.
    pub(crate) fn instance_ca_pem(&self) -> String {
        format!("{}{}", self.instance_root.pem, self.instance.pem)
    }

    pub(crate) fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }

    fn leaf(&self, name: Option<&str>) -> Result<Arc<CertifiedKey>, TlsError> {
        let key = name.unwrap_or_default().to_ascii_lowercase();
        let mut leaves = lock(&self.leaves);
        if let Some(leaf) = leaves.get(&key) {
            return Ok(leaf.clone());
        }
        let names = if key.is_empty() || key == "localhost" {
            self.names.clone()
        } else {
            vec![key.clone()]
        };
        let leaf = if key.ends_with(INSTANCES) {
            let chain = self.send_intermediate.then_some(self.instance.pem.as_str());
            self.instance.leaf(names, chain)?
        } else {
            self.public.leaf(names, None)?
        };
        leaves.insert(key, leaf.clone());
        Ok(leaf)
    }
}

impl ResolvesServerCert for Authorities {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.leaf(hello.server_name()).ok()
    }
}

impl Authority {
    fn load(
        folder: Option<&Path>,
        file: &str,
        name: &str,
        signer: Option<&Self>,
    ) -> Result<Self, TlsError> {
        let Some(folder) = folder else {
            return Self::make(name, signer, KeyPair::generate()?);
        };
        let certificate = folder.join(format!("{file}.pem"));
        let key = folder.join(format!("{file}-key.pem"));
        if certificate.exists() && key.exists() {
            let key = KeyPair::from_pem(&read(&key)?)?;
            return Ok(Self {
                pem: read(&certificate)?,
                issuer: Issuer::new(parameters(name)?, key),
            });
        }
        let made = Self::make(name, signer, KeyPair::generate()?)?;
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        write_private(&key, made.issuer.key().serialize_pem().as_bytes())?;
        std::fs::write(&certificate, &made.pem).map_err(|error| failed(&certificate, error))?;
        Ok(made)
    }

    fn make(name: &str, signer: Option<&Self>, key: KeyPair) -> Result<Self, TlsError> {
        let mut parameters = parameters(name)?;
        let certificate = match signer {
            None => parameters.self_signed(&key)?,
            Some(signer) => {
                parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                parameters.use_authority_key_identifier_extension = true;
                parameters.signed_by(&key, &signer.issuer)?
            }
        };
        Ok(Self { pem: certificate.pem(), issuer: Issuer::new(parameters, key) })
    }

    fn leaf(
        &self,
        names: Vec<String>,
        intermediate: Option<&str>,
    ) -> Result<Arc<CertifiedKey>, TlsError> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(names.clone())?;
        let common = names.first().filter(|name| name.len() <= 64);
        parameters.distinguished_name.remove(DnType::CommonName);
        if let Some(name) = common {
            parameters.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        let mut chain = vec![certificate.der().clone()];
        chain.extend(
            intermediate
                .into_iter()
                .flat_map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes()))
                .flatten(),
        );
        let key = any_ecdsa_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
        Ok(Arc::new(CertifiedKey::new(chain, key)))
    }
}

/// The same name and key make the same issuer, so a stored authority needs no parsing.
fn parameters(name: &str) -> Result<CertificateParams, TlsError> {
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = date_time_ymd(2021, 7, 8);
    parameters.not_after = date_time_ymd(2041, 7, 3);
    Ok(parameters)
}

pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), TlsError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    options
        .open(path)
        .and_then(|mut file| file.write_all(content))
        .map_err(|error| failed(path, error))
}

fn read(path: &Path) -> Result<String, TlsError> {
    std::fs::read_to_string(path).map_err(|error| failed(path, error))
}

pub(crate) fn failed(path: &Path, error: std::io::Error) -> TlsError {
    TlsError::File(path.display().to_string(), error)
}
