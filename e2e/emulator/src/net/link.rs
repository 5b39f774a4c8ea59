//! One connection, and how it is ended by a reset.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// A handle on the connection a request came over.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) tls_number: Option<u64>,
    closing: CancellationToken,
    abrupt: Arc<AtomicBool>,
}

impl Link {
    /// The link of a connection that `closing` ends, and its stream.
    pub(crate) fn new(stream: TcpStream, closing: CancellationToken) -> (Self, Abrupt) {
        let abrupt = Arc::new(AtomicBool::new(false));
        (Self { tls_number: None, closing, abrupt: abrupt.clone() }, Abrupt { stream, abrupt })
    }

    /// Resolves once the connection is to end.
    pub(crate) async fn closed(&self) {
        self.closing.cancelled().await;
    }

    /// Ends the connection with a TCP reset.
    pub(crate) fn reset(&self) {
        self.abrupt.store(true, Ordering::SeqCst);
        self.closing.cancel();
    }
}

/// A stream that can be closed by a reset instead of an orderly shutdown.
pub(crate) struct Abrupt {
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
