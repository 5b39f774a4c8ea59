//! Connector: one connection attempt at a time for each host, and why an attempt failed.

use std::{
    collections::{HashMap, HashSet},
    error::Error as StdError,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use futures::future::{BoxFuture, join_all};
use hyper::{Uri, http::uri::Authority};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::connect::{Connection as _, HttpConnector};
use rustls::ClientConfig;
use tokio::time::{Instant, sleep, timeout};
use tower::{Service as _, ServiceExt as _};

use super::{
    Broken, ConnectionError, FixedAddresses, IDLE_TIMEOUT, NameError, Proxy, ProxyError, Untrusted,
    proxy::Tcp, resolver::Resolver,
};
use crate::sync::lock;

/// Of name, TCP and TLS together, less than an attempt at a host that answered before has (`limiter.rs`): one
/// that takes a connection and says nothing on it is one that cannot be connected to.
const LONGEST_CONNECT: Duration = Duration::from_secs(8);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What was read stays in the old connections' buffers meanwhile.
const AHEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects to a host for one call at a time until it is known whether one connection will do for
/// all: calls to a host without a connection would otherwise each make one.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    https: HttpsConnector<Tcp>,
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
pub(super) struct NotConnected(Broken);

pub(super) type Connection = <HttpsConnector<Tcp> as tower::Service<Uri>>::Response;

impl Connector {
    pub(super) fn new(
        tls: ClientConfig,
        resolve: Arc<FixedAddresses>,
        proxy: Option<Arc<Proxy>>,
        plain_too: bool,
    ) -> Self {
        let tcp = tcp(resolve, proxy);
        let builder = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder = if plain_too { builder.https_or_http() } else { builder.https_only() };
        let https = builder.enable_all_versions().wrap_connector(tcp);
        Self { https, hosts: Arc::default(), ahead: Arc::default(), used: Arc::default() }
    }

    /// For the next generation, whose pool knows nothing of the connections of this one.
    pub(super) fn next(&self) -> Self {
        let (hosts, used) = (Arc::default(), Arc::default());
        Self { https: self.https.clone(), ahead: self.ahead.clone(), hosts, used }
    }

    /// One connection to each host that was in use: the next call to it finds its handshake made.
    pub(super) async fn connect_ahead(&self) {
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
            None => match timeout(LONGEST_CONNECT, self.https.call(uri.clone())).await {
                Ok(connected) => connected.map_err(|error| reason(&*error))?,
                Err(_elapsed) => return Err(Broken::Connection(ConnectionError::TimedOut)),
            },
        };
        lock(&self.used).insert(uri);
        Ok(connection)
    }

    pub(super) fn forget_old(&self) {
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
                return Err(NotConnected(Broken::Connection(ConnectionError::Reset)));
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

/// How every connection begins.
pub(super) fn tcp(resolve: Arc<FixedAddresses>, proxy: Option<Arc<Proxy>>) -> Tcp {
    let mut tcp = HttpConnector::new_with_resolver(Resolver::new(resolve.clone()));
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    Tcp::new(tcp, resolve, proxy)
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

pub(super) fn reason(error: &(dyn StdError + 'static)) -> Broken {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(NotConnected(broken)) = cause.downcast_ref() {
            return *broken;
        }
        if let Some(error) = cause.downcast_ref::<ProxyError>() {
            return Broken::Connection(ConnectionError::NoTunnel(*error));
        }
        if let Some(rustls::Error::InvalidCertificate(why)) = tls_error(cause) {
            return Broken::Certificate(Untrusted::of(why));
        }
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::*;
            match io.kind() {
                ConnectionRefused => return Broken::Connection(ConnectionError::Refused),
                ConnectionReset | BrokenPipe | UnexpectedEof => {
                    return Broken::Connection(ConnectionError::Reset);
                }
                TimedOut => return Broken::Connection(ConnectionError::TimedOut),
                NetworkUnreachable | HostUnreachable => {
                    return Broken::Connection(ConnectionError::NoRoute);
                }
                _ => {}
            }
        }
        if let Some(error) = cause.downcast_ref::<NameError>() {
            return Broken::Connection(ConnectionError::Name(*error));
        }
        next = cause.source();
    }
    match error.is::<hyper_util::client::legacy::Error>() {
        true => Broken::Connection(ConnectionError::BrokeBeforeAnswer),
        false => Broken::Connection(ConnectionError::Other),
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

#[cfg(test)]
mod tests;
