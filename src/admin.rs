//! The admin port: liveness, readiness and metrics, for kubelet and Prometheus.
//!
//! Liveness is a real `Version` call through the socket's path, so a provider that runs but cannot
//! be reached is restarted. Every connection serves one request within a bounded time, and the
//! oldest gives way when there are too many: no client can keep a probe out.

use std::{
    collections::VecDeque,
    error::Error as _,
    fmt,
    fmt::Write as _,
    io,
    net::{self, Ipv4Addr, SocketAddr, SocketAddrV6},
    path::{Path, PathBuf},
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
    net::{TcpListener, TcpStream, UnixStream},
    task::{AbortHandle, JoinSet},
    time,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Endpoint, Uri};
use tracing::{debug, info, warn};

use crate::{
    pb::{VersionRequest, csi_driver_provider_client::CsiDriverProviderClient},
    standing::Standing,
};

#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on port {} of {} for probes and metrics: {source}; stop what holds the port, or \
     choose another",
    address.port(),
    address.ip()
)]
pub struct AdminError {
    address: SocketAddr,
    source: io::Error,
}

/// What the admin port tells about.
#[derive(Clone)]
pub struct AdminState {
    /// Where liveness is asked for, `/healthz` if nobody configured another.
    pub health_path: String,
    pub socket_path: PathBuf,
    pub standing: Arc<Standing>,
    /// Cancelled from the moment on at which the provider stops taking new calls.
    pub draining: CancellationToken,
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
}

impl fmt::Debug for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminState")
            .field("health_path", &self.health_path)
            .field("socket_path", &self.socket_path)
            .field("standing", &self.standing)
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
            info!(%address, health_path = state.health_path, "serving probes and metrics");
        }
        let routes = routes(state);
        let mut connections = JoinSet::new();
        let mut by_age = VecDeque::<AbortHandle>::new();
        loop {
            let stream = tokio::select! {
                () = shutdown.cancelled() => return,
                Some(_) = connections.join_next() => continue,
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        warn!(%error, "cannot accept a connection to the admin port");
                        time::sleep(ACCEPT_PAUSE).await;
                        continue;
                    }
                },
            };
            by_age.retain(|connection| !connection.is_finished());
            if by_age.len() >= MAX_CONNECTIONS
                && let Some(oldest) = by_age.pop_front()
            {
                oldest.abort();
            }
            by_age.push_back(connections.spawn(serve_connection(stream, routes.clone())));
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

fn routes(state: AdminState) -> Router {
    // The configured path is compared and not registered: the router panics on a bad pattern.
    Router::new()
        .route(READY_PATH, get(readyz))
        .route(METRICS_PATH, get(metrics))
        .fallback(healthz_or_not_found)
        .with_state(state)
}

async fn healthz_or_not_found(State(state): State<AdminState>, request: Request) -> Response {
    let health_path = &state.health_path;
    if request.uri().path() != health_path {
        let known = format!("not here; try {health_path}, {READY_PATH} or {METRICS_PATH}\n");
        return (StatusCode::NOT_FOUND, known).into_response();
    }
    match check_socket(&state.socket_path).await {
        Ok(()) => "ok".into_response(),
        Err(reason) => {
            warn!(reason, "the provider is not healthy");
            (StatusCode::SERVICE_UNAVAILABLE, reason).into_response()
        }
    }
}

async fn readyz(State(state): State<AdminState>) -> Response {
    let mut reasons = state.standing.reasons();
    reasons.extend(check_socket(&state.socket_path).await.err());
    if state.draining.is_cancelled() {
        reasons.push("draining: the provider is shutting down".to_owned());
    }
    if reasons.is_empty() {
        return "ready".into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n")).into_response()
}

async fn metrics(State(state): State<AdminState>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS)], (state.metrics)()).into_response()
}

/// Calls `Version` as the driver would, over a connection of its own.
async fn check_socket(path: &Path) -> Result<(), String> {
    let call = async {
        let socket = path.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .map_err(|error| format!("cannot connect to {}: {}", path.display(), chain(&error)))?;
        let request = VersionRequest { version: "v1alpha1".to_owned() };
        CsiDriverProviderClient::new(channel)
            .version(request)
            .await
            .map(drop)
            .map_err(|status| format!("Version answered {}: {}", status.code(), status.message()))
    };
    time::timeout(HEALTH_TIMEOUT, call).await.unwrap_or_else(|_elapsed| {
        Err(format!("no answer through {} in {} s", path.display(), HEALTH_TIMEOUT.as_secs()))
    })
}

fn chain(error: &tonic::transport::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing to a string cannot fail.
        write!(text, ": {cause}").unwrap_or_default();
        source = cause.source();
    }
    text
}

const READY_PATH: &str = "/readyz";
const METRICS_PATH: &str = "/metrics";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// As the standard library has it.
const BACKLOG: i32 = 128;
const MAX_CONNECTIONS: usize = 64;
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Above the longest thing a request does, the health check.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
