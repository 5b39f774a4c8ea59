//! Serves the provider on the driver's socket, from the first connection to the end of the drain.
//!
//! hyper serves the HTTP/2 connections and not `tonic::transport::Server`, since that one answers
//! an expired `grpc-timeout` with CANCELLED, on which kubelet starts a pod without its mount. For
//! the same reason this edge never answers UNAVAILABLE: a panic, or a call that the drain cuts off,
//! is INTERNAL, after which kubelet tries the mount again.

pub mod authority;
mod room;
pub mod socket;

use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    net::UnixStream,
    time::{self, Instant},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Code, Status, body::Body, service::Routes, transport::server::Connected};
use tonic_health::ServingStatus;
use tower::Service;
use tracing::{debug, error, info, warn};

use crate::{
    idle::InFlight,
    memory,
    pb::csi_driver_provider_server::{CsiDriverProvider, CsiDriverProviderServer},
    turns::Turns,
};

pub use self::{
    authority::AuthorityFix,
    room::{AnswerRoom, RequestRoom},
    socket::{BindError, Socket},
};

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(
        "{calls} calls were still running after a drain of {} s and were answered INTERNAL; \
         kubelet repeats them",
        drain.as_secs_f32()
    )]
    Drain { calls: usize, drain: Duration },
}

/// When the driver gives up on a call, from its `grpc-timeout`; among the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(pub Instant);

/// The call's message was larger than `LARGEST_CALL` and was left unread; among the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct LeftUnread;

/// Bytes. Several requests of this size fit into a container's memory beside each other.
pub const LARGEST_CALL: usize = 4 << 20;

/// Returns once all is drained, at the latest `drain` after the shutdown.
pub async fn serve<P: CsiDriverProvider>(
    mut socket: Socket,
    provider: Arc<P>,
    shutdown: CancellationToken,
    drain: Duration,
) -> Result<(), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", ServingStatus::Serving).await;
    health.set_serving::<CsiDriverProviderServer<P>>().await;
    let provider =
        CsiDriverProviderServer::from_arc(provider).max_decoding_message_size(LARGEST_CALL);
    let routes = Routes::new(provider).add_service(health_service).prepare();
    let (calls, cut_off) = (TaskTracker::new(), CancellationToken::new());
    let edge = Edge { routes, requests: memory::requests(), calls, cut_off };
    let connections = TaskTracker::new();
    let close = CancellationToken::new();

    info!(path = %socket.path().display(), "serving the driver");
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            stream = socket.accept() => if is_admitted(&stream) {
                let serving = serve_connection(stream, edge.clone(), shutdown.clone());
                connections.spawn(close.clone().run_until_cancelled_owned(serving));
            },
        }
    }

    health.set_service_status("", ServingStatus::NotServing).await;
    health.set_not_serving::<CsiDriverProviderServer<P>>().await;
    socket.unlink_if_ours();
    drop(socket);
    connections.close();
    info!(calls = edge.calls.len(), connections = connections.len(), "draining");

    let end = Instant::now() + drain;
    let time_to_answer = CUT_OFF_ANSWER.min(drain / 4);
    if time::timeout_at(end - time_to_answer, connections.wait()).await.is_ok() {
        return Ok(());
    }
    let calls = edge.calls.len();
    edge.cut_off.cancel();
    if time::timeout_at(end, connections.wait()).await.is_err() {
        debug!(connections = connections.len(), "closing what the driver leaves open");
        close.cancel();
        connections.wait().await;
    }
    if calls == 0 { Ok(()) } else { Err(ServeError::Drain { calls, drain }) }
}

async fn serve_connection(stream: UnixStream, edge: Edge, shutdown: CancellationToken) {
    let stream = AuthorityFix::new(stream);
    let peer = stream.connect_info();
    let in_flight = InFlight::default();
    let calls = in_flight.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        let under_way = calls.begin();
        let answer = edge.clone().call(request);
        async move {
            let _under_way = under_way;
            answer.await
        }
    });
    let mut connection = pin!(
        http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_pending_accept_reset_streams(MAX_PENDING_RESETS)
            .serve_connection(TokioIo::new(stream), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        // Its buffers hold tokens and values. The driver opens another for its next call.
        () = in_flight.idle() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    match ended {
        Ok(()) => debug!("a connection ended"),
        Err(error) => debug!(%error, "a connection broke"),
    }
}

#[derive(Clone)]
struct Edge {
    routes: Routes,
    /// For large ones to be read.
    requests: Turns,
    calls: TaskTracker,
    cut_off: CancellationToken,
}

impl Edge {
    async fn call(mut self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let _in_flight = self.calls.token();
        let timeout = request.headers().get("grpc-timeout").and_then(|text| text.to_str().ok());
        let timeout = timeout.and_then(parse_timeout);
        if let Some(timeout) = timeout {
            request.extensions_mut().insert(Deadline(Instant::now() + timeout));
        }
        let path = request.uri().path().to_owned();

        let deadline = Instant::now() + timeout.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        let requests = self.requests.clone();
        let answered = async {
            match room::admitted(&requests, request, deadline).await {
                Ok(request) => routed(&mut self.routes, request).await,
                Err(status) => Ok(status.into_http()),
            }
        };
        let status = tokio::select! {
            biased;
            answer = AssertUnwindSafe(answered).catch_unwind() => match answer {
                Ok(Ok(response)) => return Ok(with_room(response)),
                Err(_payload) => {
                    error!(path, "a call panicked and was answered INTERNAL");
                    Status::internal("the provider failed on this call; its log says where")
                }
            },
            () = self.cut_off.cancelled() => {
                warn!(path, "the drain is over: a call was cut off and answered INTERNAL");
                Status::internal("the provider is shutting down; the mount will be tried again")
            }
        };
        Ok(status.into_http())
    }
}

/// What is too large for the decoder is refused, counted and recorded as any other request.
async fn routed<B>(routes: &mut Routes, request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: hyper::body::Body<Data = Bytes, Error = hyper::Error> + Send + 'static,
{
    let (mut head, body) = request.into_parts();
    let first = Request::from_parts(head.clone(), body);
    head.extensions.remove::<RequestRoom>();
    let response = routes.call(first).await?;
    let status = Status::from_header_map(response.headers());
    if status.is_none_or(|status| status.code() != Code::OutOfRange) {
        return Ok(response);
    }
    // No flags and no length: a message of which all fields are empty.
    let nothing = Full::new(Bytes::from_static(&[0; 5]));
    head.extensions.insert(LeftUnread);
    routes.call(Request::from_parts(head, nothing)).await
}

/// A large answer keeps its room until the driver has it.
fn with_room(mut response: Response<Body>) -> Response<Body> {
    match response.extensions_mut().remove::<AnswerRoom>() {
        Some(room) => response.map(|body| room::Pieces::of(body, room)),
        None => response,
    }
}

fn is_admitted(stream: &UnixStream) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if may_connect(peer.uid(), ours) => true,
        Ok(peer) => {
            warn!(uid = peer.uid(), pid = peer.pid(), "refused a connection: not root and not us");
            false
        }
        Err(error) => {
            warn!(%error, "refused a connection: the peer is unknown");
            false
        }
    }
}

fn may_connect(peer: u32, ours: u32) -> bool {
    peer == 0 || peer == ours
}

/// At most eight digits and a unit, as the gRPC protocol over HTTP/2 has it.
fn parse_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// All mounts of a node come over one connection, and a full node has 250 pods.
const MAX_CONCURRENT_STREAMS: u32 = 4096;
/// Bytes of a request that may wait unread, for each and for all of the connection: requests that wait
/// for room must not use up what small ones need to get through.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// Of a large request for its turn to be read. What is read is soon parsed.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Kubelet gives up on many mounts at once when a cloud is slow; that is no attack.
const MAX_PENDING_RESETS: usize = 4096;
/// How long before the end of the drain the calls still running are answered.
const CUT_OFF_ANSWER: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests;
