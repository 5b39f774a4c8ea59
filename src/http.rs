//! HTTP as this program speaks it: connections kept and bounded, answers bounded, and errors in
//! words of our own, because a library's would carry the URL.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    net::{SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        Client as Pool,
        connect::{HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{names::Glob, secret::Secret};

/// Ten parameters of 4 KiB, or one secret of 30 KiB in base64, with room to spare.
const MAX_BODY_BYTES: usize = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Shorter than the idle limit of the load balancers in front of the services.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Addresses for hosts that name resolution here does not know.
pub type FixedAddresses = Vec<(Glob, SocketAddr)>;

/// How a request reaches its host. A simulated cloud has a way of its own.
pub trait Transport: fmt::Debug + Send + Sync {
    /// One attempt, without a time limit of its own.
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>>;
}

/// Connections under one trust.
#[derive(Debug)]
pub struct Client(Pool<HttpsConnector<HttpConnector<Resolver>>, Full<Bytes>>);

impl Transport for Client {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>> {
        Box::pin(self.send(request))
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Secret<Vec<u8>>,
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The host could not be reached, or the connection broke.
    Connection(&'static str),
    /// The host is not who it should be: asking again will not help.
    Certificate,
}

impl Client {
    /// Speaks HTTPS alone.
    pub fn secure(roots: RootCertStore, resolve: Arc<FixedAddresses>) -> Result<Self, String> {
        Ok(Self::over(connector(tls(roots)?, resolve, false)))
    }

    /// Speaks plain HTTP where the URL says so.
    pub fn plain_too(roots: RootCertStore) -> Result<Self, String> {
        Ok(Self::over(connector(tls(roots)?, Arc::default(), true)))
    }

    /// One attempt, without a time limit of its own.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
        let response = self.0.request(request).await.map_err(|error| reason(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                return Broken::Connection("the answer is larger than 1 MiB");
            }
            Broken::Connection("the connection broke within the answer")
        })?;
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: Secret::new(body.to_bytes().to_vec()),
        })
    }

    fn over(connector: HttpsConnector<HttpConnector<Resolver>>) -> Self {
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self(pool)
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

fn tls(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| "no TLS version in common with the provider".to_owned())?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

fn connector(
    tls: ClientConfig,
    resolve: Arc<FixedAddresses>,
    plain_too: bool,
) -> HttpsConnector<HttpConnector<Resolver>> {
    let mut tcp = HttpConnector::new_with_resolver(Resolver(resolve));
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
    let builder = if plain_too { builder.https_or_http() } else { builder.https_only() };
    builder.enable_all_versions().wrap_connector(tcp)
}

fn reason(error: &hyper_util::client::legacy::Error) -> Broken {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(cause) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = tls_error(cause) {
            return Broken::Certificate;
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::*;
            match io.kind() {
                ConnectionRefused => return Broken::Connection("connection refused"),
                ConnectionReset | BrokenPipe | UnexpectedEof => {
                    return Broken::Connection("connection reset");
                }
                TimedOut => return Broken::Connection("no connection in time"),
                NetworkUnreachable | HostUnreachable => {
                    return Broken::Connection("no route to the host");
                }
                _ => {}
            }
        }
        // The connector's own error type is private; its text is a constant.
        if cause.to_string().starts_with("dns error") {
            return Broken::Connection("the host name is not known here");
        }
        next = cause.source();
    }
    if error.is_connect() {
        return Broken::Connection("no connection");
    }
    Broken::Connection("the connection broke before the answer")
}

/// rustls errors travel inside io errors, one in another, whose `source` skips them.
fn tls_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = cause;
    while let Some(inner) = cause.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
        cause = inner;
    }
    cause.downcast_ref()
}

/// The operator's addresses first, then the system's resolver.
#[derive(Clone, Debug)]
struct Resolver(Arc<FixedAddresses>);

impl tower::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let fixed = self.0.iter().find(|(glob, _)| glob.matches(name.as_str()));
        if let Some((_, address)) = fixed {
            let address = *address;
            return Box::pin(async move { Ok(vec![address].into_iter()) });
        }
        Box::pin(async move {
            let lookup = move || (name.as_str(), 0).to_socket_addrs();
            let found =
                tokio::task::spawn_blocking(lookup).await.map_err(std::io::Error::other)??;
            Ok(found.collect::<Vec<_>>().into_iter())
        })
    }
}
