//! Proxy: tunnels to the cloud's hosts by CONNECT. TLS is between this program and the host: the proxy sees
//! the host's name and bytes that it cannot read.

use std::{
    error::Error as StdError,
    fmt,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http_body_util::Empty;
use hyper::{
    Request, StatusCode, Uri,
    client::conn::http1,
    header::{HOST, HeaderValue, PROXY_AUTHORIZATION},
    upgrade,
};
use hyper_util::{
    client::{
        legacy::connect::HttpConnector,
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use super::{FixedAddresses, fixed_address, resolver::Resolver};
use crate::endpoint::is_inside_vpc;

/// The operator's proxy, and which hosts are reached without it.
pub struct Proxy {
    matcher: Matcher,
    /// Host and port, without credentials.
    address: String,
    inside_vpc: bool,
}

impl Proxy {
    /// `url` is `http://[USER:PASSWORD@]HOST[:PORT]`. `except` lists hosts as curl reads `NO_PROXY`: names with all
    /// names below them, addresses, networks such as `10.0.0.0/8`, `*` for all. `inside_vpc`: also for hosts that
    /// only exist inside a VPC.
    pub fn new(url: &str, except: &str, inside_vpc: bool) -> Result<Self, &'static str> {
        let form =
            "must be http://HOST:PORT, with USER:PASSWORD@ before the host if the proxy wants that";
        let everything = Matcher::builder().https(url).build();
        let found = everything.intercept(&Uri::from_static("https://host.invalid")).ok_or(form)?;
        match found.uri().scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "must begin with http://: TLS to the proxy is not supported, and within the \
                            tunnel there is TLS to the host",
                );
            }
            _ => return Err(form),
        }
        let host = found.uri().host().filter(|host| !host.is_empty()).ok_or(form)?;
        let address = format!("{host}:{}", found.uri().port_u16().unwrap_or(80));
        let matcher = Matcher::builder().https(url).no(except).build();
        Ok(Self { matcher, address, inside_vpc })
    }

    /// Host and port, for logs.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether a host, with a port or without, is reached through the proxy.
    pub fn is_for(&self, host: &str) -> bool {
        let uri = Uri::builder().scheme("https").authority(host).path_and_query("/").build();
        uri.is_ok_and(|uri| self.of(&uri).is_some())
    }

    fn of(&self, uri: &Uri) -> Option<Intercept> {
        let vpc = uri.authority().is_some_and(|host| is_inside_vpc(host.as_str()));
        if vpc && !self.inside_vpc {
            return None;
        }
        self.matcher.intercept(uri)
    }
}

/// Without the credentials.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Why there is no tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no tunnel")]
pub enum ProxyError {
    /// The proxy's name, address or port does not answer.
    Unreachable,
    /// HTTP 407.
    Credentials,
    /// Another 4xx: the proxy's rules forbid the host.
    Refused,
    /// 5xx: the proxy cannot reach the host.
    NoHost,
    /// What it answered is no answer to CONNECT.
    Garbled,
}

impl ProxyError {
    /// The reason as messages say it.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Unreachable => "the proxy cannot be reached",
            Self::Credentials => "the proxy wants a user and password (HTTP 407)",
            Self::Refused => "the proxy refuses to connect to this host",
            Self::NoHost => "the proxy cannot connect to this host",
            Self::Garbled => "what answers as the proxy is no HTTP proxy",
        }
    }

    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            407 => Self::Credentials,
            400..=499 => Self::Refused,
            500..=599 => Self::NoHost,
            _ => Self::Garbled,
        }
    }
}

/// A TCP connection to a host, through the proxy where there is one for it. A host whose address the operator
/// gave is connected to at that address.
#[derive(Clone, Debug)]
pub(super) struct Tcp {
    direct: HttpConnector<Resolver>,
    fixed: Arc<FixedAddresses>,
    proxy: Option<Arc<Proxy>>,
}

impl Tcp {
    pub(super) fn new(
        direct: HttpConnector<Resolver>,
        fixed: Arc<FixedAddresses>,
        proxy: Option<Arc<Proxy>>,
    ) -> Self {
        Self { direct, fixed, proxy }
    }

    fn proxy_of(&self, uri: &Uri) -> Option<Intercept> {
        let proxy = self.proxy.as_ref()?;
        match fixed_address(&self.fixed, uri.host().unwrap_or_default()) {
            Some(_) => None,
            None => proxy.of(uri),
        }
    }
}

impl tower::Service<Uri> for Tcp {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.direct.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        match self.proxy_of(&uri) {
            None => {
                let connecting = self.direct.call(uri);
                Box::pin(async move { Ok(connecting.await?) })
            }
            Some(proxy) => {
                let connecting = self.direct.call(proxy.uri().clone());
                Box::pin(async move {
                    let stream = connecting.await.map_err(|_| ProxyError::Unreachable)?;
                    Ok(tunnel(stream, &uri, proxy.basic_auth()).await?)
                })
            }
        }
    }
}

async fn tunnel(
    stream: TokioIo<TcpStream>,
    uri: &Uri,
    credentials: Option<&HeaderValue>,
) -> Result<TokioIo<TcpStream>, ProxyError> {
    let garbled = |_| ProxyError::Garbled;
    let host = uri.host().unwrap_or_default();
    let target = format!("{host}:{}", uri.port_u16().unwrap_or(443));
    let mut request = Request::connect(&target).header(HOST, &target);
    if let Some(credentials) = credentials {
        request = request.header(PROXY_AUTHORIZATION, credentials);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| ProxyError::Garbled)?;
    let (mut sender, connection) = http1::handshake(stream).await.map_err(garbled)?;
    let _running = AbortOnDropHandle::new(tokio::spawn(connection.with_upgrades()));
    let answer = sender.send_request(request).await.map_err(garbled)?;
    if !answer.status().is_success() {
        return Err(ProxyError::of(answer.status()));
    }
    let upgraded = upgrade::on(answer).await.map_err(garbled)?;
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().map_err(|_| ProxyError::Garbled)?;
    // In TLS the client speaks first: bytes of the proxy's own are in the way.
    if parts.read_buf.is_empty() { Ok(parts.io) } else { Err(ProxyError::Garbled) }
}

#[cfg(test)]
mod tests;
