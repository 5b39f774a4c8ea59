//! Debug endpoints: the provider's state, and a log level that can be changed while it runs. Off unless
//! the operator allows them.

use std::{fmt, net::IpAddr, sync::Arc};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tracing::warn;

/// Who is served these endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DebugAccess {
    /// Connections of the pod itself, which those of `kubectl port-forward` are.
    Loopback,
    All,
}

impl DebugAccess {
    pub(super) fn admits(self, peer: IpAddr) -> bool {
        match self {
            DebugAccess::Loopback => peer.to_canonical().is_loopback(),
            DebugAccess::All => true,
        }
    }
}

/// What the endpoints answer with, and what a new log level is given to.
#[derive(Clone)]
pub struct Debugged {
    pub access: DebugAccess,
    /// The state as JSON.
    pub state: Arc<dyn Fn() -> String + Send + Sync>,
    /// As `--log-level` has it.
    pub log_level: Arc<dyn Fn() -> String + Send + Sync>,
    /// An empty text: as it was at the start. The error says what is wrong with the text.
    pub set_log_level: Arc<SetLogLevel>,
}

pub type SetLogLevel = dyn Fn(&str) -> Result<(), String> + Send + Sync;

impl fmt::Debug for Debugged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Debugged").field("access", &self.access).finish_non_exhaustive()
    }
}

/// Of the text of a log level: about what the longest flag would be.
const LONGEST_LEVEL: usize = 4096;

pub(super) fn routes(debugged: Debugged) -> Router {
    Router::new()
        .route("/debug/state", get(state))
        .route("/debug/log-level", get(log_level).put(set_log_level))
        .layer(DefaultBodyLimit::max(LONGEST_LEVEL))
        .with_state(debugged)
}

async fn state(State(debugged): State<Debugged>) -> Response {
    ([(CONTENT_TYPE, "application/json")], (debugged.state)()).into_response()
}

async fn log_level(State(debugged): State<Debugged>) -> String {
    format!("{}\n", (debugged.log_level)())
}

async fn set_log_level(State(debugged): State<Debugged>, level: String) -> Response {
    let level = level.trim();
    // Before it, since the new level may let nothing through.
    warn!("a change of the log level was asked for at the admin port");
    match (debugged.set_log_level)(level) {
        Ok(()) => {
            let now = (debugged.log_level)();
            warn!(log_level = now, "the log level was changed at the admin port");
            format!("{now}\n").into_response()
        }
        Err(what) => {
            warn!("a log level that was sent to the admin port is refused");
            (StatusCode::BAD_REQUEST, format!("the level {what}\n")).into_response()
        }
    }
}
