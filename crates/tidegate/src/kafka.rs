//! What this program knows of Kafka; or, built without the feature of that name, that it knows none.

#[cfg(not(feature = "kafka"))]
mod absent;
#[cfg(feature = "kafka")]
mod records;
#[cfg(feature = "kafka")]
mod source;
#[cfg(feature = "kafka")]
mod topic;

#[cfg(feature = "kafka")]
pub(crate) use tidegate_kafka::Config;

/// Why nothing of Kafka runs, where that is so.
#[cfg(feature = "kafka")]
pub(crate) const ABSENT: Option<&str> = None;

#[cfg(not(feature = "kafka"))]
pub(crate) use self::absent::{ABSENT, Config, Kafka, Running, TopicSink};
#[cfg(feature = "kafka")]
pub(crate) use self::{
    source::Running,
    topic::{Kafka, TopicSink},
};
