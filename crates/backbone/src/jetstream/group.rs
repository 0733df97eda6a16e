//! Group commit: appends that come while a batch is being committed are the next batch.
//!
//! On a server that syncs before it answers, a batch costs a few syncs however many events are in
//! it. Batches go through the client library. What a batch does not take goes the plain way, which
//! is not here. Nor are dead letters.

use std::{borrow::Cow, convert::Infallible, future::Future, sync::Arc, time::Duration};

use async_nats::{Message, PublishErrorKind, SubscribeError, Subscriber};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::{
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use super::{
    answer::{self, Answer},
    link::{LOST, Link, NOT_CONNECTED, unreachable},
    message::{HEADER_BYTES_MAX, LETTER_BYTES, Outgoing},
};
use crate::{Append, AppendError, Config, Stored};

/// Oldest nats-server that syncs once for a batch and not once for each of its messages.
pub(super) const SERVER_MIN: (u64, u64) = (2, 15);

/// Fewer go the plain way, all at once: a batch costs four syncs and a folder of its own. Between
/// 8 and 16 plain publishes took as long as a batch of as many, in three runs on ext4.
const BATCH_EVENTS_MIN: usize = 12;

/// nats-server's own limit, unless its operator has lowered it.
const BATCH_EVENTS_MAX: usize = 1_000;

/// Most bytes of a batch, unless one event has more. The server holds a copy while it commits, and
/// writes it twice; at this size that takes about as long as the syncs.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// JetStream's error code for a stream that takes no batches.
const BATCHES_DISABLED: u64 = 10_174;

/// JetStream's error code for a batch of more messages than it takes.
const BATCH_TOO_LARGE: u64 = 10_199;

/// Appends that are committed together; one batch at a time.
#[derive(Debug)]
pub(super) struct Group {
    link: Arc<Link>,
    queue: mpsc::Sender<Member>,
    in_flight_max: usize,
    timeout: Duration,
    task: JoinHandle<()>,
}

/// One append.
#[derive(Debug)]
struct Member {
    subject: String,
    message: Outgoing,
    verdict: oneshot::Sender<Verdict>,
}

/// What became of one append; it is told once.
#[derive(Debug)]
enum Verdict {
    Told(Result<Stored, AppendError>),
    /// It is not stored, and has to go the plain way.
    Alone(Box<(String, Outgoing)>, Turn),
}

/// Others wait while somebody has it.
type Turn = mpsc::Sender<Infallible>;

/// What became of a batch.
#[derive(Debug)]
enum Outcome {
    /// It is stored, and this is the place of its last message.
    Committed(u64),
    /// Nothing of it is.
    Refused,
    /// It may be stored or not.
    Unknown(AppendError),
}

impl Group {
    pub(super) async fn start(link: Arc<Link>, config: &Config) -> Result<Self, SubscribeError> {
        let (queue, queued) = mpsc::channel(config.in_flight_max);
        let inbox = link.client().new_inbox();
        let committer = Committer {
            answers: link.client().subscribe(format!("{inbox}.*")).await?,
            link: Arc::clone(&link),
            queue: queued,
            held: None,
            inbox,
            batches: 0,
            events_max: BATCH_EVENTS_MAX.min(config.in_flight_max),
            is_told: false,
            timeout: config.append_timeout,
            streams: config.streams(),
        };
        Ok(Self {
            link,
            queue,
            in_flight_max: config.in_flight_max,
            timeout: config.append_timeout,
            task: tokio::spawn(committer.run()),
        })
    }

    /// Appends with whoever else does; `alone` is the plain way.
    pub(super) async fn append<F>(
        &self,
        append: &Append,
        alone: impl FnOnce(String, Outgoing) -> F,
    ) -> Result<Stored, AppendError>
    where
        F: Future<Output = Result<Stored, AppendError>>,
    {
        let subject = append.subject.clone();
        let message = Outgoing::append(append);
        // The plain way says why. What fits there fits here: the room that is left for a dead
        // letter is more than the batch's headers take.
        if !self.fits(&message) {
            return alone(subject, message).await;
        }
        let (verdict, told) = oneshot::channel();
        let deadline = Instant::now() + self.timeout;
        let member = Member {
            subject,
            message,
            verdict,
        };
        self.queue.try_send(member).map_err(|error| match error {
            TrySendError::Full(_) => AppendError::Busy {
                in_flight_max: self.in_flight_max,
            },
            TrySendError::Closed(_) => unreachable(NOT_CONNECTED),
        })?;
        let answered = async {
            match told.await {
                Ok(Verdict::Told(result)) => result,
                Ok(Verdict::Alone(append, turn)) => {
                    let (subject, message) = *append;
                    let result = alone(subject, message).await;
                    drop(turn);
                    result
                }
                Err(_) => Err(unreachable(NOT_CONNECTED)),
            }
        };
        let waited = self.timeout;
        timeout_at(deadline, answered)
            .await
            .unwrap_or(Err(AppendError::TimedOut { waited }))
    }

    fn fits(&self, message: &Outgoing) -> bool {
        let payload_max = self.link.client().max_payload();
        message.header_bytes() <= HEADER_BYTES_MAX - LETTER_BYTES
            && message.bytes() <= payload_max.saturating_sub(LETTER_BYTES)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.task.abort();
    }
}

// === impl Member ===

impl Member {
    /// Whoever has given up is told nothing.
    fn tell(self, verdict: Verdict) {
        drop(self.verdict.send(verdict));
    }
}

/// What forms the batches and commits them.
struct Committer {
    link: Arc<Link>,
    queue: mpsc::Receiver<Member>,
    /// Taken from the queue, and too much for the batch before.
    held: Option<Member>,
    answers: Subscriber,
    /// Unique over all publishers, as nothing else of a connection is.
    inbox: String,
    batches: u64,
    events_max: usize,
    /// Whether it was told that there are no batches.
    is_told: bool,
    timeout: Duration,
    streams: [String; 2],
}

impl Committer {
    async fn run(mut self) {
        while let Some(members) = self.form().await {
            if members.len() < BATCH_EVENTS_MIN {
                one_by_one(members).await;
                continue;
            }
            match self.commit(&members).await {
                Outcome::Committed(last) => {
                    for (sequence, member) in (0..=last).rev().zip(members.into_iter().rev()) {
                        let duplicate = false;
                        member.tell(Verdict::Told(Ok(Stored {
                            sequence,
                            duplicate,
                        })));
                    }
                }
                // One of them is why. Each gets an answer of its own.
                Outcome::Refused => one_by_one(members).await,
                Outcome::Unknown(error) => {
                    for member in members {
                        member.tell(Verdict::Told(Err(error.clone())));
                    }
                }
            }
        }
    }

    /// Whoever is there, up to the bounds. Waits until there is somebody; `None` at the end.
    async fn form(&mut self) -> Option<Vec<Member>> {
        let mut candidate = match self.held.take() {
            Some(held) => Some(held),
            None => Some(self.queue.recv().await?),
        };
        let mut members = Vec::new();
        let mut bytes = 0;
        while let Some(member) = candidate {
            if !member.verdict.is_closed() {
                bytes += member.message.bytes();
                if bytes > BATCH_BYTES_MAX && !members.is_empty() {
                    self.held = Some(member);
                    break;
                }
                members.push(member);
                if members.len() >= self.events_max {
                    break;
                }
            }
            candidate = self.queue.try_recv().ok();
        }
        Some(members)
    }

    async fn commit(&mut self, members: &[Member]) -> Outcome {
        let mut losses = self.link.losses();
        if !self.link.is_connected() {
            // The plain way has a connection of its own.
            return Outcome::Refused;
        }
        self.batches += 1;
        let waited = self.timeout;
        let committed = async {
            match self.send(members).await {
                Ok(batch) => self.answer(&batch, members.len()).await,
                Err(outcome) => outcome,
            }
        };
        tokio::select! {
            outcome = timeout(waited, committed) => {
                outcome.unwrap_or(Outcome::Unknown(AppendError::TimedOut { waited }))
            }
            // What was sent is a batch without a commit, which the server forgets.
            _ = losses.changed() => Outcome::Unknown(unreachable(LOST)),
        }
    }

    /// Sends all of it, and returns its name. Only the last message is answered.
    async fn send(&self, members: &[Member]) -> Result<String, Outcome> {
        let token = self.inbox.rsplit('.').next().unwrap_or_default();
        let batch = format!("{token}-{:x}", self.batches);
        let client = self.link.client();
        for (sequence, member) in (1..).zip(members) {
            let subject = member.subject.clone();
            let is_last = sequence == members.len();
            let message = member.message.in_batch(&batch, sequence, is_last);
            let (headers, payload) = (message.header_map(), message.payload);
            let sent = if is_last {
                let reply = format!("{}.{:x}", self.inbox, self.batches);
                let sending =
                    client.publish_with_reply_and_headers(subject, reply, headers, payload);
                sending.await
            } else {
                client.publish_with_headers(subject, headers, payload).await
            };
            sent.map_err(|error| match error.kind() {
                PublishErrorKind::Send => Outcome::Unknown(unreachable(NOT_CONNECTED)),
                PublishErrorKind::MaxPayloadExceeded | PublishErrorKind::InvalidSubject => {
                    Outcome::Refused
                }
            })?;
        }
        Ok(batch)
    }

    async fn answer(&mut self, batch: &str, count: usize) -> Outcome {
        let subject = format!("{}.{:x}", self.inbox, self.batches);
        while let Some(message) = self.answers.next().await {
            // Others are late, for batches that were given up.
            if *message.subject == *subject {
                return self.read(&message, batch, count);
            }
        }
        Outcome::Unknown(unreachable(NOT_CONNECTED))
    }

    fn read(&mut self, message: &Message, batch: &str, count: usize) -> Outcome {
        match answer::read(message, &self.streams) {
            Answer::Stored(stored) if is_commit(&message.payload, batch, count) => {
                Outcome::Committed(stored.sequence)
            }
            // A server of before batches has taken each message for itself.
            Answer::Stored(_) => self.without_batches("the nats-server knows no batches"),
            Answer::Failed(
                error @ (AppendError::Unreachable { .. } | AppendError::TimedOut { .. }),
            ) => Outcome::Unknown(error),
            Answer::Failed(AppendError::Refused { code, .. }) if code == BATCHES_DISABLED => {
                self.without_batches("the stream takes no batches")
            }
            Answer::Failed(AppendError::Refused { code, .. }) if code == BATCH_TOO_LARGE => {
                let events_max = (count / 2).max(BATCH_EVENTS_MIN);
                if events_max < self.events_max {
                    self.events_max = events_max;
                    tracing::warn!(
                        count,
                        events_max,
                        "the nats-server takes smaller batches only"
                    );
                }
                Outcome::Refused
            }
            Answer::Failed(error) => {
                tracing::debug!(%error, count, "a batch was refused");
                Outcome::Refused
            }
            Answer::TooLarge | Answer::Unsure => Outcome::Refused,
        }
    }

    /// Said once, and not for each batch.
    fn without_batches(&mut self, reason: &str) -> Outcome {
        if !self.is_told {
            self.is_told = true;
            tracing::warn!(reason, "each event is committed alone");
        }
        Outcome::Refused
    }
}

/// Lets each go the plain way, all at once, and waits until the last is answered.
async fn one_by_one(members: Vec<Member>) {
    let (turn, mut over) = mpsc::channel(1);
    for Member {
        subject,
        message,
        verdict,
    } in members
    {
        let alone = Verdict::Alone(Box::new((subject, message)), turn.clone());
        // Whoever has given up needs no turn.
        drop(verdict.send(alone));
    }
    drop(turn);
    // Nothing is ever sent: it ends when the last turn is dropped.
    over.recv().await;
}

#[derive(Deserialize)]
struct Commit<'a> {
    #[serde(borrow, default)]
    batch: Cow<'a, str>,
    #[serde(default)]
    count: usize,
}

/// Whether an acknowledgement is that of the whole batch.
fn is_commit(payload: &[u8], batch: &str, count: usize) -> bool {
    serde_json::from_slice::<Commit<'_>>(payload)
        .is_ok_and(|commit| commit.batch == batch && commit.count == count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An acknowledgement of something else, or of a part, is none of the batch.
    #[test]
    fn only_the_commit_of_all_of_it_counts() {
        let commits = |payload: &str| is_commit(payload.as_bytes(), "a-1", 8);
        assert!(commits(
            r#"{"stream":"EVENTS","seq":8,"batch":"a-1","count":8}"#
        ));
        for payload in [
            r#"{"stream":"EVENTS","seq":8}"#,
            r#"{"stream":"EVENTS","seq":8,"batch":"a-1","count":7}"#,
            r#"{"stream":"EVENTS","seq":8,"batch":"a-2","count":8}"#,
            "",
        ] {
            assert!(!commits(payload), "{payload}");
        }
    }
}
