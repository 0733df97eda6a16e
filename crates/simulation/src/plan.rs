//! What a seed makes: Subscriptions, sinks, processes, faults.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use bytesize::ByteSize;
use fastrand::Rng;
use tidegate_consume::{Config, Retry, Shared};
use tidegate_subscription::{
    self as subscription, Delivery, Matching, OnDeadLetter, Order, Subscription,
};

/// The only type of event; which Subscription wants an event is not in question here.
pub(crate) const TYPE: &str = "t.v1";
pub(crate) const SOURCE: &str = "/s";

/// Not more than events are taken for before any was seen: how many come is the bound's, how large
/// they are is not.
pub(crate) const BYTES_MAX: usize = 4_096;

/// How long an attempt may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) config: Config,
    pub(crate) subscriptions: Vec<Arc<Subscription>>,
    /// By Subscription, its sink.
    pub(crate) sinks: Vec<usize>,
    pub(crate) processes: usize,
    /// So many things happen, one after the other.
    pub(crate) steps: usize,
    pub(crate) keys: u64,
    /// How much data an event has.
    pub(crate) bytes: usize,
    pub(crate) faults: Faults,
    /// How many consumers Subscriptions share, for now; none if they do not.
    pub(crate) shards: u32,
    /// They did at some time.
    pub(crate) is_shared: bool,
}

/// How likely a fault is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    /// A settlement is lost on its way.
    pub(crate) lost: f64,
    /// The log is away when it is asked.
    pub(crate) away: f64,
    /// A sink fails on an event that works later.
    pub(crate) flaky: f64,
}

impl Plan {
    /// Whether a key of this Subscription stops at a dead letter.
    pub(crate) fn stops(&self, subscription: usize) -> bool {
        let order = self.subscriptions.get(subscription);
        let order = order.and_then(|one| one.delivery.order.as_ref());
        order.is_some_and(|order| order.on_dead_letter == OnDeadLetter::Stop)
    }

    pub(crate) fn new(rng: &mut Rng) -> Self {
        let config = Config {
            ack_wait: Duration::from_secs(rng.u64(5..40)),
            unsettled_max: rng.u32(200..2_000),
            held_max: rng.usize(1..64),
            held_bytes_max: ByteSize::b(rng.u64(1..200_000)),
            held_bytes_total_max: ByteSize::b(rng.u64(1..300_000)),
            retry: Retry {
                attempts_max: rng.u32(1..6),
                backoff_delay: Duration::from_millis(rng.u64(10..3_000)),
                backoff_max: Duration::from_secs(rng.u64(3..120)),
            },
            shared: Shared {
                enabled: rng.bool(),
                shards: rng.u32(1..4),
                events_max: rng.u32(16..200),
                bytes_max: ByteSize::b(rng.u64(1..300_000)),
            },
            ..Config::default()
        };
        let sinks = rng.usize(1..3);
        let of: Vec<usize> = (0..rng.usize(1..4)).map(|_| rng.usize(0..sinks)).collect();
        let subscriptions = of.iter().enumerate();
        let is_shared = config.shared.enabled;
        Self {
            subscriptions: subscriptions
                .map(|(number, sink)| Arc::new(subscription(number, *sink, rng)))
                .collect(),
            sinks: of,
            processes: rng.usize(1..3),
            steps: rng.usize(3..25),
            keys: rng.u64(1..8),
            bytes: rng.usize(0..BYTES_MAX),
            faults: Faults {
                lost: rare(rng),
                away: rare(rng),
                flaky: rare(rng),
            },
            shards: if is_shared { config.shared.shards } else { 0 },
            is_shared,
            config,
        }
    }
}

/// Often not at all.
fn rare(rng: &mut Rng) -> f64 {
    match rng.bool() {
        true => rng.f64() * 0.2,
        false => 0.0,
    }
}

fn subscription(number: usize, sink: usize, rng: &mut Rng) -> Subscription {
    let order = rng.bool().then(|| Order {
        key: "subject".to_owned(),
        on_dead_letter: match rng.bool() {
            true => OnDeadLetter::Stop,
            false => OnDeadLetter::Continue,
        },
    });
    Subscription {
        namespace: "default".to_owned(),
        name: format!("s{number}"),
        sink: sink_url(sink),
        matching: Matching::Standard {
            source: SOURCE.to_owned(),
            types: vec![TYPE.to_owned()],
        },
        delivery: Delivery {
            max_in_flight: NonZeroU32::MIN.saturating_add(rng.u32(0..20)),
            order,
            ..Delivery::default()
        },
        start: match rng.bool() {
            true => subscription::Start::All,
            false => subscription::Start::New,
        },
        pause: false,
    }
}

#[expect(clippy::expect_used, reason = "a literal with a number in it")]
fn sink_url(sink: usize) -> url::Url {
    format!("http://sink-{sink}/").parse().expect("an address")
}
