//! Lets in the drivers up to 1.5.6, whose grpc-go sends the socket's path as `:authority`.
//!
//! h2 resets every stream with such an authority, raw or percent-encoded. `AuthorityFix` follows
//! the HTTP/2 framing of what it reads and turns each `/` and `%` of a literal `:authority` into
//! `.`, which has the same length as either, as an octet and in Huffman code alike: frame sizes and
//! the dynamic table stay what the client believes them to be. Whatever is not understood passes
//! untouched, for h2 to judge. This module depends on nothing else of ours.

mod hpack;

use std::{
    cmp, fmt, io, mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

/// A connection whose reads carry an authority that h2 accepts.
pub struct AuthorityFix<S> {
    inner: S,
    place: Place,
    held: Held,
}

impl<S> AuthorityFix<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, place: Place::Preface { seen: 0 }, held: Held::Nothing }
    }
}

impl<S> fmt::Debug for AuthorityFix<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorityFix").finish_non_exhaustive()
    }
}

impl<S: Connected> Connected for AuthorityFix<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.inner.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for AuthorityFix<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.held {
                Held::Nothing => {}
                Held::Filling(frame) => {
                    let whole = ready!(frame.poll_fill(Pin::new(&mut this.inner), cx))?;
                    this.held = Held::Whole { bytes: whole, given: 0 };
                    continue;
                }
                Held::Whole { bytes, given } => {
                    let left = bytes.get(*given..).unwrap_or_default();
                    let next = left.get(..buf.remaining()).unwrap_or(left);
                    buf.put_slice(next);
                    *given += next.len();
                    if *given == bytes.len() {
                        this.held = Held::Nothing;
                    }
                    return Poll::Ready(Ok(()));
                }
            }

            let before = buf.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, buf))?;
            let new = buf.filled_mut().get_mut(before..).unwrap_or_default();
            if new.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let (passed, cut) = this.place.follow(new);
            if let Some(cut) = cut {
                this.held = Held::Filling(cut);
                buf.set_filled(before + passed);
            }
            // A read of nothing would mean the end of the connection.
            if passed > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for AuthorityFix<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// Where in the stream of frames the next octet lies.
enum Place {
    Preface { seen: usize },
    FrameHead { seen: u8, head: FrameHead },
    HeaderBlock(FrameHead),
    Payload { left: usize },
    NotHttp2,
}

#[derive(Clone, Copy, Default)]
struct FrameHead {
    length: usize,
    kind: u8,
    flags: u8,
}

/// A HEADERS frame that a read cut in two, kept back until its end is here.
enum Held {
    Nothing,
    Filling(CutFrame),
    Whole { bytes: Vec<u8>, given: usize },
}

struct CutFrame {
    payload: Vec<u8>,
    have: usize,
    flags: u8,
}

impl Place {
    const FRAME: Self =
        Self::FrameHead { seen: 0, head: FrameHead { length: 0, kind: 0, flags: 0 } };

    /// Goes through freshly read octets and rewrites the header blocks which lie in them whole.
    /// Answers how many octets can be handed on, and what of the rest must wait.
    fn follow(&mut self, octets: &mut [u8]) -> (usize, Option<CutFrame>) {
        let total = octets.len();
        let mut rest = octets;
        while !rest.is_empty() {
            let skip = match self {
                Self::NotHttp2 => break,
                Self::Preface { seen } => {
                    let wanted = PREFACE.get(*seen..).unwrap_or_default();
                    let known = wanted.iter().zip(rest.iter()).take_while(|(a, b)| a == b).count();
                    *seen += known;
                    if known == wanted.len() {
                        *self = Self::FRAME;
                    } else if known < rest.len() {
                        *self = Self::NotHttp2;
                    }
                    known
                }
                Self::FrameHead { seen, head } => {
                    let octet = rest.first().copied().unwrap_or_default();
                    head.take(*seen, octet);
                    *seen += 1;
                    if *seen == FRAME_HEAD_LENGTH {
                        *self = head.payload();
                    }
                    1
                }
                Self::HeaderBlock(head) => {
                    let head = *head;
                    *self = Self::FRAME;
                    let Some(payload) = rest.get_mut(..head.length) else {
                        let have = rest.len();
                        let mut payload = rest.to_vec();
                        payload.resize(head.length, 0);
                        let cut = CutFrame { payload, have, flags: head.flags };
                        return (total - have, Some(cut));
                    };
                    rewrite_headers(head.flags, payload);
                    head.length
                }
                Self::Payload { left } => {
                    let skip = cmp::min(*left, rest.len());
                    *left -= skip;
                    if *left == 0 {
                        *self = Self::FRAME;
                    }
                    skip
                }
            };
            rest = rest.get_mut(skip..).unwrap_or_default();
        }
        (total, None)
    }
}

impl FrameHead {
    fn take(&mut self, position: u8, octet: u8) {
        match position {
            0..=2 => self.length = self.length << 8 | usize::from(octet),
            3 => self.kind = octet,
            4 => self.flags = octet,
            _ => {}
        }
    }

    fn payload(self) -> Place {
        match self.length {
            0 => Place::FRAME,
            1..=MAX_FRAME_SIZE if self.kind == HEADERS => Place::HeaderBlock(self),
            left => Place::Payload { left },
        }
    }
}

impl CutFrame {
    /// The frame's payload, rewritten if it came whole and as it is if the connection ended.
    fn poll_fill<S: AsyncRead>(
        &mut self,
        mut inner: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Vec<u8>>> {
        loop {
            let missing = self.payload.get_mut(self.have..).unwrap_or_default();
            if missing.is_empty() {
                rewrite_headers(self.flags, &mut self.payload);
                return Poll::Ready(Ok(mem::take(&mut self.payload)));
            }
            let mut window = ReadBuf::new(missing);
            ready!(inner.as_mut().poll_read(cx, &mut window))?;
            let read = window.filled().len();
            self.have += read;
            if read == 0 {
                self.payload.truncate(self.have);
                return Poll::Ready(Ok(mem::take(&mut self.payload)));
            }
        }
    }
}

/// Stops at the first thing in the frame that is malformed.
fn rewrite_headers(flags: u8, payload: &mut [u8]) {
    let _malformed: Option<()> = header_block(flags, payload).and_then(hpack::rewrite_block);
}

fn header_block(flags: u8, payload: &mut [u8]) -> Option<&mut [u8]> {
    let mut block = payload;
    if flags & PADDED != 0 {
        let (padding, rest) = block.split_first_mut()?;
        let end = rest.len().checked_sub(usize::from(*padding))?;
        block = rest.get_mut(..end)?;
    }
    if flags & PRIORITY != 0 {
        block = block.get_mut(PRIORITY_LENGTH..)?;
    }
    Some(block)
}

const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD_LENGTH: u8 = 9;
/// What we advertise, and so the most that h2 would take (RFC 9113, 4.2).
const MAX_FRAME_SIZE: usize = 16_384;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
const PRIORITY_LENGTH: usize = 5;

#[cfg(test)]
pub(super) mod tests;
