//! A connection to NATS by hand, for what there is most of: appends and their acknowledgements,
//! deliveries and their settlements.
//!
//! Frames are written into a buffer that a task swaps for an empty one and sends, so that what many
//! have to say at once leaves together; what comes is told as it is read. A client library's
//! headers, channels and tasks for each message cost several times what a message does (decision
//! 0017). Everything else that is asked of NATS goes through [`super::link`].

mod credentials;
mod dial;
mod protocol;
mod tls;

use std::{
    fmt, io, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, split},
    sync::{Notify, futures::Notified, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use self::{
    dial::{Dialed, Dialer, Socket},
    protocol::Op,
};
pub(super) use self::{
    protocol::{Message, headers, publish, publish_plain, status},
    tls::authorities,
};
use super::{
    ConnectError,
    link::{PING_INTERVAL, reconnect_delay},
};
use crate::Config;

/// Bytes that wait to be sent, from which on who comes waits; so one message may be beyond, however
/// large. It is what a loopback socket takes in a millisecond or two.
const FRAMES_BYTES_MAX: usize = 1 << 20;

/// What is read at once: several hundred acknowledgements, or some dozen events.
const READ_BYTES: usize = 64 << 10;

/// So many intervals without a byte from the server end a connection.
const SILENT_MAX: u32 = 3;

/// Whoever a connection is for.
pub(super) trait Listener: fmt::Debug + Send + Sync + 'static {
    /// What a connection begins with: `SUB <subject> <number>` for each subscription, a line each.
    fn subscriptions(&self) -> String;

    /// A message has come.
    fn hear(&self, message: Message<'_>);

    /// The connection is lost, and with it what was under way.
    fn lost(&self);
}

/// The connection, which is made anew when it is lost.
#[derive(Debug)]
pub(super) struct Wire<L> {
    shared: Arc<Shared<L>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared<L> {
    name: String,
    listener: L,
    out: Mutex<Out>,
    /// There is something to send.
    filled: Notify,
    /// There is room again, or no connection.
    emptied: Notify,
    /// Something came since this was looked at.
    heard: AtomicBool,
    /// How many of this connection's pings are answered.
    pongs: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Out {
    is_open: bool,
    frames: Vec<u8>,
    /// So many were sent.
    pings: u64,
}

/// Why nothing was sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum NotPut {
    /// Later there is room.
    Full,
    Closed,
}

impl<L: Listener> Wire<L> {
    /// Connects, or goes on trying to, under a name that shows on the server.
    pub(super) async fn start(
        config: &Config,
        url: &str,
        name: String,
        listener: L,
    ) -> Result<Self, ConnectError> {
        let mut dialer = Dialer::new(config, url, &name)?;
        let shared = Arc::new(Shared {
            name,
            listener,
            out: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            heard: AtomicBool::new(false),
            pongs: watch::Sender::new(0),
        });
        let first = match dialer.dial(&shared.listener.subscriptions()).await {
            Ok(dialed) => {
                shared.open();
                Some(dialed)
            }
            Err(error) => {
                tracing::warn!(%error, connection = shared.name, "no connection to nats yet");
                None
            }
        };
        let task = tokio::spawn(keep(Arc::clone(&shared), dialer, first));
        Ok(Self { shared, task })
    }

    pub(super) fn listener(&self) -> &L {
        &self.shared.listener
    }

    pub(super) fn is_open(&self) -> bool {
        self.shared.lock().is_open
    }

    /// Puts what `write` writes on its way, if there is room.
    pub(super) fn put(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), NotPut> {
        self.shared.put(write)
    }

    /// Ready when there may be room again. Has to be had before it is looked whether there is, or
    /// the word that there is may be missed.
    pub(super) fn emptied(&self) -> Notified<'_> {
        self.shared.emptied.notified()
    }

    /// Bytes that wait to be sent.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.shared.lock().frames.len()
    }

    /// Puts a word on its way that is never too much; nothing where there is no connection.
    pub(super) fn say(&self, word: &str) {
        self.shared.say(word.as_bytes());
    }

    /// Waits until the server has read all that was put before, and what it said until then has
    /// come. Never ends when the connection is lost meanwhile.
    pub(super) async fn flush(&self) {
        let mut pongs = self.shared.pongs.subscribe();
        let ping = self.shared.ping();
        // An error means that the connection is given up.
        drop(pongs.wait_for(|pongs| *pongs >= ping).await);
    }
}

impl<L> Drop for Wire<L> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<L: Listener> Shared<L> {
    fn put(&self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), NotPut> {
        let mut out = self.lock();
        if !out.is_open {
            return Err(NotPut::Closed);
        }
        if out.frames.len() >= FRAMES_BYTES_MAX {
            return Err(NotPut::Full);
        }
        let was_empty = out.frames.is_empty();
        write(&mut out.frames);
        drop(out);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    fn say(&self, word: &[u8]) {
        let mut out = self.lock();
        if out.is_open {
            out.frames.extend_from_slice(word);
            drop(out);
            self.filled.notify_one();
        }
    }

    /// Asks for a sign of life. Which one it is, is returned.
    fn ping(&self) -> u64 {
        let mut out = self.lock();
        out.pings += 1;
        if out.is_open {
            out.frames.extend_from_slice(protocol::PING);
        }
        let ping = out.pings;
        drop(out);
        self.filled.notify_one();
        ping
    }

    fn open(&self) {
        // Those that were made while it was dialed are not among those that the server knows.
        let frames = self.listener.subscriptions().into_bytes();
        let mut out = self.lock();
        self.pongs.send_replace(0);
        *out = Out {
            is_open: true,
            frames,
            pings: 0,
        };
        drop(out);
        self.filled.notify_one();
    }

    fn close(&self) {
        *self.lock() = Out::default();
        self.emptied.notify_waiters();
        self.listener.lost();
    }

    fn heed(&self, op: &Op<'_>) {
        match op {
            Op::Message(message) => self.listener.hear(*message),
            Op::Ping => self.say(protocol::PONG),
            Op::Pong => self.pongs.send_modify(|pongs| *pongs += 1),
            // About one message, such as a subject that is not permitted; where the connection is
            // meant, the server ends it.
            Op::Error(error) => {
                tracing::warn!(
                    error,
                    connection = self.name,
                    "nats-server reports an error"
                );
            }
            Op::Other => {}
        }
    }
}

impl<L> Shared<L> {
    fn lock(&self) -> MutexGuard<'_, Out> {
        // Every change is complete before anything in it can panic.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a connection, for ever.
async fn keep<L: Listener>(shared: Arc<Shared<L>>, mut dialer: Dialer, first: Option<Dialed>) {
    let mut dialed = first;
    let mut attempts = 0;
    let connection = &*shared.name;
    loop {
        let standing = match dialed.take() {
            Some(standing) => standing,
            None => match dialer.dial(&shared.listener.subscriptions()).await {
                Ok(standing) => {
                    tracing::info!(connection, "connected to nats");
                    shared.open();
                    standing
                }
                Err(error) => {
                    tracing::debug!(%error, connection, "no connection to nats");
                    attempts += 1;
                    sleep(reconnect_delay(attempts)).await;
                    continue;
                }
            },
        };
        attempts = 0;
        let error = talk(&shared, standing).await;
        shared.close();
        tracing::warn!(%error, connection, "connection to nats lost");
        sleep(reconnect_delay(1)).await;
    }
}

/// Sends and reads until the connection ends, and says why it did.
async fn talk<L: Listener>(shared: &Shared<L>, dialed: Dialed) -> io::Error {
    let ended = match dialed.socket {
        Socket::Plain(stream) => {
            let (reading, writing) = stream.into_split();
            both_ways(shared, reading, writing, dialed.rest).await
        }
        Socket::Tls(stream) => {
            let (reading, writing) = split(stream);
            both_ways(shared, reading, writing, dialed.rest).await
        }
    };
    ended
        .err()
        .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

async fn both_ways<L: Listener>(
    shared: &Shared<L>,
    reading: impl AsyncRead + Unpin,
    writing: impl AsyncWrite + Unpin,
    rest: BytesMut,
) -> io::Result<()> {
    tokio::select! {
        ended = write(shared, writing) => ended,
        ended = read(shared, reading, rest) => ended,
        ended = watch_over(shared) => ended,
    }
}

async fn write<L>(shared: &Shared<L>, mut stream: impl AsyncWrite + Unpin) -> io::Result<()> {
    let mut frames = Vec::new();
    loop {
        mem::swap(&mut shared.lock().frames, &mut frames);
        if frames.is_empty() {
            shared.filled.notified().await;
            continue;
        }
        shared.emptied.notify_waiters();
        stream.write_all(&frames).await?;
        stream.flush().await?;
        frames.clear();
        // A large message must not keep its room for ever.
        frames.shrink_to(FRAMES_BYTES_MAX);
    }
}

async fn read<L: Listener>(
    shared: &Shared<L>,
    mut stream: impl AsyncRead + Unpin,
    mut buffer: BytesMut,
) -> io::Result<()> {
    loop {
        while let Some((op, length)) = protocol::parse(&buffer)? {
            shared.heed(&op);
            buffer.advance(length);
        }
        if buffer.is_empty() && buffer.capacity() > FRAMES_BYTES_MAX {
            buffer = BytesMut::new();
        }
        buffer.reserve(READ_BYTES);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        shared.heard.store(true, Ordering::Relaxed);
    }
}

/// Asks for signs of life, and misses them.
async fn watch_over<L: Listener>(shared: &Shared<L>) -> io::Result<()> {
    let mut ticks = interval(PING_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silent = 0;
    loop {
        ticks.tick().await;
        silent = if shared.heard.swap(false, Ordering::Relaxed) {
            0
        } else {
            silent + 1
        };
        if silent > SILENT_MAX {
            let silence = PING_INTERVAL * SILENT_MAX;
            return Err(io::Error::other(format!("nothing came for {silence:?}")));
        }
        shared.ping();
    }
}
