//! A request's body, which knows how much of it was taken.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Bytes of one piece: what is asked for at once.
const PIECE_BYTES_MAX: usize = 64 << 10;

/// Bytes in pieces, so that the last is asked for when those before it are on their way.
#[derive(Debug)]
pub(crate) struct Pieces {
    rest: Bytes,
    left: Left,
}

/// How many bytes nobody has asked for yet.
#[derive(Clone, Debug)]
pub(crate) struct Left(Arc<AtomicUsize>);

impl Left {
    /// Whether a sink that answers now may have seen everything.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

impl Pieces {
    pub(crate) fn of(bytes: Bytes) -> Self {
        let left = Left(Arc::new(AtomicUsize::new(bytes.len())));
        Self { rest: bytes, left }
    }

    pub(crate) fn left(&self) -> Left {
        self.left.clone()
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = self.rest.len().min(PIECE_BYTES_MAX);
        let piece = self.rest.split_to(bytes);
        self.left.0.store(self.rest.len(), Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
