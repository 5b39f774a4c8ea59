//! HTTP as this program speaks it: connections kept and bounded, answers bounded, and errors in
//! words of our own, because a library's would carry the URL.

mod client;
mod connector;
pub mod dns;
mod handshake;
mod proxy;
mod resolver;
mod tls;

use std::{fmt, net::SocketAddr, time::Duration};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::Full;
use hyper::{HeaderMap, Request};

pub use client::Client;
pub use dns::NameError;
pub(crate) use handshake::handshake;
pub use proxy::{Proxy, ProxyError};
pub use tls::{Untrusted, certificates, trust};

use crate::{names::Glob, secret::Secret};

/// Shorter than the idle limit of the load balancers in front of the services.
const IDLE_TIMEOUT: Duration = Duration::from_secs(50);

/// Addresses for hosts that name resolution here does not know.
pub type FixedAddresses = Vec<(Glob, SocketAddr)>;

/// The address that the operator gave for a host.
pub fn fixed_address(fixed: &FixedAddresses, host: &str) -> Option<SocketAddr> {
    fixed.iter().find(|(glob, _)| glob.matches(host)).map(|(_, address)| *address)
}

/// How a request reaches its host. A simulated cloud has a way of its own.
pub trait Transport: fmt::Debug + Send + Sync {
    /// One attempt, without a time limit of its own.
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Answer, Broken>>;

    /// Does what the first request would otherwise have to wait for.
    fn warm(&self) {}
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
    Connection(ConnectionError),
    /// The host is not who it should be: asking again will not help.
    Certificate(Untrusted),
    /// The answer is larger than any that is wanted.
    TooLarge,
}

/// What went wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionError {
    /// The host's name gave no address.
    Name(NameError),
    /// The operator's proxy made no tunnel to it.
    NoTunnel(ProxyError),
    Refused,
    Reset,
    /// No connection within the time for one.
    TimedOut,
    NoRoute,
    BrokeBeforeAnswer,
    BrokeWithinAnswer,
    Other,
}

impl ConnectionError {
    /// The reason as messages say it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Name(error) => error.reason(),
            Self::NoTunnel(error) => error.reason(),
            Self::Refused => "connection refused",
            Self::Reset => "connection reset",
            Self::TimedOut => "no connection in time",
            Self::NoRoute => "no route to the host",
            Self::BrokeBeforeAnswer => "the connection broke before the answer",
            Self::BrokeWithinAnswer => "the connection broke within the answer",
            Self::Other => "no connection",
        }
    }
}
