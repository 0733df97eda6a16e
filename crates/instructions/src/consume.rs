//! `consume`: events of a log in memory to attempts that succeed, until all are settled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use prometheus_client::registry::Registry;
use tidegate_backbone::{Append, Log, memory::Memory, subject};
use tidegate_consume::{Attempt, Config, Failure, Metrics, Service, Verdict};
use tidegate_event::Event;
use tidegate_subscription::Matched;
use tokio::sync::Notify;

use crate::{
    case::Case,
    publish::{ROOT, block_on},
    sample,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "consume.any-order",
        times: 2_000,
        work: |times| consume(times, ""),
    },
    Case {
        name: "consume.ordered",
        times: 2_000,
        work: |times| consume(times, ", order: { key: subject }"),
    },
];

/// Longer than it takes.
const GRACE: Duration = Duration::from_secs(60);

/// A sink that has everything at once, and tells when that was so many.
#[derive(Clone)]
struct Counted {
    left: Arc<AtomicU32>,
    all: Arc<Notify>,
}

impl Attempt for Counted {
    async fn attempt(&self, _: &Event, _: &Matched) -> Verdict {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.all.notify_one();
        }
        Verdict::DELIVERED
    }

    async fn buried(&self, _: &Event, _: &Failure, _: u64) {}
}

fn consume(times: u32, delivery: &str) {
    let subscription = sample::subscription(&format!(
        "{{ sink: {{ uri: 'http://s/' }}, start: all, filters: [ {{ exact: {{ type: {} }} }} ], \
           delivery: {{ maxInFlight: 16{delivery} }} }}",
        sample::TYPE
    ));
    let attempt = Counted {
        left: Arc::new(times.into()),
        all: Arc::default(),
    };
    block_on(async {
        let log = Memory::default();
        let subject = subject::of(ROOT, sample::SOURCE, sample::TYPE).expect("a subject");
        for event in sample::events(times) {
            let append = Append {
                subject: subject.clone(),
                message_id: None,
                event,
            };
            log.append(&append).await.expect("it is stored");
        }
        let service = Service::new(
            Config::default(),
            ROOT,
            Arc::new(subscription),
            log.clone(),
            attempt.clone(),
            &Metrics::register(&mut Registry::default()),
            7,
        );
        service.run(|| (), attempt.all.notified(), GRACE).await;
        let consumers = log.consumers().await.expect("it answers");
        let is_settled = |one: &tidegate_backbone::Pending| one.undelivered + one.unsettled == 0;
        assert!(consumers.iter().all(is_settled), "{consumers:?}");
    });
}
