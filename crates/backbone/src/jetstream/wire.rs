//! The connection of appends: NATS by hand, for this one thing.
//!
//! Frames are written into a buffer that a task swaps for an empty one and sends, so that what many
//! requests append at once leaves together; acknowledgements are matched as they are read. A client
//! library's headers, channels and tasks for each message cost several times what a message does
//! (decision 0017). Everything else that is asked of NATS goes through [`super::link`], and appends
//! too where a connection needs TLS or a credentials file.

mod dial;
mod protocol;

use std::{
    io, mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    sync::Notify,
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};

use self::{
    dial::{Dialed, Dialer},
    protocol::Op,
};
use super::{
    acks::{Acks, Key, Waiting},
    answer::{self, Answer},
    link::{LOST, NOT_CONNECTED, PING_INTERVAL, reconnect_delay, unreachable},
    message::Outgoing,
};
use crate::Config;

/// Bytes that wait to be sent, from which on who comes waits; so one message may be beyond, however
/// large. It is what a loopback socket takes in a millisecond or two.
const FRAMES_BYTES_MAX: usize = 1 << 20;

/// What is read at once: a few hundred acknowledgements.
const READ_BYTES: usize = 32 << 10;

/// So many intervals without a byte from the server end a connection.
const SILENT_MAX: u32 = 3;

/// The connection, which is made anew when it is lost.
#[derive(Debug)]
pub(super) struct Wire {
    shared: Arc<Shared>,
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    acks: Arc<Acks>,
    streams: [String; 2],
    out: Mutex<Out>,
    /// There is something to send.
    filled: Notify,
    /// There is room again, or no connection.
    emptied: Notify,
    /// Something came since this was looked at.
    heard: AtomicBool,
}

#[derive(Debug, Default)]
struct Out {
    is_open: bool,
    frames: Vec<u8>,
}

/// Why a message was not taken.
enum NotPut {
    /// Later there is room.
    Full,
    Closed,
}

impl Wire {
    /// Connects, or goes on trying to; `None` where appends need the other connection.
    pub(super) async fn start(config: &Config, url: &str, name: &str, inbox: &str) -> Option<Self> {
        let mut dialer = Dialer::new(config, url, name, inbox)?;
        let acks = Acks::new(inbox, config.in_flight_max, config.append_timeout);
        let acks = Arc::new(acks);
        let shared = Arc::new(Shared {
            acks,
            streams: config.streams(),
            out: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            heard: AtomicBool::new(false),
        });
        let first = match dialer.dial().await {
            Ok(dialed) => {
                shared.open();
                Some(dialed)
            }
            Err(dial::Error::NeedsTls) => return None,
            Err(error) => {
                tracing::warn!(%error, "no connection for appends yet");
                None
            }
        };
        let tasks = [
            tokio::spawn(Arc::clone(&shared.acks).keep_time()),
            tokio::spawn(keep(Arc::clone(&shared), dialer, first)),
        ];
        Some(Self { shared, tasks })
    }

    pub(super) fn is_open(&self) -> bool {
        self.shared.lock().is_open
    }

    /// Puts a message on its way; waits while there is no room, as long as an append may wait.
    pub(super) async fn send(&self, subject: &str, message: &Outgoing) -> Result<Waiting, Answer> {
        let shared = &*self.shared;
        let mut waiting = shared.acks.wait().map_err(Answer::Failed)?;
        loop {
            // Before it is looked whether there is room, or the word that there is may be missed.
            let emptied = shared.emptied.notified();
            match shared.put(subject, &waiting.reply(), message) {
                Ok(()) => return Ok(waiting),
                Err(NotPut::Closed) => return Err(Answer::Failed(unreachable(NOT_CONNECTED))),
                Err(NotPut::Full) => tokio::select! {
                    biased;
                    answer = &mut waiting => return Err(answer),
                    () = emptied => {}
                },
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Shared {
    fn put(&self, subject: &str, reply: &str, message: &Outgoing) -> Result<(), NotPut> {
        let mut out = self.lock();
        if !out.is_open {
            return Err(NotPut::Closed);
        }
        if out.frames.len() >= FRAMES_BYTES_MAX {
            return Err(NotPut::Full);
        }
        let was_empty = out.frames.is_empty();
        protocol::publish(subject, reply, message, &mut out.frames);
        drop(out);
        if was_empty {
            self.filled.notify_one();
        }
        Ok(())
    }

    /// A word of the protocol itself, which is never too much.
    fn say(&self, word: &[u8]) {
        self.lock().frames.extend_from_slice(word);
        self.filled.notify_one();
    }

    fn open(&self) {
        self.lock().is_open = true;
    }

    fn close(&self) {
        *self.lock() = Out::default();
        self.emptied.notify_waiters();
        self.acks.fail_all(&unreachable(LOST));
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        // Every change is complete before anything in it can panic.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a connection, for ever.
async fn keep(shared: Arc<Shared>, mut dialer: Dialer, first: Option<Dialed>) {
    let mut dialed = first;
    let mut attempts = 0;
    loop {
        let connection = match dialed.take() {
            Some(connection) => connection,
            None => match dialer.dial().await {
                Ok(connection) => {
                    tracing::info!("connected to nats for appends");
                    shared.open();
                    connection
                }
                Err(error) => {
                    tracing::debug!(%error, "no connection for appends");
                    attempts += 1;
                    sleep(reconnect_delay(attempts)).await;
                    continue;
                }
            },
        };
        attempts = 0;
        let error = talk(&shared, connection).await;
        shared.close();
        tracing::warn!(%error, "connection to nats for appends lost");
        sleep(reconnect_delay(1)).await;
    }
}

/// Sends and reads until the connection ends, and says why it did.
async fn talk(shared: &Shared, dialed: Dialed) -> io::Error {
    let Dialed { stream, rest } = dialed;
    let (reading, writing) = stream.into_split();
    let ended = tokio::select! {
        ended = write(shared, writing) => ended,
        ended = read(shared, reading, rest) => ended,
        ended = watch(shared) => ended,
    };
    ended
        .err()
        .unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

async fn write(shared: &Shared, mut stream: OwnedWriteHalf) -> io::Result<()> {
    let mut frames = Vec::new();
    loop {
        mem::swap(&mut shared.lock().frames, &mut frames);
        if frames.is_empty() {
            shared.filled.notified().await;
            continue;
        }
        shared.emptied.notify_waiters();
        stream.write_all(&frames).await?;
        frames.clear();
        // A large message must not keep its room for ever.
        frames.shrink_to(FRAMES_BYTES_MAX);
    }
}

async fn read(shared: &Shared, mut stream: OwnedReadHalf, mut buffer: BytesMut) -> io::Result<()> {
    loop {
        while let Some((op, length)) = protocol::parse(&buffer)? {
            shared.heed(&op);
            buffer.advance(length);
        }
        buffer.reserve(READ_BYTES);
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        shared.heard.store(true, Ordering::Relaxed);
    }
}

/// Asks for signs of life, and misses them.
async fn watch(shared: &Shared) -> io::Result<()> {
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
        shared.say(protocol::PING);
    }
}

impl Shared {
    fn heed(&self, op: &Op<'_>) {
        match op {
            Op::Message {
                subject,
                status,
                payload,
            } => {
                let token = subject.rsplit('.').next();
                if let Some(key) = token.and_then(Key::parse) {
                    let answer = answer::of(*status, payload, &self.streams);
                    self.acks.answer(key, answer);
                }
            }
            Op::Ping => self.say(protocol::PONG),
            // About one message, such as a subject that is not permitted; where the connection is
            // meant, the server ends it.
            Op::Error(error) => tracing::warn!(error, "nats-server reports an error"),
            Op::Other => {}
        }
    }
}

#[cfg(test)]
mod tests;
