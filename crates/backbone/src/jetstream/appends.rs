//! The connection of appends: one inbox for all acknowledgements, nothing that waits for a
//! delivery.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{
    ConnectError,
    acks::{Acks, Key, Waiting},
    answer::{self, Answer},
    link::{LOST, NOT_CONNECTED, unreachable},
    message::Outgoing,
    wire::{self, Listener, NotPut, Wire},
};
use crate::Config;

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
        };
        Ok(Self {
            wire: Wire::start(config, url, format!("{name}-append"), answers).await?,
            timekeeper: tokio::spawn(acks.keep_time()),
        })
    }

    pub(super) fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    /// Puts a message on its way; waits while there is no room, as long as an append may wait.
    pub(super) async fn send(&self, subject: &str, message: &Outgoing) -> Result<Waiting, Answer> {
        let acks = &self.wire.listener().acks;
        let mut waiting = acks.wait().map_err(Answer::Failed)?;
        loop {
            let emptied = self.wire.emptied();
            let reply = waiting.reply();
            let put = |frames: &mut Vec<u8>| wire::publish(subject, &reply, message, frames);
            match self.wire.put(put) {
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

impl Drop for Appends {
    fn drop(&mut self) {
        self.timekeeper.abort();
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
            let answer = answer::of(status, message.payload, &self.streams);
            self.acks.answer(key, answer);
        }
    }

    fn lost(&self) {
        self.acks.fail_all(&unreachable(LOST));
    }
}

#[cfg(test)]
mod tests;
