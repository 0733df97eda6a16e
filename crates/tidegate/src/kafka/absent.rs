//! Without Kafka: whoever asks for it is told so.

use std::path::Path;

use anyhow::bail;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};
use tidegate_application::KafkaSource;
use tidegate_consume::Verdict;
use tidegate_event::Event;
use tidegate_subscription::{Subscription, Topic};

use crate::{pipeline::worker, sources::Stand};

const WHY: &str = "this tidegate is built without Kafka: build it with the feature kafka, which is on \
                   by default";

/// Why nothing of it runs.
pub(crate) const ABSENT: Option<&str> = Some(WHY);

/// Nothing can be set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {}

impl Config {
    pub(crate) fn validate(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Nothing.
#[derive(Clone, Debug)]
pub(crate) struct Kafka;

/// A sink that there is not.
#[derive(Clone, Debug)]
pub(crate) enum TopicSink {}

/// A source that does not run.
pub(crate) struct Running;

impl Kafka {
    pub(crate) fn register(_: &Config, _: &mut Registry) -> Self {
        Self
    }

    pub(crate) fn sink(&self, _: &Subscription, _: &Topic, _: &Path) -> anyhow::Result<TopicSink> {
        bail!(WHY)
    }
}

impl TopicSink {
    pub(crate) async fn attempt(&self, _: &Event) -> Verdict {
        match *self {}
    }
}

impl Running {
    pub(crate) async fn start(source: &KafkaSource, _: &worker::Shared) -> anyhow::Result<Self> {
        tracing::error!(source = source.name, "{WHY}");
        Ok(Self)
    }

    pub(crate) fn stand(&self) -> Stand {
        Stand {
            trouble: Some(WHY.to_owned()),
            ..Stand::default()
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        false
    }

    pub(crate) async fn end(self) {}
}
