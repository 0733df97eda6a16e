//! The log in NATS JetStream.
//!
//! Create one [`Jetstream`] for each runtime thread: it is three connections, and their tasks run
//! where it was made. Running a nats-server, and what subjects mean, is not known here.

mod acks;
mod answer;
mod appends;
mod behind;
mod channel;
mod consumers;
mod deliveries;
mod expire;
mod group;
mod history;
mod letters;
mod link;
mod look;
mod message;
mod pin;
mod places;
mod presence;
mod reclaim;
mod register;
mod reply;
mod source;
mod store;
mod streams;
mod turns;
mod usage;
mod wire;

use std::{collections::BTreeMap, fmt, io, path::PathBuf, sync::Arc, time::SystemTime};

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use self::{
    appends::Appends,
    deliveries::Deliveries,
    group::Group,
    link::{ApiError, Link, NOT_CONNECTED},
    message::{LETTER_BYTES, Outgoing},
    places::Places,
    reclaim::Passed,
    turns::Turns,
};
pub use self::{
    channel::{Channel, Listener, Said},
    expire::{Expired, Missed},
    history::StoredEvent,
    letters::{
        Letter,
        kept::{Kept, LetterSize},
    },
    presence::JetstreamPresence,
    reclaim::Reclaimed,
    register::JetstreamRegister,
    source::{JetstreamReceipt, JetstreamSource},
    streams::{Drift, EnsureError},
    usage::Usage,
};
use crate::{
    Append, AppendError, Config, ConsumerSpec, ControlError, DeadLetter, Durability, LettersOf,
    Log, Pending, Sharer, Stored, subject,
};

/// A stream with less room than this cannot take an event now: one of about a KiB.
const READY_BYTES_MIN: u64 = 2 * 1024;

/// Oldest nats-server that has what is used here.
const SERVER_MIN: (u64, u64) = (2, 10);

/// The log in JetStream; clones share the connection.
#[derive(Clone)]
pub struct Jetstream {
    shared: Arc<Shared>,
}

struct Shared {
    link: Arc<Link>,
    appends: Appends,
    /// Made with the first consumer: who only publishes has none.
    deliveries: OnceCell<Arc<Deliveries>>,
    /// Where the servers are, and what we are called there.
    address: (String, String),
    /// Where each write is synced, appends are committed together.
    group: Option<Group>,
    /// Of all connections of this process.
    turns: Turns,
    /// Of all connections of this process.
    places: Places,
    /// How far room has been made behind those who lag.
    passed: Passed,
    config: Config,
    dead_letters_root: String,
}

/// No connection to the log.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Not a NATS URL. Its text is not repeated, since it may hold a password.
    #[error("the url is none of nats")]
    Url {
        /// Why not.
        source: io::Error,
    },
    /// The credentials cannot be read.
    #[error("the credentials file {} cannot be used", file.display())]
    Credentials {
        /// Where they are.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The authorities that vouch for servers cannot be read.
    #[error("the file of authorities {} cannot be used", file.display())]
    Authorities {
        /// Where they are.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nobody answers, or refuses.
    #[error("nats is unreachable at {servers}: {detail}")]
    Unreachable {
        /// Their hosts and ports.
        servers: String,
        /// What the client says.
        detail: String,
    },
    /// The server has not what is used here.
    #[error("the nats-server has version {version}, at least {}.{} is needed", SERVER_MIN.0, SERVER_MIN.1)]
    TooOld {
        /// Its version.
        version: String,
    },
    /// The server would sync for every event, or not at all.
    #[error(
        "the nats-server has version {version}, backbone.durability: fsync needs {}.{} or newer: \
         update it, or set backbone.durability: default and know that acknowledged events do not \
         survive the loss of power",
        group::SERVER_MIN.0, group::SERVER_MIN.1
    )]
    TooOldForFsync {
        /// Its version.
        version: String,
    },
    /// The connection was lost at once.
    #[error("nats does not take the subscription for acknowledgements")]
    Subscribe {
        /// What the client says.
        source: async_nats::SubscribeError,
    },
}

#[derive(Deserialize)]
struct StreamInfo {
    state: StreamState,
    config: StreamConfig,
}

#[derive(Deserialize)]
struct StreamState {
    bytes: u64,
}

#[derive(Deserialize)]
struct StreamConfig {
    max_bytes: i64,
}

impl Jetstream {
    /// Connects to `url` (several separated by commas) under a name that shows on the server.
    pub async fn connect(config: &Config, url: &str, name: &str) -> Result<Self, ConnectError> {
        Self::start(config, url, name, (Turns::default(), Places::default())).await
    }

    /// The same log, over connections of their own that show under this name. Their tasks run where
    /// this is called.
    pub async fn beside(&self, name: &str) -> Result<Self, ConnectError> {
        let Shared {
            config,
            address: (url, _),
            turns,
            places,
            ..
        } = &*self.shared;
        Self::start(config, url, name, (turns.clone(), places.clone())).await
    }

    async fn start(
        config: &Config,
        url: &str,
        name: &str,
        (turns, places): (Turns, Places),
    ) -> Result<Self, ConnectError> {
        let link = Arc::new(Link::connect(config, url, name).await?);
        let version = link.client().server_info().version;
        if is_before(&version, SERVER_MIN) {
            return Err(ConnectError::TooOld { version });
        }
        let subscribe = |source| ConnectError::Subscribe { source };
        let group = match config.durability {
            Durability::Default | Durability::Replicated => None,
            Durability::Fsync if is_before(&version, group::SERVER_MIN) => {
                return Err(ConnectError::TooOldForFsync { version });
            }
            Durability::Fsync => {
                let group = Group::start(Arc::clone(&link), config).await;
                Some(group.map_err(subscribe)?)
            }
        };
        let inbox = link.client().new_inbox();
        let shared = Shared {
            appends: Appends::start(config, url, name, inbox).await?,
            deliveries: OnceCell::new(),
            address: (url.to_owned(), name.to_owned()),
            link,
            group,
            turns,
            places,
            passed: Passed::default(),
            config: config.clone(),
            dead_letters_root: config.dead_letters_root(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The nats-server's version.
    pub fn server_version(&self) -> String {
        self.shared.link.client().server_info().version
    }

    /// Whether the nats-server can give a consumer's events to one process at a time.
    pub fn keeps_order(&self) -> bool {
        !is_before(&self.server_version(), pin::SERVER_MIN)
    }

    /// Makes the streams, or brings them to the configuration where that is possible. What
    /// differed is returned, for the log.
    pub async fn ensure(&self) -> Result<Vec<Drift>, EnsureError> {
        streams::ensure(&self.shared.link, &self.shared.config).await
    }

    /// Purges events that every consumer has settled, if the stream is fuller than configured.
    pub async fn reclaim(&self) -> Result<Reclaimed, ControlError> {
        let Shared {
            link,
            config,
            passed,
            ..
        } = &*self.shared;
        reclaim::reclaim(link, config, passed).await
    }

    /// Deletes events that are older than configured, and says who misses them: not what is shared,
    /// but whoever shares it.
    pub async fn expire(
        &self,
        now: SystemTime,
        sharers: &[Sharer],
    ) -> Result<Expired, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        expire::expire(link, config, now, sharers).await
    }

    /// Lets another server of a cluster serve a consumer, whose position stays. An error where
    /// there is no other one.
    pub async fn step_down(&self, consumer: &str) -> Result<(), ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let stream = &config.events.stream;
        let path = format!("CONSUMER.LEADER.STEPDOWN.{stream}.{consumer}");
        let answer: Result<Value, ApiError> = link.call(&path, &Value::Null).await;
        let during = || format!("a new leader of consumer {consumer}");
        answer.map(drop).map_err(|error| error.during(during()))
    }

    async fn deliveries(&self) -> Result<Arc<Deliveries>, ConnectError> {
        let Shared {
            link,
            config,
            deliveries,
            address: (url, name),
            ..
        } = &*self.shared;
        let start = || async {
            let deliveries = Deliveries::start(Arc::clone(link), config, url, name).await?;
            Ok(Arc::new(deliveries))
        };
        deliveries.get_or_try_init(start).await.map(Arc::clone)
    }
}

fn is_before(version: &str, min: (u64, u64)) -> bool {
    let mut numbers = version.split(['.', '-']).map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < min,
        // Nothing is known of it; what is missing will show.
        _ => false,
    }
}

impl fmt::Debug for Jetstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jetstream")
            .field("link", &self.shared.link)
            .finish_non_exhaustive()
    }
}

// === impl Jetstream, for operators ===

impl Jetstream {
    /// The last place in the log that is taken.
    pub async fn last_sequence(&self) -> Result<u64, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        consumers::last_sequence(link, &config.events.stream, "asking where the log ends").await
    }
}

// === impl Log ===

impl Log for Jetstream {
    type Source = JetstreamSource;

    async fn append(&self, append: &Append) -> Result<Stored, AppendError> {
        let Some(group) = &self.shared.group else {
            return self.append_alone(append).await;
        };
        let alone = |subject, message| self.store(subject, message, LETTER_BYTES);
        group.append(append, alone).await
    }

    async fn append_all(&self, appends: &[Append]) -> Vec<Result<Stored, AppendError>> {
        if self.shared.group.is_some() || appends.len() < 2 {
            return join_all(appends.iter().map(|append| self.append(append))).await;
        }
        match self.append_together(appends).await {
            Ok(outcomes) => outcomes,
            Err(new) => self.append_each(appends, new).await,
        }
    }

    async fn bury(&self, letter: &DeadLetter) -> Result<Stored, AppendError> {
        let root = &self.shared.dead_letters_root;
        let subject =
            subject::of(root, &letter.namespace, &letter.subscription).map_err(|error| {
                AppendError::Refused {
                    code: 0,
                    detail: error.to_string(),
                }
            })?;
        self.store(subject, Outgoing::letter(letter), 0).await
    }

    async fn letters_of(&self, of: &LettersOf) -> Result<BTreeMap<u64, u64>, ControlError> {
        self.letters_among(of).await
    }

    async fn last(&self) -> Result<u64, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        consumers::last_sequence(link, &config.events.stream, "asking for the last event").await
    }

    async fn stored_behind(&self, filters: &[String], place: u64) -> Result<u64, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
        expire::stored_from(link, &config.events.stream, &filters, place + 1).await
    }

    async fn open(&self, spec: ConsumerSpec) -> Result<JetstreamSource, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let stream = &config.events.stream;
        if spec.exclusive && !self.keeps_order() {
            let (major, minor) = pin::SERVER_MIN;
            let version = self.server_version();
            return Err(ControlError {
                action: format!("opening consumer {}", spec.name),
                detail: format!(
                    "order needs nats-server {major}.{minor} or newer; this one is {version}"
                ),
            });
        }
        let (former, seen) = consumers::bring(link, stream, &spec).await?;
        let places = self.shared.places.clone();
        if let Some(seen) = seen {
            places.see(&spec.name, seen);
        }
        let deliveries = self.deliveries().await.map_err(|error| ControlError {
            action: format!("opening consumer {}", spec.name),
            detail: error.to_string(),
        })?;
        let turns = self.shared.turns.clone();
        Ok(JetstreamSource::open(
            deliveries,
            stream,
            &spec,
            former,
            (turns, places),
        ))
    }

    async fn narrow(&self, spec: &ConsumerSpec) -> Result<bool, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        consumers::narrow(link, &config.events.stream, spec).await
    }

    async fn remove(&self, consumer: &str) -> Result<(), ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        self.shared.places.forget(consumer);
        consumers::remove(link, &config.events.stream, consumer).await
    }

    async fn consumers(&self) -> Result<Vec<Pending>, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let consumers = consumers::list(link, &config.events.stream).await?;
        let managed = consumers.into_iter().filter(consumers::Info::is_managed);
        let managed: Vec<Pending> = managed.map(Pending::from).collect();
        let seen = managed.iter().map(|one| (&*one.name, one.settled_to()));
        self.shared.places.see_all(seen);
        Ok(managed)
    }

    async fn consumer(&self, name: &str) -> Result<Option<Pending>, ControlError> {
        let Shared { link, config, .. } = &*self.shared;
        let found = consumers::find(link, &config.events.stream, name).await;
        let found = found.map_err(|error| error.during(format!("asking for consumer {name}")))?;
        Ok(found.map(Pending::from))
    }

    /// That of this machine: servers of one landscape agree with it to well below a second.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    async fn ready(&self) -> Result<(), ControlError> {
        let action = "asking the log";
        let Shared {
            link,
            appends,
            deliveries,
            config,
            ..
        } = &*self.shared;
        let delivers = deliveries.get().is_none_or(|one| one.is_open());
        if !appends.is_open() || !delivers {
            return Err(ControlError {
                action: action.to_owned(),
                detail: NOT_CONNECTED.to_owned(),
            });
        }
        let stream = &config.events.stream;
        let info: StreamInfo = link
            .call(&format!("STREAM.INFO.{stream}"), &Value::Null)
            .await
            .map_err(|error| error.during(action))?;
        let (bytes, bytes_max) = (info.state.bytes, info.config.max_bytes);
        match u64::try_from(bytes_max) {
            Ok(bytes_max) if bytes_max.saturating_sub(bytes) < READY_BYTES_MIN => {
                Err(ControlError {
                    action: action.to_owned(),
                    detail: format!("the stream {stream} holds {bytes} of {bytes_max} bytes"),
                })
            }
            // Without a limit it is never full by itself.
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
