//! Appends through the client library, where a connection needs TLS or a credentials file.

use std::{sync::Arc, time::Duration};

use async_nats::{PublishErrorKind, SubscribeError, Subscriber};
use futures_util::StreamExt as _;
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{
    acks::{Acks, Key, Waiting},
    answer::{self, Answer},
    link::{LOST, Link, NOT_CONNECTED, unreachable},
    message::Outgoing,
};
use crate::{AppendError, Config};

/// How often is looked whether there is a connection: so long a loss stays unnoticed at most.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Appends over the connection that all else goes over.
#[derive(Debug)]
pub(super) struct Library {
    link: Arc<Link>,
    acks: Arc<Acks>,
    tasks: [JoinHandle<()>; 3],
}

impl Library {
    pub(super) async fn start(
        link: Arc<Link>,
        config: &Config,
        inbox: &str,
    ) -> Result<Self, SubscribeError> {
        let acks = Acks::new(inbox, config.in_flight_max, config.append_timeout);
        let acks = Arc::new(acks);
        let answers = link.client().subscribe(format!("{inbox}.*")).await?;
        let tasks = [
            tokio::spawn(read(answers, Arc::clone(&acks), config.streams())),
            tokio::spawn(Arc::clone(&acks).keep_time()),
            tokio::spawn(notice_losses(Arc::clone(&link), Arc::clone(&acks))),
        ];
        Ok(Self { link, acks, tasks })
    }

    /// Puts a message on its way.
    pub(super) async fn send(&self, subject: String, message: Outgoing) -> Result<Waiting, Answer> {
        if !self.link.is_connected() {
            return Err(Answer::Failed(unreachable(NOT_CONNECTED)));
        }
        let mut waiting = self.acks.wait().map_err(Answer::Failed)?;
        let sending = self.link.client().publish_with_reply_and_headers(
            subject,
            waiting.reply(),
            message.header_map(),
            message.payload,
        );
        tokio::select! {
            biased;
            sent = sending => match sent {
                Ok(()) => Ok(waiting),
                Err(error) => Err(match error.kind() {
                    PublishErrorKind::MaxPayloadExceeded => Answer::TooLarge,
                    PublishErrorKind::Send => Answer::Failed(unreachable(NOT_CONNECTED)),
                    PublishErrorKind::InvalidSubject => {
                        let detail = "not a subject".to_owned();
                        Answer::Failed(AppendError::Refused { code: 0, detail })
                    }
                }),
            },
            // The client's buffer is full, and the time is over or the connection lost.
            answer = &mut waiting => Err(answer),
        }
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn read(mut answers: Subscriber, acks: Arc<Acks>, streams: [String; 2]) {
    while let Some(message) = answers.next().await {
        let key = message.subject.rsplit('.').next().and_then(Key::parse);
        if let Some(key) = key {
            acks.answer(key, answer::read(&message, &streams));
        }
    }
    acks.fail_all(&unreachable(NOT_CONNECTED));
}

/// The library tells of a loss; its word may be dropped where there are many.
async fn notice_losses(link: Arc<Link>, acks: Arc<Acks>) {
    let mut losses = link.losses();
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            changed = losses.changed() => if changed.is_err() {
                return;
            },
            _ = ticks.tick() => if link.is_connected() {
                continue;
            },
        }
        acks.fail_all(&unreachable(LOST));
    }
}
