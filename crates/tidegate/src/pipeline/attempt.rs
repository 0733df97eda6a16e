//! One attempt at a Subscription's sink: what `consume` asks, answered by `deliver`.

use std::time::Duration;

use tidegate_consume::{Attempt, Verdict};
use tidegate_deliver::{Client, Outcome, Seen, Sink};
use tidegate_event::Event;
use tidegate_subscription::{Matched, Subscription};

/// Attempts at one sink.
#[derive(Clone, Debug)]
pub(super) struct SinkAttempt {
    client: Client,
    sink: Sink,
    timeout: Duration,
}

impl SinkAttempt {
    pub(super) fn new(
        client: Client,
        subscription: &Subscription,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client,
            sink: Sink::new(subscription.sink.as_str())?,
            timeout,
        })
    }
}

impl Attempt for SinkAttempt {
    async fn attempt(&self, event: &Event, matched: &Matched) -> Verdict {
        let seen = Seen {
            r#type: matched.r#type.as_deref(),
            original_type: true,
        };
        match self
            .client
            .attempt(&self.sink, event, seen, self.timeout)
            .await
        {
            Outcome::Delivered { .. } => Verdict::Delivered,
            Outcome::Retry { failure, after } => Verdict::Retry {
                code: failure.code,
                detail: failure.detail,
                after,
            },
            Outcome::Rejected { failure } => Verdict::Rejected {
                code: failure.code,
                detail: failure.detail,
            },
        }
    }
}
