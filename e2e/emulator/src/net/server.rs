//! Listeners and connections.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::net::control::Control;
use crate::net::{control, gateway};
use crate::services::reply::Reply;
use crate::services::{kubernetes, metadata};
use crate::state::cloud::Cloud;

/// What a listener serves.
#[derive(Clone)]
pub(crate) enum Front {
    Cloud,
    Metadata,
    Kubernetes,
    Control(Arc<Control>),
}

/// One listener: bound to its address for as long as it runs, and re-bound to it later.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) front: Front,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl Port {
    pub(crate) async fn run(self, listener: TcpListener, stop: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => return,
            };
            if let Ok((stream, _)) = accepted {
                tokio::spawn(self.clone().connect(stream, stop.child_token()));
            }
        }
    }

    async fn connect(self, stream: TcpStream, closing: CancellationToken) {
        let _ = stream.set_nodelay(true);
        let mut link = Link { tls_number: None, closing, abrupt: Arc::default() };
        let stream = Abrupt { stream, abrupt: link.abrupt.clone() };
        let Some(acceptor) = self.tls.clone() else {
            return self.exchange(stream, link).await;
        };
        let accepted = tokio::select! {
            accepted = acceptor.accept(stream) => accepted,
            () = link.closing.cancelled() => return,
        };
        if let Ok(stream) = accepted {
            link.tls_number = Some(self.cloud.handshakes.fetch_add(1, Ordering::SeqCst) + 1);
            self.exchange(stream, link).await;
        }
    }

    async fn exchange<S>(self, stream: S, link: Link)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let closing = link.closing.clone();
        let service = service_fn(move |request| {
            let (port, link) = (self.clone(), link.clone());
            async move {
                match port.reply(&link, request).await {
                    Reply::Response(response) => Ok::<_, Infallible>(response),
                    Reply::Hang => pending().await,
                    Reply::Reset => {
                        link.reset();
                        pending().await
                    }
                }
            }
        });
        let mut builder = auto::Builder::new(TokioExecutor::new());
        // A token of 20,000 characters may come in the URL.
        builder.http2().max_header_list_size(128 << 10);
        tokio::select! {
            _ = builder.serve_connection(TokioIo::new(stream), service) => {}
            () = closing.cancelled() => {}
        }
    }

    async fn reply(&self, link: &Link, request: Request<Incoming>) -> Reply {
        match &self.front {
            Front::Cloud => gateway::serve(&self.cloud, link, request).await,
            Front::Metadata => metadata::serve(&self.cloud, link, request).await,
            Front::Kubernetes => kubernetes::serve(&self.cloud, link, request).await,
            Front::Control(control) => control::serve(control, request).await,
        }
    }
}

/// Binds again to an address that was in use a moment ago.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// A handle on the connection a request came over.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) tls_number: Option<u64>,
    closing: CancellationToken,
    abrupt: Arc<AtomicBool>,
}

impl Link {
    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(&self) {
        self.abrupt.store(true, Ordering::SeqCst);
        self.closing.cancel();
    }
}

/// A stream that can be closed by a reset instead of an orderly shutdown.
struct Abrupt {
    stream: TcpStream,
    abrupt: Arc<AtomicBool>,
}

impl Drop for Abrupt {
    fn drop(&mut self) {
        if self.abrupt.load(Ordering::SeqCst) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Abrupt {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Abrupt {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
