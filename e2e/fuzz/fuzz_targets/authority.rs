//! Any client's octets through `AuthorityFix`: however they are split, as many come out, changes
//! lie within HEADERS frames only, and a second pass finds nothing more to change.
//!
//! The first octet of an input is the size of the pieces, the second the room of each read.

#![no_main]

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use libfuzzer_sys::fuzz_target;
use provider::server::AuthorityFix;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

fuzz_target!(|input: &[u8]| {
    let [piece, room, frames @ ..] = input else { return };
    let sent = [PREFACE, frames].concat();

    let whole = fixed(&sent, sent.len(), 65_536);
    assert_eq!(whole.len(), sent.len());
    assert_eq!(fixed(&sent, 1 + usize::from(*piece), 1 + usize::from(*room)), whole);
    assert_eq!(fixed(&whole, sent.len(), 65_536), whole);

    let in_headers = headers(&sent);
    for (at, (before, after)) in sent.iter().zip(&whole).enumerate() {
        assert!(before == after || in_headers.iter().any(|frame| frame.contains(&at)), "at {at}");
    }
});

fn fixed(sent: &[u8], piece: usize, room: usize) -> Vec<u8> {
    let mut connection = AuthorityFix::new(Pieces { rest: sent, piece });
    futures::executor::block_on(async {
        let (mut all, mut buffer) = (Vec::new(), vec![0; room]);
        loop {
            match connection.read(&mut buffer).await.unwrap() {
                0 => return all,
                read => all.extend_from_slice(&buffer[..read]),
            }
        }
    })
}

/// Where the payloads of whole HEADERS frames lie.
fn headers(sent: &[u8]) -> Vec<std::ops::Range<usize>> {
    let (mut found, mut at) = (Vec::new(), PREFACE.len());
    while let Some([a, b, c, kind, ..]) = sent.get(at..at + 9) {
        let payload = at + 9;
        at = payload + u32::from_be_bytes([0, *a, *b, *c]) as usize;
        if *kind == 1 && at <= sent.len() {
            found.push(payload..at);
        }
    }
    found
}

struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.piece.min(buf.remaining()).min(self.rest.len());
        let (now, later) = self.rest.split_at(length);
        buf.put_slice(now);
        self.rest = later;
        Poll::Ready(Ok(()))
    }
}
