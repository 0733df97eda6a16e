//! How events are delivered, as one Subscription wants it.

use std::{num::NonZeroU32, time::Duration};

use tidegate_document::Secret;
use tidegate_event::Event;
use url::Url;

use crate::{Topic, filter};

/// Kyma's default window, and ours.
pub(crate) const MAX_IN_FLIGHT_DEFAULT: NonZeroU32 = NonZeroU32::new(10).expect("10 is not 0");

/// A topic takes records in batches: a small window would wait for each of them.
pub(crate) const MAX_IN_FLIGHT_OF_TOPIC: NonZeroU32 =
    NonZeroU32::new(1_000).expect("1000 is not 0");

/// Above this, attempts wait for sockets rather than for the sink.
pub(crate) const MAX_IN_FLIGHT_MAX: u32 = 10_000;

/// How events are delivered. What is not set is as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Most attempts at the sink at once.
    pub max_in_flight: NonZeroU32,
    /// Most attempts a second.
    pub rate: Option<NonZeroU32>,
    /// How long an attempt may take.
    pub timeout: Option<Duration>,
    /// What follows a failed attempt.
    pub retry: Retry,
    /// How an event is put into a request.
    pub format: Format,
    /// Header fields of every request, beside the event's.
    pub headers: Vec<(String, String)>,
    /// How Tidegate proves to the sink who it is.
    pub auth: Option<Auth>,
    /// What requests are signed with (Standard Webhooks), each with all of them: two, while one
    /// takes the place of the other.
    pub signing: Vec<Secret>,
    /// Whom the sink's TLS certificate has to be from, and which one it is shown.
    pub tls: Tls,
    /// Which permission the sink is asked for; none, where it is not said.
    pub webhook: Option<WebHook>,
    /// What becomes of events that the sink answers with; they are not read, where it is not said.
    pub reply: Option<Reply>,
    /// What has to stay in order; nothing, where it is not said.
    pub order: Option<Order>,
    /// What becomes of an event that could not be delivered, beside being kept.
    pub dead_letter: DeadLetter,
    /// The Kafka topic that is the sink, where it is one.
    pub topic: Option<Topic>,
    /// Whether `originaltype` repeats the event's type, as Kyma's sinks know it.
    pub original_type: bool,
}

/// How Tidegate proves to a sink who it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Auth {
    /// User name and password (RFC 7617).
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A token that somebody else renews (RFC 6750).
    Bearer {
        /// The token.
        token: Secret,
    },
    /// A token by OAuth 2.0 client credentials (RFC 6749 §4.4).
    OAuth2(OAuth2),
}

/// Where a token comes from, and as whom.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OAuth2 {
    /// The token endpoint.
    pub token_url: Url,
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// The scopes that are asked for.
    pub scopes: Vec<String>,
    /// For whom the token is, where the endpoint wants to know.
    pub audience: Option<String>,
}

/// What differs in TLS to one sink. Everything is PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// The authorities of its certificate, instead of those of the configuration and the machine.
    pub ca: Option<Secret>,
    /// The certificate that it is shown, followed by those that lead to its authority, and its key.
    pub client: Option<(Secret, Secret)>,
}

impl Tls {
    /// Whether nothing differs.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// Events of one key are delivered one after the other, as they were stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The attribute whose text is the key.
    pub key: String,
    /// What follows a dead letter of a key.
    pub on_dead_letter: OnDeadLetter,
}

/// What follows a dead letter of a key that is in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDeadLetter {
    /// The next event of the key.
    #[default]
    Continue,
    /// Nothing, as long as the letter is kept.
    Stop,
}

impl Order {
    /// An event's key; none where it has no such attribute, and then it waits for no other.
    pub fn key_of(&self, event: &Event) -> Option<String> {
        filter::text_of(event, &self.key)
    }
}

/// The permission that the sink is asked for before anything is sent to it (CloudEvents HTTP 1.1
/// Web Hooks §4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct WebHook {
    /// As whom Tidegate asks: a host's name.
    pub origin: String,
    /// How many requests a minute are asked for.
    pub rate: Option<NonZeroU32>,
}

/// Events that a sink answers with are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The sources that they may have: each a text, or what one begins with, followed by `*`.
    pub sources: Vec<String>,
}

impl Reply {
    /// Whether a reply may have this source.
    pub fn may_be_from(&self, source: &str) -> bool {
        self.sources
            .iter()
            .any(|allowed| match allowed.strip_suffix('*') {
                Some(prefix) => source.starts_with(prefix),
                None => source == allowed,
            })
    }
}

/// What becomes of dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where they are sent, once. One that is taken there is not kept any more.
    pub sink: Option<Url>,
    /// After which time one is deleted.
    pub age_max: Option<Duration>,
    /// Above how many bytes in all the oldest are deleted.
    pub bytes_max: Option<u64>,
}

/// What follows a failed attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all, the first among them.
    pub attempts_max: Option<NonZeroU32>,
    /// How long after it was stored an event is still tried.
    pub age_max: Option<Duration>,
    /// How the delay grows.
    pub backoff: Option<Backoff>,
    /// The delay after the first attempt.
    pub backoff_delay: Option<Duration>,
    /// The longest delay.
    pub backoff_max: Option<Duration>,
    /// Whether delays are spread, so that events that failed together do not come again together.
    pub jitter: Option<bool>,
}

/// How the delay grows from attempt to attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// It stays.
    Constant,
    /// By the first delay each time.
    Linear,
    /// Twofold each time.
    Exponential,
}

/// How an event is put into a request (CloudEvents HTTP binding, §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// Attributes are header fields, the body is the data.
    #[default]
    Binary,
    /// The body is the event as JSON.
    Structured,
    /// The body is a JSON array of events.
    Batch {
        /// Most events in one.
        size: NonZeroU32,
        /// How long an event waits for others.
        wait: Duration,
    },
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            max_in_flight: MAX_IN_FLIGHT_DEFAULT,
            rate: None,
            timeout: None,
            retry: Retry::default(),
            format: Format::default(),
            headers: Vec::new(),
            auth: None,
            signing: Vec::new(),
            tls: Tls::default(),
            webhook: None,
            reply: None,
            order: None,
            dead_letter: DeadLetter::default(),
            topic: None,
            original_type: false,
        }
    }
}
