//! One Subscription's trouble is nobody else's.

use std::time::{Duration, Instant};

use tidegate_testkit::Sink;

use crate::harness::{Progress, Tidegate, publish_all, subscription};

const EVENTS: usize = 1_000;
const CONFIGURATION: &str =
    "consume: { retry: { attempts_max: 1000, backoff_delay: 50ms, backoff_max: 200ms } }\n";

/// How long it takes until nine Subscriptions have everything, while the tenth's sink answers
/// with `tenth`.
async fn nine_take(tenth: u16) -> Duration {
    let mut functions = Vec::new();
    let mut documents = String::new();
    for index in 0..10 {
        let status = if index == 9 { tenth } else { 200 };
        let function = Sink::start(move |_| status).await;
        documents += &subscription(&format!("s{index}"), "/fan", "fan.v1", &function.url());
        functions.push(function);
    }
    let tidegate = Tidegate::up(&documents, CONFIGURATION).await;
    let began = Instant::now();
    publish_all(
        tidegate.receive,
        "/fan",
        "fan.v1",
        EVENTS,
        Progress::default(),
    )
    .await;
    for function in &functions[..9] {
        function.received(EVENTS).await;
    }
    let took = began.elapsed();
    if tenth != 200 {
        assert!(functions[9].count() > 0, "the failing sink was never tried");
    }
    took
}

/// A sink that fails for ever costs its neighbours at most the work of its attempts.
#[tokio::test]
async fn a_failing_sink_does_not_delay_the_others() {
    let healthy = nine_take(200).await;
    let failing = nine_take(500).await;
    println!("nine of ten: healthy {healthy:?}, with a failing tenth {failing:?}");
    // The failing Subscription retries each event several times a second on the same two cores;
    // head-of-line blocking would take minutes.
    assert!(
        failing < healthy * 3 + Duration::from_secs(2),
        "healthy {healthy:?}, with a failing tenth {failing:?}"
    );
}
