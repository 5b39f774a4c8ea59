//! A small HTTP client: for the JWKS of a real issuer, and for `ctl`.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("{path}: {reason}")]
    File { path: String, reason: String },
    #[error("{0}")]
    Http(String),
}

/// GETs a URL, trusting only `ca_file` when it is given, with the bearer token in `token_file`.
pub(crate) async fn get(
    url: &str,
    ca_file: Option<&str>,
    token_file: Option<&str>,
) -> Result<Bytes, FetchError> {
    let mut request = Request::get(url);
    if let Some(path) = token_file {
        let token = read(path)?;
        request = request.header("authorization", format!("Bearer {}", token.trim()));
    }
    let request = request.body(Full::new(Bytes::new())).map_err(http)?;
    let (status, body) = send(request, ca_file).await?;
    if status == 200 { Ok(body) } else { Err(FetchError::Http(format!("status {status}"))) }
}

pub async fn send(
    request: Request<Full<Bytes>>,
    ca_file: Option<&str>,
) -> Result<(u16, Bytes), FetchError> {
    let connector = hyper_rustls::HttpsConnectorBuilder::new()
        .with_tls_config(tls(ca_file)?)
        .https_or_http()
        .enable_http1()
        .build();
    let client = Client::builder(TokioExecutor::new()).build(connector);
    let exchange = async {
        let response = client.request(request).await.map_err(http)?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), 64 << 20).collect().await;
        let body = body.map_err(|error| FetchError::Http(error.to_string()))?;
        Ok((status, body.to_bytes()))
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), exchange)
        .await
        .map_err(|_| FetchError::Http("timed out".to_owned()))?
}

fn tls(ca_file: Option<&str>) -> Result<rustls::ClientConfig, FetchError> {
    let mut roots = rustls::RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let pem = read(path)?;
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
                roots.add(certificate).map_err(|error| file(path, &error.to_string()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Http(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

pub(crate) fn read(path: impl AsRef<Path>) -> Result<String, FetchError> {
    let path = path.as_ref();
    std::fs::read_to_string(path)
        .map_err(|error| file(&path.display().to_string(), &error.to_string()))
}

fn file(path: &str, reason: &str) -> FetchError {
    FetchError::File { path: path.to_owned(), reason: reason.to_owned() }
}

fn http(error: impl std::error::Error) -> FetchError {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    FetchError::Http(text)
}
