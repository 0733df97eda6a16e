//! The bytes of a connection, watched: when they come, and what is left when it ends.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep, timeout},
};

use super::clock::Clock;

/// How long an ending connection may take until its last bytes are out and its client has stopped
/// sending what nobody reads. Closing earlier would reset the connection, and a reset can overtake
/// the answer. Clients on one continent need a tenth of it.
pub(crate) const LINGER: Duration = Duration::from_millis(500);

/// Most bytes that are thrown away meanwhile: what a client may have on the way when the answer
/// reaches it (Linux lets a socket's buffers grow to about this).
const LINGER_BYTES_MAX: usize = 6 << 20;

/// Bytes that are thrown away at once.
const CHUNK_BYTES: usize = 8 << 10;

/// What every HTTP/2 connection begins with, and no HTTP/1 method does.
const PREFACE: &[u8] = b"PRI";

/// Ends the writing side, then waits for the client to end its own.
pub(crate) async fn linger(stream: &mut TcpStream) {
    let wait = async {
        stream.shutdown().await?;
        // On the heap: every connection has the room of what may happen to it, and this is rare.
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut bytes = 0;
        while bytes < LINGER_BYTES_MAX {
            match stream.read(&mut chunk).await? {
                0 => break,
                length => bytes += length,
            }
        }
        io::Result::Ok(())
    };
    // Whatever happens, the connection is closed next.
    drop(timeout(LINGER, wait).await);
}

/// A connection whose reads are noted, and which ends gently.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    clock: Arc<Clock>,
    /// What of the preface is still to come; `None` when it is known which protocol this is.
    preface: Option<&'static [u8]>,
    ending: Option<Ending>,
}

#[derive(Debug)]
struct Ending {
    sleep: Pin<Box<Sleep>>,
    bytes: usize,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, clock: Arc<Clock>) -> Self {
        Self {
            stream,
            clock,
            preface: Some(PREFACE),
            ending: None,
        }
    }

    fn note(&mut self, bytes: &[u8]) {
        if let Some(preface) = self.preface {
            let length = preface.len().min(bytes.len());
            let (expected, rest) = preface.split_at(length);
            self.preface = if !bytes.starts_with(expected) {
                None
            } else if rest.is_empty() {
                self.clock.is_multiplexed();
                None
            } else {
                Some(rest)
            };
        }
        self.clock.bytes_came();
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        match buf.filled().get(before..) {
            Some(bytes) if !bytes.is_empty() => self.note(bytes),
            Some(_) | None => {}
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
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

    /// Ends the writing side, then waits for the other one where bytes may be unread.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self {
            stream,
            clock,
            ending,
            ..
        } = &mut *self;
        if ending.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
            if !clock.may_be_unread() {
                return Poll::Ready(Ok(()));
            }
        }
        let ending = ending.get_or_insert_with(|| Ending {
            sleep: Box::pin(sleep(LINGER)),
            bytes: 0,
        });
        // On the heap: every connection has the room of what may happen to it, and this is rare.
        let mut chunk = vec![0; CHUNK_BYTES];
        while ending.bytes < LINGER_BYTES_MAX {
            let mut buf = ReadBuf::new(&mut chunk);
            match Pin::new(&mut *stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
                    ending.bytes += buf.filled().len();
                }
                // The client has closed as well, or the connection is gone.
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(ending.sleep.as_mut().poll(cx));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
