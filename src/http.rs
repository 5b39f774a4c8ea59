//! HTTP as this program speaks it: connections kept and bounded, answers bounded, and errors in
//! words of our own, because a library's would carry the URL.

use std::{
    collections::{HashMap, HashSet},
    error::Error as StdError,
    fmt,
    future::Future,
    net::{SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{HeaderMap, Request, Uri, http::uri::Authority};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{
        Client as Pool,
        connect::{Connection as _, HttpConnector, dns::Name},
    },
    rt::{TokioExecutor, TokioTimer},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tower::{Service as _, ServiceExt as _};

use crate::{flight::lock, names::Glob, quiet::Activity, secret::Secret};

/// Ten parameters of 4 KiB, or one secret of 30 KiB in base64, with room to spare.
const MAX_BODY_BYTES: usize = 1 << 20;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What was read stays in the old connections' buffers meanwhile.
const AHEAD_TIMEOUT: Duration = Duration::from_secs(1);
/// Shorter than the idle limit of the load balancers in front of the services.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);
/// A connection on which calls wait and nothing arrives is asked whether it lives, and dropped before
/// the calls on it have to be given up.
const PING_AFTER: Duration = Duration::from_secs(4);
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// Addresses for hosts that name resolution here does not know.
pub type FixedAddresses = Vec<(Glob, SocketAddr)>;

/// How a request reaches its host. A simulated cloud has a way of its own.
pub trait Transport: fmt::Debug + Send + Sync {
    /// One attempt, without a time limit of its own.
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>>;

    /// Does what the first request would otherwise have to wait for.
    fn warm(&self) {}
}

/// Connections under one trust. Once they come to rest they are closed, since their buffers hold
/// what was last read, and the next ones stand ready.
#[derive(Debug)]
pub struct Client {
    current: Arc<Mutex<Arc<Generation>>>,
    keeper: OnceLock<AbortOnDropHandle<()>>,
}

/// The connections from one rest to the next.
#[derive(Debug)]
struct Generation {
    pool: Pool<Connector, Full<Bytes>>,
    connector: Connector,
    activity: Activity,
}

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

/// What a connection that times out is told as.
pub const NO_CONNECTION_IN_TIME: &str = "no connection in time";

/// What a name that resolution does not know is told as.
pub const UNKNOWN_HOST: &str = "the host name is not known here";

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The host could not be reached, or the connection broke.
    Connection(&'static str),
    /// The host is not who it should be: asking again will not help.
    Certificate(Untrusted),
    /// The answer is larger than any that is wanted.
    TooLarge,
}

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
    fn of(error: &rustls::CertificateError) -> Self {
        use rustls::CertificateError::*;
        match error {
            Expired | ExpiredContext { .. } => Self::Expired,
            NotValidYet | NotValidYetContext { .. } => Self::NotYetValid,
            UnknownIssuer => Self::UnknownIssuer,
            NotValidForName | NotValidForNameContext { .. } => Self::OtherName,
            _ => Self::Otherwise,
        }
    }
}

impl Client {
    /// Speaks HTTPS alone.
    pub fn secure(roots: RootCertStore, resolve: Arc<FixedAddresses>) -> Result<Self, String> {
        Ok(Self::over(Connector::new(tls(roots)?, resolve, false)))
    }

    /// Speaks plain HTTP where the URL says so.
    pub fn plain_too(roots: RootCertStore) -> Result<Self, String> {
        Ok(Self::over(Connector::new(tls(roots)?, Arc::default(), true)))
    }

    /// One attempt, without a time limit of its own.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Broken> {
        let generation = lock(&self.current).clone();
        let _under_way = generation.activity.begin();
        let keeper = || AbortOnDropHandle::new(tokio::spawn(keep(self.current.clone())));
        self.keeper.get_or_init(keeper);
        let response = generation.pool.request(request).await.map_err(|error| reason(&error))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MAX_BODY_BYTES).collect().await.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                return Broken::TooLarge;
            }
            Broken::Connection("the connection broke within the answer")
        })?;
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: Secret::new(body.to_bytes().to_vec()),
        })
    }

    fn over(connector: Connector) -> Self {
        let current = Arc::new(Mutex::new(Arc::new(Generation::new(connector))));
        Self { current, keeper: OnceLock::new() }
    }
}

impl Generation {
    fn new(connector: Connector) -> Self {
        let pool = Pool::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .http2_keep_alive_interval(PING_AFTER)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector.clone());
        Self { pool, connector, activity: Activity::default() }
    }
}

/// Puts each generation away once it has come to rest, and readies the next.
async fn keep(current: Arc<Mutex<Arc<Generation>>>) {
    loop {
        let Generation { connector, activity, .. } = &*lock(&current).clone();
        if timeout(IDLE_TIMEOUT, activity.begun()).await.is_err() {
            connector.forget_old();
        }
        activity.over().await;
        connector.forget_old();
        connector.connect_ahead().await;
        *lock(&current) = Arc::new(Generation::new(connector.next()));
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

fn reason(error: &(dyn StdError + 'static)) -> Broken {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(NotConnected(broken)) = cause.downcast_ref() {
            return *broken;
        }
        if let Some(rustls::Error::InvalidCertificate(why)) = tls_error(cause) {
            return Broken::Certificate(Untrusted::of(why));
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::*;
            match io.kind() {
                ConnectionRefused => return Broken::Connection("connection refused"),
                ConnectionReset | BrokenPipe | UnexpectedEof => {
                    return Broken::Connection("connection reset");
                }
                TimedOut => return Broken::Connection(NO_CONNECTION_IN_TIME),
                NetworkUnreachable | HostUnreachable => {
                    return Broken::Connection("no route to the host");
                }
                _ => {}
            }
        }
        // The connector's own error type is private; its text is a constant.
        if cause.to_string().starts_with("dns error") {
            return Broken::Connection(UNKNOWN_HOST);
        }
        next = cause.source();
    }
    match error.is::<hyper_util::client::legacy::Error>() {
        true => Broken::Connection("the connection broke before the answer"),
        false => Broken::Connection("no connection"),
    }
}

/// rustls errors travel inside io errors, one in another, whose `source` skips them.
fn tls_error<'a>(cause: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut cause = cause;
    while let Some(inner) = cause.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
        cause = inner;
    }
    cause.downcast_ref()
}

/// Connects to a host for one call at a time until it is known whether one connection will do for
/// all: calls to a host without a connection would otherwise each make one.
#[derive(Clone, Debug)]
struct Connector {
    https: HttpsConnector<HttpConnector<Resolver>>,
    hosts: Arc<Mutex<HashMap<Authority, Arc<Turn>>>>,
    /// Made before they are needed, and when.
    ahead: Arc<Mutex<HashMap<Authority, (Instant, Connection)>>>,
    /// What this generation has connected to.
    used: Arc<Mutex<HashSet<Uri>>>,
}

/// What the last connection to the host came to, and when.
type Turn = tokio::sync::Mutex<Option<(Last, Instant)>>;

#[derive(Clone, Copy, Debug)]
enum Last {
    Http1,
    Http2,
    Failed(Broken),
}

/// Why there is no connection, for all who waited for it.
#[derive(Debug, thiserror::Error)]
#[error("no connection")]
struct NotConnected(Broken);

type Connection = <HttpsConnector<HttpConnector<Resolver>> as tower::Service<Uri>>::Response;
impl Connector {
    fn new(tls: ClientConfig, resolve: Arc<FixedAddresses>, plain_too: bool) -> Self {
        let mut tcp = HttpConnector::new_with_resolver(Resolver(resolve));
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder = if plain_too { builder.https_or_http() } else { builder.https_only() };
        let https = builder.enable_all_versions().wrap_connector(tcp);
        Self { https, hosts: Arc::default(), ahead: Arc::default(), used: Arc::default() }
    }

    /// For the next generation, whose pool knows nothing of the connections of this one.
    fn next(&self) -> Self {
        let (hosts, used) = (Arc::default(), Arc::default());
        Self { https: self.https.clone(), ahead: self.ahead.clone(), hosts, used }
    }

    /// One connection to each host that was in use: the next call to it finds its handshake made.
    async fn connect_ahead(&self) {
        let used: Vec<Uri> = lock(&self.used).iter().cloned().collect();
        let connects = used.into_iter().map(|uri| async move {
            let host = uri.authority().cloned()?;
            let made = timeout(AHEAD_TIMEOUT, self.https.clone().oneshot(uri)).await;
            lock(&self.ahead).insert(host, (Instant::now(), made.ok()?.ok()?));
            Some(())
        });
        join_all(connects).await;
    }

    async fn open(&mut self, uri: Uri) -> Result<Connection, Broken> {
        let connection = match self.made_ahead(&uri) {
            Some(connection) => connection,
            None => self.https.call(uri.clone()).await.map_err(|error| reason(&*error))?,
        };
        lock(&self.used).insert(uri);
        Ok(connection)
    }

    fn forget_old(&self) {
        lock(&self.ahead).retain(|_, (made, _)| made.elapsed() < IDLE_TIMEOUT);
    }

    fn made_ahead(&self, uri: &Uri) -> Option<Connection> {
        let (made, connection) = lock(&self.ahead).remove(uri.authority()?)?;
        (made.elapsed() < IDLE_TIMEOUT).then_some(connection)
    }

    fn turn(&self, uri: &Uri) -> Arc<Turn> {
        /// Idle hosts beyond these are forgotten: pod authors name KMS instances.
        const MOST: usize = 64;
        let host = uri.authority().cloned().unwrap_or_else(|| Authority::from_static("none"));
        let mut hosts = lock(&self.hosts);
        if hosts.len() >= MOST {
            hosts.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        hosts.entry(host).or_default().clone()
    }

    async fn connect(mut self, uri: Uri) -> Result<Connection, NotConnected> {
        let asked = Instant::now();
        let turn = self.turn(&uri);
        let mut last = turn.lock().await;
        match *last {
            Some((Last::Http1, _)) => {
                drop(last);
                return self.open(uri).await.map_err(NotConnected);
            }
            Some((Last::Http2, at)) if at >= asked => {
                drop(last);
                // The pool gives the call that connection: it never gets to the end of this, unless
                // the connection broke at once.
                sleep(CONNECT_TIMEOUT).await;
                return Err(NotConnected(Broken::Connection("connection reset")));
            }
            Some((Last::Failed(broken), at)) if at >= asked => return Err(NotConnected(broken)),
            _ => {}
        }
        let made = self.open(uri).await;
        let seen = match &made {
            Ok(connection) if connection.connected().is_negotiated_h2() => Last::Http2,
            Ok(_) => Last::Http1,
            Err(broken) => Last::Failed(*broken),
        };
        *last = Some((seen, Instant::now()));
        made.map_err(NotConnected)
    }
}

impl tower::Service<Uri> for Connector {
    type Response = Connection;
    type Error = NotConnected;
    type Future = BoxFuture<'static, Result<Connection, NotConnected>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), NotConnected>> {
        self.https.poll_ready(cx).map_err(|error| NotConnected(reason(&*error)))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
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
