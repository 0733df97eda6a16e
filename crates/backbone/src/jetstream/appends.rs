//! The connection of appends: one inbox for all acknowledgements, nothing that waits for a
//! delivery.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use super::{
    ConnectError,
    acks::{Acks, Key, Subject, Waiting},
    answer::{self, Answer},
    link::{LOST, NOT_CONNECTED, unreachable},
    message::Outgoing,
    wire::{self, Listener, NotPut, Wire},
};
use crate::{AppendError, Config};

#[derive(Debug)]
pub(super) struct Appends {
    wire: Wire<Answers>,
    timekeeper: JoinHandle<()>,
}

/// Gives each answer to whoever waits for it.
#[derive(Debug)]
struct Answers {
    acks: Arc<Acks>,
    inbox: String,
    streams: [String; 2],
    /// That of the stream that answers on this connection, as its first answer says. Another's
    /// places are no places of ours.
    domain: Mutex<Option<Box<[u8]>>>,
}

/// What became of messages that were stored together.
#[derive(Debug)]
pub(super) enum Together {
    /// Where they are, in their order.
    Stored(Vec<u64>),
    Failed(AppendError),
    /// That is not known of each: each has to be asked for by itself. Some are stored as something
    /// new at these places.
    Unsure {
        new: Vec<u64>,
    },
}

impl Appends {
    /// Answers are read below `inbox`.
    pub(super) async fn start(
        config: &Config,
        url: &str,
        name: &str,
        inbox: String,
    ) -> Result<Self, ConnectError> {
        let acks = Acks::new(&inbox, config.in_flight_max, config.append_timeout);
        let acks = Arc::new(acks);
        let answers = Answers {
            acks: Arc::clone(&acks),
            inbox,
            streams: config.streams(),
            domain: Mutex::default(),
        };
        Ok(Self {
            wire: Wire::start(config, url, format!("{name}-append"), answers).await?,
            timekeeper: tokio::spawn(acks.keep_time()),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    /// Stores a message.
    pub(super) async fn append(&self, to: &str, message: &Outgoing, subject: Subject) -> Answer {
        match self.send(to, message, subject).await {
            Ok(waiting) => match waiting.await {
                // Rare, and boxed so that no append is larger for it.
                Answer::Unsure => Box::pin(self.append_anew(to, message)).await,
                sure @ (Answer::Stored(_) | Answer::TooLarge | Answer::Failed(_)) => sure,
            },
            Err(answer) => answer,
        }
    }

    async fn append_anew(&self, to: &str, message: &Outgoing) -> Answer {
        match self.send(to, message, Subject::New).await {
            Ok(waiting) => waiting.await,
            Err(answer) => answer,
        }
    }

    /// Puts a message on its way; waits while there is no room, as long as an append may wait.
    pub(super) async fn send(
        &self,
        to: &str,
        message: &Outgoing,
        subject: Subject,
    ) -> Result<Waiting, Answer> {
        let acks = &self.wire.listener().acks;
        let mut waiting = acks.wait(1, subject).map_err(Answer::Failed)?;
        self.put(to, message, &mut waiting).await?;
        Ok(waiting)
    }

    /// Stores messages, of which each has an identity, under one subject. There are at least two.
    pub(super) async fn append_together(&self, messages: &[(&str, Outgoing)]) -> Together {
        let unsure = |new| Together::Unsure { new };
        let acks = &self.wire.listener().acks;
        let Ok(mut waiting) = acks.wait(messages.len(), Subject::Any) else {
            return unsure(Vec::new());
        };
        for (to, message) in messages {
            if let Err(answer) = self.put(to, message, &mut waiting).await {
                return match answer {
                    Answer::Failed(error) => Together::Failed(error),
                    Answer::Stored(_) | Answer::TooLarge | Answer::Unsure => {
                        unsure(waiting.places())
                    }
                };
            }
        }
        match (&mut waiting).await {
            Answer::Stored(_) => Together::Stored(waiting.places()),
            Answer::Failed(error) => Together::Failed(error),
            Answer::Unsure | Answer::TooLarge => unsure(waiting.places()),
        }
    }

    async fn put(&self, to: &str, message: &Outgoing, waiting: &mut Waiting) -> Result<(), Answer> {
        loop {
            let emptied = self.wire.emptied();
            let reply = waiting.reply();
            let put = |frames: &mut Vec<u8>| wire::publish(to, &reply, message, frames);
            match self.wire.put(put) {
                Ok(()) => return Ok(()),
                Err(NotPut::Closed) => return Err(Answer::Failed(unreachable(NOT_CONNECTED))),
                Err(NotPut::Full) => tokio::select! {
                    biased;
                    answer = &mut *waiting => return Err(answer),
                    () = emptied => {}
                },
            }
        }
    }
}

impl Drop for Appends {
    fn drop(&mut self) {
        self.timekeeper.abort();
    }
}

impl Answers {
    fn is_ours(&self, domain: &[u8]) -> bool {
        let mut ours = self.domain();
        **ours.get_or_insert_with(|| domain.into()) == *domain
    }

    fn domain(&self) -> MutexGuard<'_, Option<Box<[u8]>>> {
        // Every change is complete before anything in it can panic.
        self.domain.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Listener for Answers ===

impl Listener for Answers {
    fn subscriptions(&self) -> String {
        format!("SUB {}.* 1\r\n", self.inbox)
    }

    fn hear(&self, message: wire::Message<'_>) {
        let token = message.subject.rsplit('.').next();
        if let Some(key) = token.and_then(Key::parse) {
            let status = wire::status(message.headers).map(|(status, _)| status);
            match answer::place(message.payload, &self.streams) {
                Some(place) if status.is_none() && self.is_ours(place.domain) => {
                    self.acks.stored(key, place.sequence);
                }
                Some(_) | None => {
                    let answer = answer::of(status, message.payload, &self.streams);
                    self.acks.told(key, answer);
                }
            }
        }
    }

    fn lost(&self) {
        *self.domain() = None;
        self.acks.lost(&unreachable(LOST));
    }
}

#[cfg(test)]
mod tests;
