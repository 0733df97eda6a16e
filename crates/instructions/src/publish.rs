//! `publish`: events into a log that answers at once.

use std::future::Future;

use prometheus_client::registry::Registry;
use tidegate_backbone::memory::Memory;
use tidegate_event::Event;
use tidegate_publish::{Admission, Config, Metrics, Publisher};

use crate::{case::Case, sample};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "publish.one",
        times: 2_000,
        work: one,
    },
    Case {
        name: "publish.batch",
        times: 20,
        work: batch,
    },
];

/// The subjects of the events.
pub(crate) const ROOT: &str = "tidegate.events";

/// One thread, as each of the gateway's is.
pub(crate) fn block_on<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(work)
}

fn publisher() -> Publisher<Memory> {
    let config = Config::default();
    let metrics = Metrics::register(&mut Registry::default());
    let admission = Admission::new(&config);
    Publisher::new(&config, Memory::default(), ROOT, admission, metrics)
}

fn one(times: u32) {
    let events = sample::events(times);
    block_on(async {
        let publisher = publisher();
        for event in events {
            let stored = publisher.publish("s4", event).await.expect("it is stored");
            assert!(!stored.duplicate, "the events differ");
        }
    });
}

fn batch(times: u32) {
    let mut events = sample::events(times * sample::BATCH).into_iter();
    block_on(async {
        let publisher = publisher();
        for _ in 0..times {
            let batch: Vec<Event> = events.by_ref().take(100).collect();
            for stored in publisher.publish_all("s4", batch).await {
                assert!(!stored.expect("it is stored").duplicate);
            }
        }
    });
}
