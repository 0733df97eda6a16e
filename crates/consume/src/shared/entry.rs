//! What is registered of a shared consumer: whose it is, and who gets its events from where.

use serde::{Deserialize, Serialize};
use tidegate_backbone::{ConsumerSpec, ControlError, Shard, Start};
use tidegate_subscription::Matching;

use crate::Config;

/// Under which name it is registered who reads the shared consumer. No consumer of a Subscription
/// has this name.
pub(super) const OWNER: &str = "_owner";

/// How the names of shared consumers begin.
const SHARED: &str = "shared";

/// Longest entry: one that is longer is not made, and its Subscription keeps a consumer of its own.
const ENTRY_BYTES_MAX: usize = 7 << 10;

/// Who reads the shared consumer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Owner {
    /// The process; `None` when it has ended in order, and nothing of it is under way.
    pub(super) process: Option<String>,
    /// Which shared consumer it is: each owner that follows one that was lost makes the next.
    pub(super) number: u64,
}

/// A member: all that is needed to keep its events for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) at: At,
    filters: Vec<String>,
    wants: String,
    description: String,
}

/// Where its events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum At {
    /// From the shared consumer, behind this place. What consumer it has of its own has nothing for
    /// it.
    Shared(u64),
    /// From a consumer of its own that begins at this place; where there is none, it is still to be
    /// made.
    Own(u64),
}

impl Owner {
    /// The name of its shared consumer.
    pub(super) fn consumer(&self, shard: Shard) -> String {
        format!("{}_{}", shard.name(SHARED), self.number)
    }

    pub(super) fn read(value: Option<&String>) -> Self {
        value
            .and_then(|value| serde_json::from_str(value).ok())
            .unwrap_or_default()
    }
}

impl Entry {
    /// `None` where what it wants is not known.
    pub(super) fn new(spec: &ConsumerSpec, at: At) -> Option<Self> {
        Some(Self {
            at,
            filters: spec.filters.clone(),
            wants: spec.wants.clone()?,
            description: spec.description.clone(),
        })
    }

    pub(super) fn read(name: &str, value: &str) -> Result<Self, ControlError> {
        serde_json::from_str(value).map_err(|error| ControlError {
            action: format!("reading how {name} shares a consumer"),
            detail: format!("a newer version of tidegate may have registered it: {error}"),
        })
    }

    /// Whether it wants what this consumer does.
    pub(super) fn is_of(&self, spec: &ConsumerSpec) -> bool {
        self.filters == spec.filters && Some(&self.wants) == spec.wants.as_ref()
    }

    /// As it is registered, unless it is too long for that.
    pub(super) fn text(&self) -> Option<String> {
        let text = serde_json::to_string(self).ok()?;
        (text.len() <= ENTRY_BYTES_MAX).then_some(text)
    }

    /// The consumer of its own that it may need.
    pub(super) fn spec(&self, name: &str, config: &Config) -> ConsumerSpec {
        ConsumerSpec {
            name: name.to_owned(),
            description: self.description.clone(),
            filters: self.filters.clone(),
            wants: Some(self.wants.clone()),
            start: Start::New,
            ack_wait: config.ack_wait,
            unsettled_max: config.unsettled_max,
            exclusive: false,
        }
    }
}

/// Whether it is a name of a shared consumer, and if so of which shard.
pub(super) fn shard_of(consumer: &str) -> Option<Shard> {
    let (shard, number) = consumer.rsplit_once('_')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    Shard::of_name(SHARED, shard).filter(|_| is_number)
}

/// What a consumer's owner wants, if it can be known of any event without asking the owner.
pub(super) fn matching(spec: &ConsumerSpec) -> Option<Matching> {
    serde_json::from_str(spec.wants.as_ref()?).ok()
}

/// No event at all.
pub(super) fn nothing() -> Matching {
    Matching::Exact { types: Vec::new() }
}

/// Whether it may be a member: its events come in no order, and its consumer is as good as any
/// part of the shared one.
pub(super) fn may_share(spec: &ConsumerSpec) -> bool {
    let is_short = Entry::new(spec, At::Shared(u64::MAX)).and_then(|entry| entry.text());
    !spec.exclusive && is_short.is_some() && matching(spec).is_some()
}
