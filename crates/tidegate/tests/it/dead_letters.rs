//! What could not be delivered: listed, shown, sent again, deleted, by the command line.

use std::{
    collections::HashSet,
    io::Write as _,
    net::TcpStream,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;
use tidegate_testkit::{Client, Reply, Sink};

use crate::harness::{PATIENCE, Tidegate, binary, subscription};

const TYPE: &str = "order.created.v1";

/// What a sink refuses for good, byte for byte as it was sent.
const DATA: &str = "{\"total\": 1.10,  \"big\": 9007199254740993}";

fn dead_letters(tidegate: &Tidegate, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args([
            "dead-letters",
            "--admin",
            &format!("http://{}", tidegate.admin),
        ])
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn listed(tidegate: &Tidegate, arguments: &[&str]) -> Vec<String> {
    let output = dead_letters(tidegate, &[&["list"], arguments].concat());
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(ToOwned::to_owned).collect()
}

/// A gateway with so many dead letters of each of two Subscriptions, and a sink that refuses until
/// it is told otherwise, and then takes so many.
async fn with_letters(count: usize) -> (Tidegate, Sink, Arc<AtomicUsize>) {
    let takes = Arc::new(AtomicUsize::new(0));
    let left = Arc::clone(&takes);
    let sink = Sink::start(move |_| {
        let taken = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
            left.checked_sub(1)
        });
        if taken.is_ok() { 204_u16 } else { 400 }
    })
    .await;
    let both = subscription("one", "/shop", TYPE, &sink.url())
        + &subscription("two", "/shop", TYPE, &sink.url());
    let tidegate = Tidegate::up(&both, "").await;
    for number in 0..count {
        let id = format!("id-{number}");
        let headers = binary(&id, "/shop", TYPE);
        let answer = tidegate
            .send("POST", "/publish", &headers, DATA.as_bytes())
            .await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    let buried = (2 * count) as f64;
    tidegate
        .metric_reaches("tidegate_consume_dead_letters_total", buried)
        .await;
    (tidegate, sink, takes)
}

/// What a sink for dead letters takes is not kept; what it refuses is, with the answer of the sink
/// that refused it first.
#[tokio::test]
async fn a_sink_for_dead_letters_gets_them_first() {
    let refusing = Sink::start(|_| Reply {
        body: "no such customer".into(),
        ..Reply::from(422)
    })
    .await;
    let dead = Sink::start(|received| match received.header("ce-id") {
        Some("1") => 202_u16,
        _ => 503,
    })
    .await;
    let document = format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: one, namespace: default }}\nspec:\n  sink: {{ uri: '{}' }}\n  \
         delivery: {{ deadLetter: {{ sink: {{ uri: '{}' }} }} }}\n",
        refusing.url(),
        dead.url()
    );
    let tidegate = Tidegate::up(&document, "").await;
    for id in ["1", "2"] {
        tidegate
            .send(
                "POST",
                "/publish",
                &binary(id, "/shop", TYPE),
                DATA.as_bytes(),
            )
            .await;
    }
    let received = dead.received(2).await;
    for one in &received {
        assert_eq!(one.body, DATA.as_bytes());
        assert_eq!(one.header("ce-knativeerrorcode"), Some("422"));
        assert_eq!(one.header("ce-knativeerrordest"), Some(&*refusing.url()));
        let data = one.header("ce-knativeerrordata");
        assert_eq!(data, Some("bm8gc3VjaCBjdXN0b21lcg=="));
    }
    tidegate.log_says("it is kept").await;
    let left = listed(&tidegate, &[]);
    assert_eq!(left.len(), 1, "{left:?}");
    let shown = dead_letters(&tidegate, &["show", left[0].split(' ').next().unwrap()]);
    let letter: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(letter["event"]["id"], "2");
    assert_eq!(
        (&letter["status"], &letter["answer"]),
        (&422.into(), &"no such customer".into())
    );
}

/// Retention deletes the oldest of its own Subscription, after it was announced.
#[tokio::test]
async fn the_oldest_letters_are_deleted_by_retention() {
    let refusing = Sink::start(|_| 400_u16).await;
    let document = |name: &str, retention: &str| {
        format!(
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: {name}, namespace: default }}\nspec:\n  sink: {{ uri: '{}' }}\n  \
             delivery: {{ maxInFlight: 1, deadLetter: {{ retention: {retention} }} }}\n",
            refusing.url()
        )
    };
    let documents = document("some", "{ maxSize: 5KiB }") + &document("all", "{}");
    let tidegate = Tidegate::up(&documents, "dead_letters: { notice: 400ms }\n").await;
    for number in 0..20 {
        let id = format!("id-{number:02}");
        let answer = tidegate
            .send(
                "POST",
                "/publish",
                &binary(&id, "/shop", TYPE),
                DATA.as_bytes(),
            )
            .await;
        assert_eq!(answer.status, 204);
    }
    tidegate
        .metric_reaches("tidegate_consume_dead_letters_total", 40.0)
        .await;
    let of_some = || listed(&tidegate, &["--subscription", "default/some"]);
    let began = Instant::now();
    while of_some().len() > 15 {
        assert!(began.elapsed() < PATIENCE, "none is deleted");
    }
    let log = tidegate.log();
    let said_at = |what: &str| {
        let line = log.lines().find(|line| line.contains(what)).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).unwrap()
    };
    let announced = said_at("will be deleted by their retention");
    let notice = said_at("dead letters deleted by").duration_since(announced);
    assert!(notice.unwrap() >= Duration::from_millis(400));
    let left = of_some();
    // About 500 bytes each.
    assert!((5..=15).contains(&left.len()), "{left:?}");
    assert!(
        left.last().unwrap().contains("id-19"),
        "the newest stay: {left:?}"
    );
    assert!(!left[0].contains("id-00"), "the oldest go: {left:?}");
    assert_eq!(
        listed(&tidegate, &["--subscription", "default/all"]).len(),
        20
    );
}

/// A letter is found by what it says, and shown with its event as it was sent.
// The sink answers while the command runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_listed_and_shown() {
    let (tidegate, _sink, _) = with_letters(3).await;
    assert_eq!(listed(&tidegate, &[]).len(), 6);
    for (arguments, count) in [
        (&["--subscription", "default/one"][..], 3),
        (&["--subscription", "default/none"], 0),
        (&["--reason", "deliver/status-rejected"], 6),
        (&["--reason", "consume/expired"], 0),
        (&["--type", TYPE], 6),
        (&["--type", "other.v1"], 0),
        (&["--since", "2026-01-01T00:00:00Z"], 6),
        (&["--until", "2026-01-01T00:00:00Z"], 0),
    ] {
        assert_eq!(listed(&tidegate, arguments).len(), count, "{arguments:?}");
    }
    let output = dead_letters(&tidegate, &["show", "1"]);
    let letter: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(letter["attempts"], 1);
    assert_eq!(letter["event"]["type"], TYPE);
    let exported = dead_letters(&tidegate, &["export", "--subscription", "default/two"]);
    let exported = String::from_utf8(exported.stdout).unwrap();
    assert_eq!(exported.lines().count(), 3);
    let none = dead_letters(&tidegate, &["show", "999"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(
        said(&none).contains("admin/no-such-dead-letter"),
        "{}",
        said(&none)
    );
    let wrong = dead_letters(&tidegate, &["list", "--since", "yesterday"]);
    assert!(
        said(&wrong).contains("admin/invalid-query"),
        "{}",
        said(&wrong)
    );
}

/// Who is interrupted while a letter is sent leaves nothing half done.
#[tokio::test]
async fn an_interrupted_redrive_ends() {
    let refuses = Arc::new(AtomicBool::new(true));
    let until = Arc::clone(&refuses);
    let sink = Sink::start(move |_| match until.load(Ordering::SeqCst) {
        true => Reply::from(400),
        false => Reply {
            delay: Duration::from_millis(200),
            ..Reply::from(204)
        },
    })
    .await;
    let document = subscription("one", "/shop", TYPE, &sink.url());
    let tidegate = Tidegate::up(&document, "").await;
    tidegate
        .send("POST", "/publish", &binary("1", "/shop", TYPE), b"{}")
        .await;
    tidegate
        .metric_reaches("tidegate_consume_dead_letters_total", 1.0)
        .await;
    refuses.store(false, Ordering::SeqCst);
    let mut asking = TcpStream::connect(tidegate.admin).unwrap();
    asking
        .write_all(b"POST /api/v1/dead-letters/1/redrive HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
        .unwrap();
    sink.received(2).await;
    drop(asking);
    let began = Instant::now();
    while !listed(&tidegate, &[]).is_empty() {
        assert!(began.elapsed() < PATIENCE, "taken, and still kept");
    }
    assert_eq!(sink.count(), 2);
}

/// What is sent again arrives at its own Subscription as it was, once; what is refused again stays;
/// who was interrupted begins again and goes on.
// The sink answers while the command runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_sent_again_and_none_is_lost() {
    let (tidegate, sink, takes) = with_letters(30).await;
    let before = sink.received(60).await.len();
    // The sink takes some and then no more, as if it were interrupted.
    takes.store(12, Ordering::SeqCst);
    let redrive = ["redrive", "--subscription", "default/one"];
    let output = dead_letters(&tidegate, &redrive);
    assert_eq!(output.status.code(), Some(1));
    let text = said(&output);
    assert!(text.contains("12 redriven"), "{text}");
    assert!(
        text.contains("18 were not redriven; they are still there"),
        "{text}"
    );
    assert_eq!(listed(&tidegate, &[]).len(), 48);
    takes.store(1000, Ordering::SeqCst);
    let counted = dead_letters(&tidegate, &[&redrive[..], &["--dry-run"]].concat());
    assert!(
        said(&counted).contains("18 would be redriven"),
        "{}",
        said(&counted)
    );
    let output = dead_letters(&tidegate, &redrive);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        listed(&tidegate, &["--subscription", "default/one"]).len(),
        0
    );
    assert_eq!(
        listed(&tidegate, &["--subscription", "default/two"]).len(),
        30
    );
    let received = sink.received(before + 30 + 18).await;
    let mut ids = HashSet::new();
    for again in &received[before..] {
        assert_eq!(again.body, DATA.as_bytes());
        assert_eq!(again.header("ce-redrivecount"), Some("1"));
        ids.insert(again.header("ce-id").unwrap().to_owned());
    }
    assert_eq!(ids.len(), 30);
}

/// A letter can go to another sink, without the Subscription's own header fields; what is discarded
/// is gone; nothing happens to all of them by mistake.
// The sink answers while the command runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_go_elsewhere_or_away() {
    let (tidegate, _sink, _) = with_letters(2).await;
    let other = Sink::start(|_| 202_u16).await;
    let output = dead_letters(&tidegate, &["redrive", "1", "--sink", &other.url()]);
    assert!(output.status.success(), "{}", said(&output));
    let received = other.received(1).await;
    assert_eq!(received[0].body, DATA.as_bytes());
    assert_eq!(listed(&tidegate, &[]).len(), 3);
    let unnamed = dead_letters(&tidegate, &["discard"]);
    assert_eq!(unnamed.status.code(), Some(1));
    assert!(said(&unnamed).contains("--all"), "{}", said(&unnamed));
    assert_eq!(listed(&tidegate, &[]).len(), 3);
    let output = dead_letters(&tidegate, &["discard", "--all"]);
    assert!(said(&output).contains("3 discarded"), "{}", said(&output));
    assert_eq!(listed(&tidegate, &[]).len(), 0);
}

/// A page in a browser can reach loopback; what it asks for is not done.
// The sink answers while the command runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_another_origin_is_refused() {
    let (tidegate, _sink, _) = with_letters(1).await;
    let other = Sink::start(|_| 202_u16).await;
    let mut client = Client::connect(tidegate.admin).await.unwrap();
    let path = format!("/api/v1/dead-letters/1/redrive?sink={}", other.url());
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        // The host's own, which is a name that may lead elsewhere tomorrow.
        &[("origin", "http://test")],
    ] {
        let answer = client.send("POST", &path, headers, b"").await.unwrap();
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text());
        assert!(answer.text().contains("admin/from-elsewhere"));
    }
    assert_eq!(listed(&tidegate, &[]).len(), 2);
    assert_eq!(other.count(), 0);
}
