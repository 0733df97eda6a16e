//! What is seen of the log and of Subscriptions.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{gauge::Gauge, info::Info},
    registry::Registry,
};
use tidegate_backbone::jetstream::Usage;
use tidegate_telemetry::metrics::{Table, process};

/// The gauges.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    ready: Gauge,
    mistakes: Gauge,
    credentials_expiry: Table<[(&'static str, &'static str); 0]>,
    pub(super) sink_credentials_expiry: Table<Shown>,
    pub(super) open: Table<Of>,
    pub(super) paused: Table<Of>,
    pub(super) sink_available: Table<Of>,
    pub(super) sink_away: Table<Away>,
    pub(super) undelivered: Table<Of>,
    pub(super) unsettled: Table<Of>,
    pub(super) oldest_age: Table<Of>,
    pub(super) unread: Table<Shard>,
    pub(super) stalled: Table<Of>,
    pub(super) shared_stalled: Table<Shard>,
    pub(super) stream_bytes: Table<Stream>,
    pub(super) stream_bytes_max: Table<Stream>,
    pub(super) stream_messages: Table<Stream>,
    pub(super) stream_consumers: Table<Stream>,
}

/// A Subscription, as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Of {
    subscription: String,
}

impl Of {
    pub(super) fn new(subscription: &str) -> Self {
        Self {
            subscription: subscription.to_owned(),
        }
    }
}

/// A Subscription, and why its sink gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Away {
    subscription: String,
    reason: &'static str,
}

impl Away {
    pub(super) fn new(subscription: &str, reason: &'static str) -> Self {
        Self {
            subscription: subscription.to_owned(),
            reason,
        }
    }
}

/// A Subscription, and what its sink is shown: `certificate` or `token`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Shown {
    subscription: String,
    credential: &'static str,
}

impl Shown {
    pub(super) fn new(subscription: &str, credential: &'static str) -> Self {
        Self {
            subscription: subscription.to_owned(),
            credential,
        }
    }
}

/// A shared consumer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Shard {
    pub(super) shard: u32,
}

/// A stream, by its section of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Stream {
    stream: &'static str,
}

impl Stream {
    pub(super) fn new(usage: &Usage) -> Self {
        Self {
            stream: usage.section,
        }
    }
}

impl Metrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        process::register(registry);
        registry.register(
            "tidegate_build",
            "What runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let metrics = Self::default();
        metrics.register_subscriptions(registry);
        metrics.register_log(registry);
        metrics
    }

    fn register_subscriptions(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_subscription_mistakes",
            "Mistakes in documents of Subscriptions; what was right before stays in use",
            self.mistakes.clone(),
        );
        registry.register(
            "tidegate_consume_subscription_open",
            "1 while what is stored is kept for the Subscription, 0 while its consumer is not there",
            self.open.clone(),
        );
        registry.register(
            "tidegate_consume_subscription_paused",
            "1 while the Subscription is paused, by its document or by command, 0 otherwise",
            self.paused.clone(),
        );
        registry.register(
            "tidegate_consume_sink_available",
            "1 while the Subscription's sink takes attempts, 0 while it is left alone or probed",
            self.sink_available.clone(),
        );
        registry.register(
            "tidegate_consume_sink_away",
            "1 while the Subscription's sink is left alone or probed, by reason",
            self.sink_away.clone(),
        );
        registry.register(
            "tidegate_consume_sink_credentials_expiry_seconds",
            "When the certificate or the token that the Subscription's sink is shown ends, in Unix time; not shown where none is known",
            self.sink_credentials_expiry.clone(),
        );
        registry.register(
            "tidegate_consume_events_undelivered",
            "Events that the Subscription has not been offered yet; of one that shares a consumer, those that were read from it",
            self.undelivered.clone(),
        );
        registry.register(
            "tidegate_consume_events_unsettled",
            "Events that the Subscription was offered and that are not settled, waiting retries included",
            self.unsettled.clone(),
        );
        registry.register(
            "tidegate_consume_oldest_pending_age_seconds",
            "Age of the oldest event that the Subscription has not settled; 0 when there is none",
            self.oldest_age.clone(),
        );
        registry.register(
            "tidegate_consume_shared_events_unread",
            "Events that nobody has read from the shared consumer yet: at most so many more has each Subscription that shares it",
            self.unread.clone(),
        );
        registry.register(
            "tidegate_consume_stalled",
            "1 while the Subscription gets none of its events, for longer than telemetry.stalled_after, though nothing is in their way",
            self.stalled.clone(),
        );
        registry.register(
            "tidegate_consume_shared_stalled",
            "1 while nothing comes from a shared consumer that has events, for longer than telemetry.stalled_after",
            self.shared_stalled.clone(),
        );
    }

    fn register_log(&self, registry: &mut Registry) {
        registry.register(
            "tidegate_backbone_ready",
            "1 while the log answers and could take an event",
            self.ready.clone(),
        );
        registry.register(
            "tidegate_backbone_stream_bytes",
            "Bytes that a stream holds",
            self.stream_bytes.clone(),
        );
        registry.register(
            "tidegate_backbone_stream_bytes_max",
            "Bytes that a stream may hold",
            self.stream_bytes_max.clone(),
        );
        registry.register(
            "tidegate_backbone_stream_messages",
            "Messages that a stream holds",
            self.stream_messages.clone(),
        );
        registry.register(
            "tidegate_backbone_stream_consumers",
            "Consumers of a stream, whoever made them",
            self.stream_consumers.clone(),
        );
        registry.register(
            "tidegate_backbone_credentials_expiry_seconds",
            "When the credentials for NATS end, in Unix time; not shown where they have no end",
            self.credentials_expiry.clone(),
        );
    }

    pub(super) fn is_ready(&self, is_ready: bool) {
        self.ready.set(i64::from(is_ready));
    }

    pub(super) fn mistakes(&self, count: usize) {
        self.mistakes.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// `None` where they do not.
    pub(super) fn credentials_expire(&self, at: Option<f64>) {
        self.credentials_expiry.set(at.map(|at| ([], at)));
    }

    /// The log does not answer.
    pub(super) fn forget_log(&self) {
        for table in [
            &self.undelivered,
            &self.unsettled,
            &self.oldest_age,
            &self.stalled,
        ] {
            table.set([]);
        }
        self.unread.set([]);
        self.shared_stalled.set([]);
        for table in [
            &self.stream_bytes,
            &self.stream_bytes_max,
            &self.stream_messages,
            &self.stream_consumers,
        ] {
            table.set([]);
        }
    }
}
