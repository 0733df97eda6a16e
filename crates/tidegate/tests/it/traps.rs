//! What other brokers stumbled over, with the real binary; and where the rest of it is shown:
//!
//! | trap | test |
//! |---|---|
//! | a failure, and no policy; or retries without one | `without_a_policy_a_failure_is_tried_again` |
//! | 400 at the first try | `a_dead_letter_is_kept_where_its_sink_is_away` |
//! | the dead letters' sink away, or no room for them | the same, and `where_dead_letters_have_no_room_events_stay` |
//! | the place of replies away | `replies::replies_are_events_like_any_other` |
//! | the same id from two sources | `the_same_id_from_two_sources_is_two_events` |
//! | a batch for a sink slower than the acknowledgement | `a_sink_slower_than_the_acknowledgement_gets_each_event_once` |
//! | a Subscription changed or deleted during delivery | `lifecycle` |
//! | a sink gone with events pending | `sinks::an_outage_makes_no_dead_letters`, `lifecycle::a_changed_sink_loses_nothing_under_load` |
//! | endless answers; any status is success; redirects | `only_a_whole_2xx_is_a_delivery` |
//! | a dead sink among a hundred | `a_dead_and_a_silent_sink_among_a_hundred_harm_nobody` |
//! | nats-server restarts under load | `failures` |
//! | 410 | `sinks::a_sink_that_is_gone_keeps_what_is_for_it` |
//! | `Retry-After` in every form | `whatever_retry_after_says_the_event_comes` |
//! | what doors must refuse, and must not | `doors_take_and_refuse_what_they_should` |

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tidegate_testkit::{Client, Manner, Received, Reply, Sink};

use crate::harness::{
    PATIENCE, Progress, Tidegate, binary, free_address, numbers, publish_all, subscription,
};

const QUICK: &str = "consume: { retry: { backoff_delay: 10ms, backoff_max: 20ms } }\n";

/// A Subscription that says nothing of delivery loses nothing: a failure is tried again.
#[tokio::test]
async fn without_a_policy_a_failure_is_tried_again() {
    let tries = Mutex::<HashMap<String, usize>>::default();
    let function = Sink::start(move |request: &Received| {
        let id = request.header("ce-id").unwrap_or_default().to_owned();
        let mut tries = tries.lock().unwrap_or_else(PoisonError::into_inner);
        let tries = tries.entry(id).or_default();
        *tries += 1;
        if *tries < 3 { 500_u16 } else { 200 }
    })
    .await;
    let document = format!(
        "apiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\nmetadata: {{ name: all }}\n\
         spec: {{ sink: {{ uri: '{}' }} }}\n",
        function.url()
    );
    let tidegate = Tidegate::up(&document, QUICK).await;
    publish_all(tidegate.receive, "/s", "t.v1", 5, Progress::default()).await;
    let delivered = "tidegate_consume_events_delivered_total";
    tidegate.metric_reaches(delivered, 5.0).await;
    assert_eq!(function.count(), 15);
}

/// An id is its source's: the same one from another source is another event.
#[tokio::test]
async fn the_same_id_from_two_sources_is_two_events() {
    let function = Sink::start(|_| 200_u16).await;
    let documents = ["/one", "/two"].map(|source| {
        let name = source.trim_start_matches('/');
        subscription(name, source, "t.v1", &function.url())
    });
    let tidegate = Tidegate::up(&documents.concat(), QUICK).await;
    for source in ["/one", "/two"] {
        let mut client = Client::connect(tidegate.receive).await.unwrap();
        let headers = binary("same", source, "t.v1");
        let answer = client.send("POST", "/publish", &headers, b"{}").await;
        assert_eq!(answer.unwrap().status, 204);
    }
    let received = function.received(2).await;
    let mut sources: Vec<_> = received
        .iter()
        .map(|one| one.header("ce-source").unwrap())
        .collect();
    sources.sort_unstable();
    assert_eq!(sources, ["/one", "/two"]);
}

/// Ten at once for a sink that takes longer than the acknowledgement is waited for: each once.
#[tokio::test]
async fn a_sink_slower_than_the_acknowledgement_gets_each_event_once() {
    let function = Sink::slow(Duration::from_secs(5)).await;
    let document = subscription("all", "/s", "t.v1", &function.url());
    let tidegate = Tidegate::up(&document, "consume: { ack_wait: 2s }\n").await;
    publish_all(tidegate.receive, "/s", "t.v1", 20, Progress::default()).await;
    let delivered = "tidegate_consume_events_delivered_total";
    tidegate.metric_reaches(delivered, 20.0).await;
    assert_eq!(function.count(), 20);
}

/// One dead sink and one that never answers among a hundred: the rest gets everything.
#[tokio::test]
async fn a_dead_and_a_silent_sink_among_a_hundred_harm_nobody() {
    const EVENTS: usize = 20;
    const WELL: usize = 98;
    let function = Sink::start(|_| 200_u16).await;
    let silent = Sink::start(|_| Reply {
        manner: Manner::Silent,
        ..Reply::from(200)
    })
    .await;
    let mut documents = subscription("silent", "/s", "t.v1", &silent.url());
    let dead = format!("http://{}/", free_address());
    documents += &subscription("dead", "/s", "t.v1", &dead);
    for number in 0..WELL {
        let url = format!("{}{number}", function.url());
        let document = subscription(&format!("well-{number}"), "/s", "t.v1", &url);
        write!(documents, "{document}").unwrap();
    }
    let tidegate = Tidegate::up(&documents, QUICK).await;
    publish_all(tidegate.receive, "/s", "t.v1", EVENTS, Progress::default()).await;
    let received = function.received(WELL * EVENTS).await;
    for number in 0..WELL {
        let line = format!("POST /{number} HTTP/1.1");
        let mut missing = numbers(EVENTS);
        for one in received.iter().filter(|one| one.line == line) {
            missing.remove(one.header("ce-id").unwrap());
        }
        assert!(missing.is_empty(), "{line}: {missing:?}");
    }
}

/// A Subscription of Tidegate's own kind.
fn own(name: &str, r#type: &str, sink: &str, delivery: &str) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: {name} }}\n\
         spec:\n  sink: {{ uri: '{sink}' }}\n  filters: [ {{ exact: {{ type: {type} }} }} ]\n\
         \x20 delivery: {delivery}\n"
    )
}

/// Events that are refused at the first try are dead letters at once, and stay where the sink for
/// dead letters is away.
#[tokio::test]
async fn a_dead_letter_is_kept_where_its_sink_is_away() {
    let function = Sink::start(|_| 400_u16).await;
    let delivery = format!(
        "{{ deadLetter: {{ sink: {{ uri: 'http://{}/' }} }} }}",
        free_address()
    );
    let document = own("all", "t.v1", &function.url(), &delivery);
    let tidegate = Tidegate::up(&document, QUICK).await;
    publish_all(tidegate.receive, "/s", "t.v1", 5, Progress::default()).await;
    let letters = "tidegate_consume_dead_letters_total";
    tidegate.metric_reaches(letters, 5.0).await;
    assert_eq!(function.count(), 5);
    let mut admin = Client::connect(tidegate.admin).await.unwrap();
    let kept = admin.send("GET", "/api/v1/dead-letters", &[], b"").await;
    let kept = kept.unwrap().text();
    for id in numbers(5) {
        assert!(kept.contains(&format!("\"id\":\"{id}\"")), "{id}: {kept}");
    }
}

/// What can be neither delivered nor be a dead letter is kept and tried again.
#[tokio::test]
async fn where_dead_letters_have_no_room_events_stay() {
    const EVENTS: usize = 30;
    let takes = Arc::new(AtomicBool::new(false));
    let is_taken = Arc::clone(&takes);
    let function = Sink::start(move |_| match is_taken.load(Ordering::Relaxed) {
        true => 200_u16,
        false => 400,
    })
    .await;
    let document = subscription("all", "/s", "t.v1", &function.url());
    let configuration = format!("{QUICK}backbone: {{ dead_letters: {{ size_max: 4KiB }} }}\n");
    let tidegate = Tidegate::up(&document, &configuration).await;
    publish_all(tidegate.receive, "/s", "t.v1", EVENTS, Progress::default()).await;
    let refused = "tidegate_consume_dead_letters_refused";
    tidegate.metric_reaches(refused, 1.0).await;
    takes.store(true, Ordering::Relaxed);
    let began = Instant::now();
    loop {
        let delivered = tidegate
            .metric("tidegate_consume_events_delivered_total")
            .await;
        let letters = tidegate.metric("tidegate_consume_dead_letters_total").await;
        if (delivered + letters - EVENTS as f64).abs() < 0.5 {
            assert!(letters > 0.0 && delivered > 0.0, "{letters}, {delivered}");
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{delivered} and {letters}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Neither another status nor half an answer counts, and a redirect is not followed.
#[tokio::test]
async fn only_a_whole_2xx_is_a_delivery() {
    let target = Sink::start(|_| 200_u16).await;
    let location = target.url();
    let function = Sink::start(move |request: &Received| {
        let manner = |manner| Reply {
            manner,
            ..Reply::from(200)
        };
        match request.line.split(' ').nth(1).unwrap_or_default() {
            "/302" => Reply {
                headers: vec![("location".to_owned(), location.clone())],
                ..Reply::from(302)
            },
            "/418" => Reply::from(418),
            "/500" => Reply::from(500),
            "/endless" => manner(Manner::Endless),
            "/half" => manner(Manner::HalfBody),
            _ => manner(Manner::Silent),
        }
    })
    .await;
    let paths = ["302", "418", "500", "endless", "half", "silent"];
    let documents = paths.map(|path| {
        let url = format!("{}{path}", function.url());
        let delivery = "{ timeout: 300ms, retry: { maxAttempts: 2 } }";
        own(&format!("s{path}"), "t.v1", &url, delivery)
    });
    let tidegate = Tidegate::up(&documents.concat(), QUICK).await;
    publish_all(tidegate.receive, "/s", "t.v1", 1, Progress::default()).await;
    // Those that fail may be left alone between attempts, and then use up none.
    let letters = "tidegate_consume_dead_letters_total";
    tidegate.metric_reaches(letters, 6.0).await;
    assert_eq!(target.count(), 0, "a redirect was followed");
    let delivered = "tidegate_consume_events_delivered_total";
    assert!(tidegate.metric(delivered).await < 0.5, "{}", tidegate.log());
}

/// What a sink says of when to come again is heeded where it can be, and never loses the event: not
/// a number of seconds, nor a date that is over, nor what is no time at all. A year holds the sink.
#[tokio::test]
async fn whatever_retry_after_says_the_event_comes() {
    let asked = Mutex::<HashMap<String, Vec<Instant>>>::default();
    let times = Arc::new(asked);
    let seen = Arc::clone(&times);
    let forms = [
        ("seconds", "1"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("float", "0.5"),
        ("negative", "-5"),
        ("words", "soon"),
        ("huge", "99999999999999999999"),
        ("year", "31536000"),
    ];
    let mut sinks = Vec::new();
    let mut documents = String::new();
    for (name, form) in forms {
        let seen = Arc::clone(&seen);
        // Each of its own: what is said holds the sink.
        let sink = Sink::start(move |_| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = seen.entry(name.to_owned()).or_default();
            asked.push(Instant::now());
            match asked.len() {
                1 => Reply {
                    headers: vec![("retry-after".to_owned(), form.to_owned())],
                    ..Reply::from(503)
                },
                _ => Reply::from(200),
            }
        })
        .await;
        documents += &own(name, "t.v1", &sink.url(), "{}");
        sinks.push(sink);
    }
    let tidegate = Tidegate::up(&documents, QUICK).await;
    publish_all(tidegate.receive, "/s", "t.v1", 1, Progress::default()).await;
    let delivered = "tidegate_consume_events_delivered_total";
    tidegate.metric_reaches(delivered, 5.0).await;
    let seen = times.lock().unwrap_or_else(PoisonError::into_inner);
    let asked = |name: &str| seen.get(name).map_or(0, Vec::len);
    let counts = forms.map(|(name, _)| asked(name));
    assert_eq!(counts, [2, 2, 2, 2, 2, 1, 1], "{}", tidegate.log());
    let seconds = &seen["seconds"];
    assert!(seconds[1] - seconds[0] >= Duration::from_secs(1));
}

/// Who only asks is answered, a byte too many is refused, and so is what is no UTF-8; a content type
/// is the same in any case.
#[tokio::test]
async fn doors_take_and_refuse_what_they_should() {
    let function = Sink::start(|_| 200_u16).await;
    let document = subscription("all", "/s", "t.v1", &function.url());
    let tidegate = Tidegate::up(&document, QUICK).await;
    let answer = tidegate.send("OPTIONS", "/publish", &[], b"").await;
    assert_eq!(answer.status, 405, "{}", answer.text());
    let headers = binary("large", "/s", "t.v1");
    let large = vec![b'1'; (1 << 20) + 1];
    let answer = tidegate.send("POST", "/publish", &headers, &large).await;
    assert_eq!(answer.status, 413, "{}", answer.text());
    let largest = &large[..1 << 20];
    let answer = tidegate.send("POST", "/publish", &headers, largest).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let mut headers = binary("no-utf-8", "/s", "t.v1");
    headers.push(("ce-subject", "%C0%A0"));
    let answer = tidegate.send("POST", "/publish", &headers, b"{}").await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    let event = br#"{"specversion":"1.0","id":"cased","source":"/s","type":"t.v1","data":1}"#;
    let headers = [(
        "content-type",
        "Application/CloudEvents+JSON; Charset=UTF-8",
    )];
    let answer = tidegate.send("POST", "/publish", &headers, event).await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    let mut ids: Vec<_> = function.received(2).await;
    ids.sort_by_key(|one| one.header("ce-id").unwrap_or_default().to_owned());
    let ids: Vec<_> = ids.iter().map(|one| one.header("ce-id").unwrap()).collect();
    assert_eq!(ids, ["cased", "large"]);
}
