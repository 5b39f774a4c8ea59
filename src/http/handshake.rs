//! Handshake: one TLS handshake with a host, by the way and under the trust of every call, and the certificates
//! that it showed. Nothing is sent over the connection.

use std::{
    io,
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper::Uri;
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error as TlsError, RootCertStore,
    SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};
use tokio::time::{Instant, timeout};
use tower::ServiceExt as _;

use super::{
    Broken, ConnectionError, FixedAddresses, Proxy, Untrusted,
    connector::{reason, tcp},
};
use crate::sync::lock;

#[derive(Debug)]
pub(crate) struct Handshake {
    /// Of the host, or of the proxy before it.
    pub(crate) peer: Option<SocketAddr>,
    /// Such as `TLSv1_3`.
    pub(crate) version: Option<String>,
    /// What the host sent, its own certificate first, as DER.
    pub(crate) chain: Vec<Vec<u8>>,
    /// Why the chain is not trusted.
    pub(crate) untrusted: Option<Untrusted>,
    pub(crate) took: Duration,
}

/// With the host of a call, which may have a port.
pub(crate) async fn handshake(
    host: &str,
    roots: RootCertStore,
    resolve: Arc<FixedAddresses>,
    proxy: Option<Arc<Proxy>>,
    limit: Duration,
) -> Result<Handshake, Broken> {
    let started = Instant::now();
    let other = || Broken::Connection(ConnectionError::Other);
    let late = || Broken::Connection(ConnectionError::TimedOut);
    let uri = Uri::builder().scheme("https").authority(host).path_and_query("/").build();
    let uri = uri.map_err(|_| other())?;
    let name = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(name).map_err(|_| other())?;
    let connected = timeout(limit, tcp(resolve, proxy).oneshot(uri)).await;
    let stream = connected.map_err(|_| late())?.map_err(|error| reason(&*error))?.into_inner();
    let peer = stream.peer_addr().ok();
    let connected_in = started.elapsed();
    let stream = stream.into_std().and_then(|stream| {
        stream.set_nonblocking(false)?;
        let left = limit.saturating_sub(connected_in).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        stream.set_write_timeout(Some(left))?;
        Ok(stream)
    });
    let stream = stream.map_err(|_| other())?;
    let shaken = tokio::task::spawn_blocking(move || shake(stream, name, roots));
    match timeout(limit, shaken).await {
        Err(_elapsed) => Err(late()),
        Ok(Err(_)) => Err(other()),
        Ok(Ok(shaken)) => {
            let (version, Seen { chain, untrusted }) = shaken?;
            Ok(Handshake { peer, version, chain, untrusted, took: started.elapsed() })
        }
    }
}

fn shake(
    mut stream: TcpStream,
    name: ServerName<'static>,
    roots: RootCertStore,
) -> Result<(Option<String>, Seen), Broken> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let untrusted = |_| Broken::Certificate(Untrusted::Otherwise);
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let inner = inner.build().map_err(|_| Broken::Certificate(Untrusted::Otherwise))?;
    let recorder = Arc::new(Recorder { inner, seen: Mutex::default() });
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(untrusted)?
        .dangerous()
        .with_custom_certificate_verifier(recorder.clone())
        .with_no_client_auth();
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(untrusted)?;
    let mut failed = None;
    while failed.is_none() && tls.is_handshaking() {
        failed = tls.complete_io(&mut stream).err();
    }
    let version = tls.protocol_version().map(|version| format!("{version:?}"));
    let seen = std::mem::take(&mut *lock(&recorder.seen));
    match (failed, seen) {
        (Some(error), Seen { untrusted: None, .. }) => Err(broken(&error)),
        (_, seen) => Ok((version, seen)),
    }
}

fn broken(error: &io::Error) -> Broken {
    match error.kind() {
        // As a read with a timeout ends.
        io::ErrorKind::WouldBlock => Broken::Connection(ConnectionError::TimedOut),
        _ => reason(error),
    }
}

#[derive(Debug, Default)]
struct Seen {
    chain: Vec<Vec<u8>>,
    untrusted: Option<Untrusted>,
}

/// Says what the usual verifier says, and keeps what it was shown.
#[derive(Debug)]
struct Recorder {
    inner: Arc<WebPkiServerVerifier>,
    seen: Mutex<Seen>,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let verified = self.inner.verify_server_cert(own, others, name, ocsp, now);
        let untrusted = verified.as_ref().err().map(|error| match error {
            TlsError::InvalidCertificate(why) => Untrusted::of(why),
            _ => Untrusted::Otherwise,
        });
        let chain = std::iter::once(own).chain(others).map(|one| one.as_ref().to_vec()).collect();
        *lock(&self.seen) = Seen { chain, untrusted };
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
