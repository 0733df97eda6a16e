//! Topics as sinks of Subscriptions.

use std::{path::Path, time::Duration};

use prometheus_client::registry::Registry;
use tidegate_consume::{Failure, Health, Verdict};
use tidegate_event::Event;
use tidegate_kafka::{Config, Metrics, Outcome, Producers, Sink, Trouble};
use tidegate_subscription::{Format, Subscription, Topic};

/// What sources and sinks of a process share.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    pub(super) metrics: Metrics,
    producers: Producers,
    timeout: Duration,
}

/// A topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicSink(Sink);

impl Kafka {
    pub(crate) fn register(config: &Config, registry: &mut Registry) -> Self {
        let metrics = Metrics::register(registry);
        Self {
            producers: Producers::new(config, &metrics),
            timeout: config.timeout,
            metrics,
        }
    }

    /// The sink of a Subscription; `folder` is that of its secrets.
    pub(crate) fn sink(
        &self,
        subscription: &Subscription,
        topic: &Topic,
        folder: &Path,
    ) -> anyhow::Result<TopicSink> {
        let timeout = subscription.delivery.timeout.unwrap_or(self.timeout);
        let sink = Sink::new(&self.producers, topic, folder, timeout);
        Ok(TopicSink(match subscription.delivery.format {
            Format::Structured => sink.structured(),
            // No document has a batch and a topic.
            Format::Binary | Format::Batch { .. } => sink,
        }))
    }
}

impl TopicSink {
    /// One attempt.
    pub(crate) async fn attempt(&self, event: &Event) -> Verdict {
        let told = |failure: tidegate_kafka::Failure| Failure::new(failure.code, failure.detail);
        match self.0.attempt(event).await {
            Outcome::Stored => Verdict::DELIVERED,
            Outcome::Retry { failure, trouble } => Verdict::Retry {
                failure: told(failure),
                after: None,
                health: match trouble {
                    Trouble::Topic => Health::Well,
                    Trouble::Busy => Health::Busy,
                    Trouble::Failing => Health::Failing,
                    Trouble::Away => Health::Away,
                },
            },
            Outcome::Rejected { failure } => Verdict::Rejected {
                failure: told(failure),
            },
        }
    }
}
