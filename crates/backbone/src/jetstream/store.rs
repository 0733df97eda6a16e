//! From a message to what became of it: limits, which reply subject, and whether all are asked for
//! together.

use super::{
    Jetstream,
    acks::Subject,
    answer::Answer,
    appends::Together,
    link::{LOST, unreachable},
    message::{HEADER_BYTES_MAX, LETTER_BYTES, Outgoing},
};
use crate::{Append, AppendError, Stored};

impl Jetstream {
    /// Stores a message. `reserved` is how many bytes it must leave of the limits.
    pub(super) async fn store(
        &self,
        to: String,
        message: Outgoing,
        reserved: usize,
    ) -> Result<Stored, AppendError> {
        self.check(&message, reserved)?;
        let answer = self.shared.appends.append(&to, &message, Subject::New);
        self.outcome(answer.await, &message)
    }

    /// An event.
    pub(super) async fn append_alone(&self, append: &Append) -> Result<Stored, AppendError> {
        let message = Outgoing::append(append);
        self.check(&message, LETTER_BYTES)?;
        let subject = self.subject_of(append);
        let answer = self
            .shared
            .appends
            .append(&append.subject, &message, subject);
        self.outcome(answer.await, &message)
    }

    fn check(&self, message: &Outgoing, reserved: usize) -> Result<(), AppendError> {
        for (bytes, bytes_max) in [
            (message.header_bytes(), HEADER_BYTES_MAX),
            (message.bytes(), self.payload_max()),
        ] {
            let bytes_max = bytes_max.saturating_sub(reserved);
            if bytes > bytes_max {
                return Err(AppendError::TooLarge { bytes, bytes_max });
            }
        }
        Ok(())
    }

    fn outcome(&self, answer: Answer, message: &Outgoing) -> Result<Stored, AppendError> {
        match answer {
            Answer::Stored(stored) => Ok(stored),
            Answer::TooLarge => Err(AppendError::TooLarge {
                bytes: message.bytes(),
                bytes_max: self.payload_max(),
            }),
            Answer::Failed(error) => Err(error),
            // Never on a new subject; to try again is safe.
            Answer::Unsure => Err(unreachable(LOST)),
        }
    }

    fn payload_max(&self) -> usize {
        self.shared.link.client().max_payload()
    }

    /// All under one reply subject. `Err` says of which is known that they are stored as something
    /// new, and that each has to be asked for by itself.
    pub(super) async fn append_together(
        &self,
        appends: &[Append],
    ) -> Result<Vec<Result<Stored, AppendError>>, Vec<u64>> {
        let mut messages = Vec::with_capacity(appends.len());
        for append in appends {
            let message = Outgoing::append(append);
            let is_alike = self.subject_of(append) == Subject::Any;
            if !is_alike || self.check(&message, LETTER_BYTES).is_err() {
                return Err(Vec::new());
            }
            messages.push((&*append.subject, message));
        }
        let stored = |sequence| {
            let duplicate = false;
            Ok(Stored {
                sequence,
                duplicate,
            })
        };
        match self.shared.appends.append_together(&messages).await {
            Together::Stored(places) => Ok(places.into_iter().map(stored).collect()),
            Together::Failed(error) => Ok(appends.iter().map(|_| Err(error.clone())).collect()),
            Together::Unsure { new } => Err(new),
        }
    }

    /// Each under a reply subject of its own, all under way at once. Some are known to be stored as
    /// something new, at these places.
    pub(super) async fn append_each(
        &self,
        appends: &[Append],
        mut new: Vec<u64>,
    ) -> Vec<Result<Stored, AppendError>> {
        let mut sent = Vec::with_capacity(appends.len());
        for append in appends {
            let message = Outgoing::append(append);
            let waiting = match self.check(&message, LETTER_BYTES) {
                Ok(()) => {
                    let appends = &self.shared.appends;
                    appends.send(&append.subject, &message, Subject::New).await
                }
                Err(error) => Err(Answer::Failed(error)),
            };
            sent.push((message, waiting));
        }
        let mut outcomes = Vec::with_capacity(appends.len());
        for (message, waiting) in sent {
            let answer = match waiting {
                Ok(waiting) => waiting.await,
                Err(answer) => answer,
            };
            let mut outcome = self.outcome(answer, &message);
            // The first one of a place is the one that is new there.
            if let Ok(stored) = &mut outcome
                && let Some(at) = new.iter().position(|place| *place == stored.sequence)
            {
                new.swap_remove(at);
                stored.duplicate = false;
            }
            outcomes.push(outcome);
        }
        outcomes
    }

    /// A subject is only used again for what is stored once, however often it arrives.
    fn subject_of(&self, append: &Append) -> Subject {
        let config = &self.shared.config;
        let is_remembered = config.events.duplicate_window >= config.append_timeout;
        if is_remembered && append.message_id.is_some() {
            Subject::Any
        } else {
            Subject::New
        }
    }
}
