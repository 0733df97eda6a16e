//! One attempt at a Subscription's sink: what `consume` asks, answered by `deliver`.

use std::time::Duration;

use tidegate_consume::{Attempt, Verdict};
use tidegate_deliver::{Client, Outcome, Seen, Sink};
use tidegate_event::Event;
use tidegate_subscription::{Format, Matched, Subscription};

/// Attempts at one sink.
#[derive(Clone, Debug)]
pub(super) struct SinkAttempt {
    client: Client,
    sink: Sink,
    original_type: bool,
    timeout: Duration,
}

impl SinkAttempt {
    pub(super) fn new(
        client: Client,
        subscription: &Subscription,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let delivery = &subscription.delivery;
        let headers = delivery.headers.iter();
        let headers = headers.map(|(name, value)| (name.as_str(), value.as_str()));
        let sink = Sink::new(subscription.sink.as_str())?.with_headers(headers)?;
        Ok(Self {
            client,
            sink: match delivery.format {
                Format::Binary => sink,
                Format::Structured => sink.structured(),
            },
            original_type: delivery.original_type,
            timeout: delivery.timeout.unwrap_or(timeout),
        })
    }
}

impl Attempt for SinkAttempt {
    async fn attempt(&self, event: &Event, matched: &Matched) -> Verdict {
        let seen = Seen {
            r#type: matched.r#type.as_deref(),
            original_type: self.original_type,
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
