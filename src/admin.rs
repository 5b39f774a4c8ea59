//! The admin port: liveness, readiness and metrics, for kubelet and Prometheus.
//!
//! Liveness is a real `Version` call through the socket's path, so a provider that runs but cannot
//! be reached is restarted. Every connection serves one request within a bounded time, and who makes
//! too many displaces his own: no client can keep a probe out.

pub(crate) mod check;
mod debug;
mod peers;

use std::{
    fmt, io,
    net::{self, Ipv4Addr, SocketAddr, SocketAddrV6},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, sockopt},
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::readiness::Readiness;
use check::Check;
pub use debug::{DebugAccess, Debugged, SetLogLevel};
use peers::Peers;

#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on port {} of {} for probes and metrics: {source}; {}",
    address.port(),
    address.ip(),
    hint(*address, source)
)]
pub struct AdminError {
    address: SocketAddr,
    source: io::Error,
}

fn hint(address: SocketAddr, error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied if address.port() < 1024 => {
            "a port below 1024 needs the capability NET_BIND_SERVICE: set --healthz-port to a \
             higher one"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this pod has no such address: set --healthz-address to one that it has, or to 0.0.0.0 \
             or ::"
        }
        _ if address.is_ipv6() && error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            "this node has no IPv6: set --healthz-address to an IPv4 address"
        }
        _ => "stop what holds the port, or set another --healthz-port",
    }
}

/// Writes all metrics as text.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// What the admin port tells about.
#[derive(Clone)]
pub struct AdminState {
    /// Where liveness is asked for, `/healthz` if nobody configured another.
    pub health_path: String,
    /// Where liveness is asked for; `None`: that it answers is all.
    pub socket_path: Option<PathBuf>,
    pub readiness: Arc<Readiness>,
    /// Cancelled from the moment on at which the provider stops taking new calls.
    pub draining: CancellationToken,
    /// `None` where the operator does not want them served.
    pub metrics: Option<MetricsText>,
    /// `None` where the operator does not want these endpoints.
    pub debug: Option<Debugged>,
}

impl AdminState {
    /// What `/readyz` would answer with now: why no mounts should come here.
    pub async fn unready(&self) -> Vec<String> {
        Served::of(self.clone()).unready().await
    }
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("health_path", &self.health_path)
            .field("socket_path", &self.socket_path)
            .field("readiness", &self.readiness)
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
}

impl Admin {
    /// Needs a tokio runtime around it. `::` is every address of both families, or of IPv4 alone
    /// where the kernel has no IPv6.
    pub fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let listener = match address {
            SocketAddr::V6(all) if all.ip().is_unspecified() => match listen_on_all(all) {
                Err(error) if lacks_ipv6(&error) => {
                    info!("this kernel has no IPv6: probes and metrics are served over IPv4 alone");
                    net::TcpListener::bind((Ipv4Addr::UNSPECIFIED, all.port()))
                }
                listener => listener,
            },
            address => net::TcpListener::bind(address),
        };
        let listener = listener.and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        });
        let listener = listener.map_err(|source| AdminError { address, source })?;
        Ok(Self { listener })
    }

    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    pub async fn serve(self, state: AdminState, shutdown: CancellationToken) {
        if let Ok(address) = self.local_addr() {
            let (health_path, metrics) = (&state.health_path, state.metrics.is_some());
            info!(%address, health_path, metrics, "serving probes and metrics");
        }
        let debugged = state.debug.clone();
        let routes = routes(state);
        let debug = debugged.map(|debugged| {
            let access = debugged.access;
            (access, debug::routes(debugged).fallback_service(routes.clone()))
        });
        let mut connections = JoinSet::new();
        let mut peers = Peers::new();
        loop {
            let (stream, peer) = tokio::select! {
                () = shutdown.cancelled() => return,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => (stream, peer.ip()),
                    Err(error) => {
                        warn!(%error, "cannot accept a connection to the admin port");
                        time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            if peers.admits(peer) {
                let routes = match &debug {
                    Some((access, with_debug)) if access.admits(peer) => with_debug,
                    _ => &routes,
                };
                let serving = connections.spawn(serve_connection(stream, routes.clone()));
                peers.opened(peer, serving);
            }
        }
    }
}

/// IPv4 too, whatever `net.ipv6.bindv6only` says.
fn listen_on_all(address: SocketAddrV6) -> io::Result<net::TcpListener> {
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET6, SocketType::STREAM, flags, None)?;
    sockopt::set_ipv6_v6only(&socket, false)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}

fn lacks_ipv6(error: &io::Error) -> bool {
    let lacking = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| lacking.iter().any(|e| e.raw_os_error() == code))
}

async fn serve_connection(stream: TcpStream, routes: Router) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    match time::timeout(CONNECTION_TIMEOUT, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection to the admin port broke"),
        Err(_elapsed) => debug!("closed a slow connection to the admin port"),
    }
}

/// What the answers are made of.
#[derive(Clone)]
struct Served {
    state: AdminState,
    check: Option<Arc<Check>>,
}

impl Served {
    fn of(state: AdminState) -> Self {
        let check = state.socket_path.clone().map(Check::new).map(Arc::new);
        Self { state, check }
    }

    async fn unready(&self) -> Vec<String> {
        let mut reasons = self.state.readiness.reasons();
        reasons.extend(self.live().await.err());
        if self.state.draining.is_cancelled() {
            reasons.push("draining: the provider is shutting down".to_owned());
        }
        reasons
    }

    async fn live(&self) -> Result<(), String> {
        match &self.check {
            Some(check) => check.outcome().await,
            None => Ok(()),
        }
    }
}

fn routes(state: AdminState) -> Router {
    // The configured path is compared and not registered: the router panics on a bad pattern.
    Router::new()
        .route(READY_PATH, get(readyz))
        .route(METRICS_PATH, get(metrics_or_not_found))
        .fallback(healthz_or_not_found)
        .with_state(Served::of(state))
}

async fn healthz_or_not_found(State(served): State<Served>, request: Request) -> Response {
    if request.uri().path() != served.state.health_path {
        return not_found(&served.state);
    }
    match served.live().await {
        Ok(()) => "ok".into_response(),
        Err(reason) => {
            warn!(reason, "the provider is not healthy");
            (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
        }
    }
}

async fn readyz(State(served): State<Served>) -> Response {
    let reasons = served.unready().await;
    if reasons.is_empty() {
        return "ready".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n")).into_response()
}

async fn metrics_or_not_found(State(Served { state, .. }): State<Served>) -> Response {
    match &state.metrics {
        Some(metrics) => ([(CONTENT_TYPE, OPEN_METRICS)], metrics()).into_response(),
        None => not_found(&state),
    }
}

fn not_found(AdminState { health_path, metrics, .. }: &AdminState) -> Response {
    let known = match metrics {
        Some(_) => format!("not here; try {health_path}, {READY_PATH} or {METRICS_PATH}\n"),
        None => format!("not here (--metrics=false); try {health_path} or {READY_PATH}\n"),
    };
    (StatusCode::NOT_FOUND, known).into_response()
}

const READY_PATH: &str = "/readyz";
const METRICS_PATH: &str = "/metrics";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// As the standard library has it.
const BACKLOG: i32 = 128;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Above the longest thing a request does, the health check.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
