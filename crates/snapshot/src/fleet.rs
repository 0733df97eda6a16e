//! What the processes that run documents say, to whoever listens: how far they are, and, when they
//! are asked, how each document stands.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Key;

/// Where they talk.
pub const CHANNEL: &str = "fleet";

/// The topic on which each says that it is there.
pub const BEAT: &str = "beat";

/// The topic on which they are asked to say so now.
pub const CALL: &str = "call";

/// The topic on which one is asked how documents stand, before its name.
pub const ASK: &str = "ask.";

/// How often each says that it is there, when nothing changes.
pub const BEAT_EVERY: Duration = Duration::from_secs(2);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes events.
    Gateway,
    /// Delivers them.
    Dispatcher,
}

/// That a process is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Beat {
    /// Its name: no other process was ever called so.
    pub process: String,
    /// What it does.
    pub roles: Vec<Role>,
    /// Up to which writing it has taken over what is registered.
    pub revision: u64,
    /// Consumers that it has made anew since it began, as somebody else had deleted them.
    #[serde(default)]
    pub consumers_lost: u64,
    /// It will not be there any more.
    #[serde(default)]
    pub leaves: bool,
}

/// A question for one process: how documents stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Those behind this one.
    pub after: Option<Key>,
}

/// Its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Up to which writing it had taken over what is registered.
    pub revision: u64,
    /// By key.
    pub standings: Vec<Standing>,
    /// Whether there are more behind the last one.
    pub is_last: bool,
}

/// How a document stands in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Which one.
    pub key: Key,
    /// Whether it runs.
    pub state: State,
    /// What pauses it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// Why its sink takes no attempts: one word for programs, then words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sink: Option<(String, String)>,
    /// Its last dead letter could not be stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refuses_dead_letters: bool,
    /// When an event was last delivered, to a few seconds: milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<u64>,
    /// What last went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Events that it has not been offered, or that are not settled; where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<u64>,
    /// Dead letters that wait; where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letters: Option<u64>,
}

/// What last went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When, to a few seconds: milliseconds since 1970.
    pub at: u64,
    /// What.
    pub message: String,
}

/// Whether it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum State {
    /// It gets nothing yet.
    Opening,
    /// It does what it should.
    Open,
    /// It cannot, for this reason.
    Unusable(String),
}
