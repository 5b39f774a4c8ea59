//! Room for large messages: a large request is read when its turn comes, and a large answer keeps its
//! turn until the driver has taken all of it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::{
    Request,
    body::{Body, Frame, Incoming},
};
use tokio::time::Instant;
use tonic::Status;

use super::LARGEST_CALL;
use crate::{
    memory::is_large_request,
    turns::{Turn, Turns},
};

/// Held by a request until it has been parsed; among its extensions.
#[derive(Clone, Debug)]
pub struct RequestRoom(#[expect(dead_code, reason = "for its drop")] Arc<Turn>);

/// Held by an answer until the driver has it; among its extensions.
#[derive(Clone, Debug)]
pub struct AnswerRoom(#[expect(dead_code, reason = "for its drop")] Arc<Turn>);

impl From<Turn> for AnswerRoom {
    fn from(turn: Turn) -> Self {
        Self(Arc::new(turn))
    }
}

/// One byte of flags and four of length, before each message of gRPC.
const PREFIX: usize = 5;

/// The request, with room if it is large. Nobody knows yet whose it is.
pub(super) async fn admitted(
    turns: &Turns,
    request: Request<Incoming>,
    deadline: Instant,
) -> Result<Request<impl Body<Data = Bytes, Error = hyper::Error> + Send + 'static>, Status> {
    let (mut head, mut body) = request.into_parts();
    let (mut first, mut prefix) = (Vec::new(), Vec::new());
    while prefix.len() < PREFIX
        && let Some(frame) = body.frame().await
    {
        if let Some(data) = frame.as_ref().ok().and_then(Frame::data_ref) {
            prefix.extend(data.iter().take(PREFIX - prefix.len()));
        }
        let broken = frame.is_err();
        first.push(frame);
        if broken {
            break;
        }
    }
    let length = prefix.last_chunk().map_or(0, |length| u32::from_be_bytes(*length));
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    // One that is too large is refused without being read.
    if prefix.len() == PREFIX && is_large_request(length) && length <= LARGEST_CALL {
        let Some(turn) = turns.take("", length, deadline).await else {
            return Err(Status::internal(
                "other large requests took all of the mount's time; it is tried again",
            ));
        };
        head.extensions.insert(RequestRoom(Arc::new(turn)));
    }
    let body = StreamBody::new(stream::iter(first).chain(frames(body)));
    Ok(Request::from_parts(head, body))
}

fn frames(body: Incoming) -> impl Stream<Item = Result<Frame<Bytes>, hyper::Error>> + Send {
    BodyStream::new(body)
}

/// An answer in pieces. hyper hands on what it is given whole, however little of it the driver has
/// taken: of pieces it takes the next when there is room for it on the way.
pub(super) struct Pieces {
    body: tonic::body::Body,
    piece: Bytes,
    _room: AnswerRoom,
}

const PIECE: usize = 64 << 10;

impl Pieces {
    pub(super) fn of(body: tonic::body::Body, room: AnswerRoom) -> tonic::body::Body {
        tonic::body::Body::new(Self { body, piece: Bytes::new(), _room: room })
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.piece.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.piece = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let length = self.piece.len().min(PIECE);
        // A copy: one piece that waits for the socket would hold all of the answer.
        let piece = Bytes::copy_from_slice(&self.piece.split_to(length));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}
