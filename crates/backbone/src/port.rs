//! The port: what a stage may ask of the durable log.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    future::Future,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use bytestring::ByteString;
use tidegate_event::Event;

/// A durable log of events.
pub trait Log: Clone + Send + Sync + 'static {
    /// Where one consumer's events come from.
    type Source: Source;

    /// Appends one event. `Ok` means that it is durable. Answers within a bound of its own.
    ///
    /// The future may be dropped; the event may then be stored or not.
    fn append(&self, append: &Append) -> impl Future<Output = Result<Stored, AppendError>> + Send;

    /// Appends several events, in order, and says of each what became of it. All may be under way at
    /// once; by itself this is one [`Self::append`] after the other.
    fn append_all(
        &self,
        appends: &[Append],
    ) -> impl Future<Output = Vec<Result<Stored, AppendError>>> + Send {
        async move {
            let mut outcomes = Vec::with_capacity(appends.len());
            for append in appends {
                outcomes.push(self.append(append).await);
            }
            outcomes
        }
    }

    /// Stores one dead letter. `Ok` means that it is durable.
    fn bury(&self, letter: &DeadLetter)
    -> impl Future<Output = Result<Stored, AppendError>> + Send;

    /// Which of these events are kept as dead letters of their consumer: by the place of the event,
    /// that of the letter.
    fn letters_of(
        &self,
        of: &LettersOf,
    ) -> impl Future<Output = Result<BTreeMap<u64, u64>, ControlError>> + Send;

    /// The place of the last event; 0 where there never was one.
    fn last(&self) -> impl Future<Output = Result<u64, ControlError>> + Send;

    /// How many events of these filters there are behind a place; without any, of all.
    fn stored_behind(
        &self,
        filters: &[String],
        place: u64,
    ) -> impl Future<Output = Result<u64, ControlError>> + Send;

    /// Creates the durable consumer, or brings it to `spec` without moving its position, and
    /// opens it.
    fn open(
        &self,
        spec: ConsumerSpec,
    ) -> impl Future<Output = Result<Self::Source, ControlError>> + Send;

    /// Forgets what the consumer wanted before, once everything of that time is settled, and reads
    /// no more than `spec` says. `true` when there is nothing left to forget.
    fn narrow(
        &self,
        spec: &ConsumerSpec,
    ) -> impl Future<Output = Result<bool, ControlError>> + Send;

    /// Deletes a durable consumer with its position. One that does not exist is no error.
    fn remove(&self, consumer: &str) -> impl Future<Output = Result<(), ControlError>> + Send;

    /// The durable consumers that this log made, with what each still has to deliver.
    fn consumers(&self) -> impl Future<Output = Result<Vec<Pending>, ControlError>> + Send;

    /// One durable consumer, with what it still has to deliver; `None` if there is none.
    fn consumer(
        &self,
        name: &str,
    ) -> impl Future<Output = Result<Option<Pending>, ControlError>> + Send;

    /// The time by the log's clock, as well as it is known here.
    fn now(&self) -> SystemTime;

    /// `Ok` when the log exists, answers, and could take an event now.
    fn ready(&self) -> impl Future<Output = Result<(), ControlError>> + Send;
}

/// The events of one durable consumer.
///
/// Any number of processes may open the same consumer; each event goes to one of them. Of an
/// exclusive one, all events go to one opening until it is closed, lost, or silent for long.
pub trait Source: Send + 'static {
    /// How one delivery is settled.
    type Receipt: Receipt;

    /// Waits until there is at least one event, and returns up to `max`. With 0 nothing more is
    /// asked for; what was asked for before is returned when it comes.
    ///
    /// The log never has more than the largest `max` since the last return under way to this
    /// source, so whoever calls with the room that it has is never handed more than it can hold.
    /// Cancel-safe.
    fn pull(
        &mut self,
        max: usize,
    ) -> impl Future<Output = Result<Vec<Delivery<Self::Receipt>>, SourceError>> + Send;

    /// What was wanted before, oldest first. While there is anything, more comes than is wanted
    /// now: each event is wanted by what was wanted when it was stored.
    fn former(&self) -> Vec<Former>;

    /// How many events are delivered and not settled, wherever, as the log knows it.
    fn unsettled(&mut self) -> impl Future<Output = Result<u64, ControlError>> + Send;

    /// Stops pulling. Events that are under way and were not returned are handed back, so that
    /// they are delivered again at once, here or elsewhere.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// One event as a consumer got it. Unsettled within the consumer's `ack_wait`, it comes again.
#[derive(Debug)]
pub struct Delivery<R> {
    /// The event, or why what is stored is none.
    pub event: Result<Event, Unreadable>,
    /// Where it is stored; see [`crate::subject`].
    pub subject: ByteString,
    /// Its place in the log.
    pub sequence: u64,
    /// How often it was delivered to this consumer, this time included: 1 at first.
    pub attempt: u32,
    /// One more than that of its consumer's delivery before; see [`numbered`]. Where it is not,
    /// something may have been lost on its way in between.
    pub number: u64,
    /// When the log stored it.
    pub stored_at: SystemTime,
    /// How to settle it.
    pub receipt: R,
}

/// Somebody who shares a consumer with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharer {
    /// That consumer.
    pub shares: String,
    /// As what it is known.
    pub consumer: String,
    /// What it reads; none for all.
    pub filters: Vec<String>,
    /// The first event that it was offered and has not settled, and at most how many there are; not
    /// known where another process has them.
    pub unsettled: Option<(u64, u64)>,
}

/// The number of a consumer's delivery: the how many-th it is by the log, on the how many-th
/// connection since the consumer was opened, from 0. A log that was killed may count from an earlier
/// one again, and what it delivered then may be lost: whatever comes over the next connection follows
/// nothing that came over this one.
pub fn numbered(connection: u64, delivery: u64) -> u64 {
    const DELIVERIES: u32 = 44;
    (connection << DELIVERIES) | (delivery & ((1 << DELIVERIES) - 1))
}

/// How a delivery is settled.
pub trait Receipt: fmt::Debug + Send + Sync + 'static {
    /// Settles it, or asks for more time. `Ok` means sent, not confirmed: a lost settlement is a
    /// second delivery, never a lost event.
    fn settle(&self, settle: Settle) -> impl Future<Output = Result<(), SettleError>> + Send;

    /// As [`Self::settle`], and `Ok` means that the log has done it, or knows the delivery no
    /// more. It costs an answer of the log.
    fn settle_surely(&self, settle: Settle)
    -> impl Future<Output = Result<(), SettleError>> + Send;
}

/// What becomes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settle {
    /// Done; never again to this consumer.
    Ack,
    /// Deliver it again after the delay. Waits in the log, not here.
    Retry {
        /// How long it waits; zero for at once.
        delay: Duration,
    },
    /// Never again to this consumer, though it was not delivered.
    Terminate,
    /// Still working: `ack_wait` starts again.
    Progress,
}

/// One event on its way into the log.
#[derive(Clone, Debug)]
pub struct Append {
    /// Where it goes; see [`crate::subject`].
    pub subject: String,
    /// Under which id a repeated append within the duplicate window is the same event; `None`
    /// switches deduplication off.
    pub message_id: Option<MessageId>,
    /// The event.
    pub event: Event,
}

/// The identity of an append, for deduplication.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageId(pub String);

/// The durable acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its place in the log.
    pub sequence: u64,
    /// It was there already, under the same message id.
    pub duplicate: bool,
}

/// A durable consumer, as its subscription wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSpec {
    /// The durable name; no two subscriptions share one.
    pub name: String,
    /// For people: whose consumer it is.
    pub description: String,
    /// Subjects to read, wildcards allowed; none means all events.
    pub filters: Vec<String>,
    /// What is wanted, in the owner's own words; none where subjects say it all. The log keeps it
    /// with the consumer, and remembers what was wanted before for as long as that matters.
    pub wants: Option<String>,
    /// Where a new consumer begins. An existing one keeps its position.
    pub start: Start,
    /// After which time without a settlement an event comes again.
    pub ack_wait: Duration,
    /// Most events that may be unsettled at once, waiting retries included.
    pub unsettled_max: u32,
    /// Whether one opening at a time gets all events.
    pub exclusive: bool,
}

/// What a consumer wanted before, for the events that were stored until then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former {
    /// What was wanted, in the owner's own words; any of them, where there were more changes than
    /// are kept apart.
    pub wants: Vec<String>,
    /// The last place in the log for which it counts.
    pub until: u64,
}

/// Periods that are kept apart: each is forgotten when the events of its time are settled, and only
/// a consumer that does not get on has several.
const FORMER_MAX: usize = 16;

impl Former {
    /// Adds what was wanted until now.
    pub(crate) fn add(all: &mut Vec<Self>, wants: String, until: u64) {
        let is_full = all.len() >= FORMER_MAX;
        match all.last_mut() {
            // Nothing was stored since: it was never wanted of any event.
            Some(last) if last.until >= until => {}
            // Rather too much than too little.
            Some(last) if is_full => {
                last.until = until;
                if !last.wants.contains(&wants) {
                    last.wants.push(wants);
                }
            }
            _ => all.push(Self {
                wants: vec![wants],
                until,
            }),
        }
    }
}

/// Where a new consumer begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the events stored from now on.
    #[default]
    New,
    /// With the oldest event that the log holds.
    All,
    /// With the first event that was stored at this time or later.
    Since(SystemTime),
    /// With the event of this place in the log, or the next one that there is.
    Sequence(u64),
}

/// What a durable consumer still has to deliver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The durable name.
    pub name: String,
    /// For people: whose consumer it is.
    pub description: String,
    /// Events not yet delivered once.
    pub undelivered: u64,
    /// Events delivered and not settled, waiting retries included.
    pub unsettled: u64,
    /// The last place in the log of which it got the event; those after it come yet.
    pub delivered: u64,
    /// The place up to which it has settled everything that it got.
    pub settled: u64,
    /// How many deliveries there were, repeated ones included.
    pub deliveries: u64,
    /// What its owner said that it wants.
    pub wants: Option<String>,
    /// Subjects that it reads; none for all.
    pub filters: Vec<String>,
}

impl Pending {
    /// The place up to which all that it got is settled.
    pub fn settled_to(&self) -> u64 {
        match self.unsettled {
            0 => self.delivered,
            _ => self.settled,
        }
    }
}

/// An event that could not be delivered, byte for byte, and why.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The consumer that gave it up.
    pub consumer: String,
    /// Namespace of its subscription.
    pub namespace: String,
    /// Name of its subscription.
    pub subscription: String,
    /// The event, or what is stored in its place.
    pub event: Result<Event, Unreadable>,
    /// The event's place in the log.
    pub sequence: u64,
    /// A stable code from a closed set.
    pub reason: &'static str,
    /// The last failure, for people.
    pub detail: String,
    /// What the sink answered to the last attempt, if it did.
    pub answer: Option<SinkAnswer>,
    /// How often it was tried.
    pub attempts: u32,
    /// When the log stored it.
    pub stored_at: SystemTime,
}

/// Dead letters that are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LettersOf {
    /// The consumer that gave the events up.
    pub consumer: String,
    /// Namespace of its subscription.
    pub namespace: String,
    /// Name of its subscription.
    pub subscription: String,
    /// The events' places in the log.
    pub events: BTreeSet<u64>,
    /// None of the letters is before this place among them.
    pub from: u64,
}

/// What a sink answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkAnswer {
    /// Its status.
    pub status: u16,
    /// Its body, or where that is long, how it begins.
    pub body: Bytes,
}

/// A stored message that is no CloudEvent, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// What is wrong with it.
    pub reason: String,
    /// The message's headers.
    pub headers: Vec<(ByteString, ByteString)>,
    /// The message's payload.
    pub payload: Bytes,
}

/// Why an event is not known to be durable.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// The log has no room left.
    #[error("the log's storage is full: {detail}")]
    Full {
        /// The log's own words.
        detail: String,
    },
    /// Larger than the log takes.
    #[error("the message has {bytes} bytes, the log takes {bytes_max}")]
    TooLarge {
        /// Its size with attributes.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Too many appends wait for their acknowledgement.
    #[error("{in_flight_max} appends wait for their acknowledgement already")]
    Busy {
        /// The limit.
        in_flight_max: usize,
    },
    /// No connection to the log, or it was lost meanwhile; the event may be stored or not.
    #[error("the log is unreachable: {detail}")]
    Unreachable {
        /// What is known.
        detail: String,
    },
    /// No acknowledgement in time; the event may be stored or not.
    #[error("no acknowledgement from the log within {waited:?}")]
    TimedOut {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The log refused for a reason of its own.
    #[error("the log refused the event: {detail} (code {code})")]
    Refused {
        /// JetStream's error code.
        code: u64,
        /// The log's own words.
        detail: String,
    },
}

impl AppendError {
    /// Whether the same append may succeed a moment later.
    pub fn transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::TimedOut { .. } => true,
            Self::Full { .. }
            | Self::TooLarge { .. }
            | Self::Busy { .. }
            | Self::Refused { .. } => false,
        }
    }
}

/// A consumer could not be made, changed, or asked.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{action}: {detail}")]
pub struct ControlError {
    /// What was tried.
    pub action: String,
    /// Why it failed.
    pub detail: String,
}

/// A source cannot go on.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The consumer is gone; it must be opened anew.
    #[error("the consumer {name} no longer exists")]
    Gone {
        /// The durable name.
        name: String,
        /// Up to where all was settled when it was last seen, if that is known: whoever opens it anew
        /// begins behind it, and misses nothing.
        settled_to: Option<u64>,
    },
    /// The consumer is exclusive, and another opening of it has its events now; it may be opened
    /// anew, to be the next.
    #[error("the consumer {name} belongs to another process now")]
    Lost {
        /// The durable name.
        name: String,
    },
    /// The connection is lost; it may come back, so pull again.
    #[error("the log is unreachable: {detail}")]
    Unreachable {
        /// What is known.
        detail: String,
    },
}

/// A settlement could not be sent; the event will come again.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the settlement could not be sent: {detail}")]
pub struct SettleError {
    /// What is known.
    pub detail: String,
}
