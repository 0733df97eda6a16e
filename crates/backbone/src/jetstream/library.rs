//! Appends through the client library, where a connection needs TLS or a credentials file.

use std::sync::Arc;

use async_nats::{PublishErrorKind, Subject, Subscriber};
use futures_util::StreamExt as _;
use tokio::time::MissedTickBehavior;

use super::{
    SWEEP_INTERVAL,
    acks::{Acks, Key, Waiting},
    answer::{self, Answer},
    link::{Link, NOT_CONNECTED},
    message::Outgoing,
};
use crate::AppendError;

/// Puts a message on its way.
pub(super) async fn send(
    link: &Link,
    acks: &Arc<Acks>,
    subject: String,
    message: Outgoing,
) -> Result<Waiting, Answer> {
    if !link.is_connected() {
        return Err(Answer::Failed(unreachable()));
    }
    let mut waiting = acks.wait().map_err(Answer::Failed)?;
    let sending = link.client().publish_with_reply_and_headers(
        Subject::from(subject),
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
                PublishErrorKind::Send => Answer::Failed(unreachable()),
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

pub(super) fn unreachable() -> AppendError {
    AppendError::Unreachable {
        detail: NOT_CONNECTED.to_owned(),
    }
}

pub(super) async fn read_answers(
    mut subscriber: Subscriber,
    acks: Arc<Acks>,
    streams: [String; 2],
) {
    while let Some(message) = subscriber.next().await {
        let key = message.subject.rsplit('.').next().and_then(Key::parse);
        if let Some(key) = key {
            acks.answer(key, answer::read(&message, &streams));
        }
    }
    acks.fail_all(&AppendError::Unreachable {
        detail: NOT_CONNECTED.to_owned(),
    });
}

pub(super) async fn sweep(link: Arc<Link>, acks: Arc<Acks>) {
    let mut interval = tokio::time::interval(SWEEP_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        acks.sweep();
        if !link.is_connected() {
            // The client's events may be dropped when there are many.
            acks.fail_all(&AppendError::Unreachable {
                detail: NOT_CONNECTED.to_owned(),
            });
        }
    }
}
