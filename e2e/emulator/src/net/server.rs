//! Server: accepts connections, and has each request served.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::net::link::Link;
use crate::net::reply::Reply;
use crate::state::cloud::Cloud;

/// What a listener serves.
pub(crate) trait Serve: Clone + Send + Sync + 'static {
    fn serve(
        &self,
        cloud: &Cloud,
        link: &Link,
        request: Request<Incoming>,
    ) -> impl Future<Output = Reply> + Send;
}

/// One listener: bound to its address for as long as it runs, and re-bound to it later.
#[derive(Clone)]
pub(crate) struct Port<F> {
    pub(crate) cloud: Arc<Cloud>,
    pub(crate) front: F,
    pub(crate) tls: Option<TlsAcceptor>,
}

impl<F: Serve> Port<F> {
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
        let (mut link, stream) = Link::new(stream, closing);
        let Some(acceptor) = self.tls.clone() else {
            return self.exchange(stream, link).await;
        };
        let accepted = tokio::select! {
            accepted = acceptor.accept(stream) => accepted,
            () = link.closed() => return,
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
        let closing = link.clone();
        let service = service_fn(move |request| {
            let (port, link) = (self.clone(), link.clone());
            async move {
                match port.front.serve(&port.cloud, &link, request).await {
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
            () = closing.closed() => {}
        }
    }
}

/// Binds again to an address that was in use a moment ago.
pub(crate) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}
