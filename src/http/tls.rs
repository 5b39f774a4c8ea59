//! TLS setup: PEM certificates, and what a client trusts.

use std::sync::Arc;

use rustls::{
    CertificateError, ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// What is wrong with a host's certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untrusted {
    Expired,
    NotYetValid,
    UnknownIssuer,
    OtherName,
    /// Or it was not checked, since nothing is trusted.
    Otherwise,
}

impl Untrusted {
    pub(super) fn of(error: &CertificateError) -> Self {
        use CertificateError::*;
        match error {
            Expired | ExpiredContext { .. } => Self::Expired,
            NotValidYet | NotValidYetContext { .. } => Self::NotYetValid,
            UnknownIssuer => Self::UnknownIssuer,
            NotValidForName | NotValidForNameContext { .. } => Self::OtherName,
            _ => Self::Otherwise,
        }
    }
}

/// Certificates of a PEM file; at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err("holds no PEM certificate".to_owned()),
        Err(_) => Err("is not PEM".to_owned()),
    }
}

pub fn trust(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|_| "holds a certificate that cannot be a CA".to_owned())?;
    }
    Ok(())
}

pub(super) fn tls(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "no TLS version in common with the provider".to_owned())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests;
