//! Subscriptions that are paused by command, and go on by command.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tidegate_testkit::{Client, NatsServer, Sink, signal};

use crate::harness::{PATIENCE, Tidegate, binary};

fn document(name: &str, sink: &Sink, more: &str) -> String {
    format!(
        "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
         metadata: {{ name: {name} }}\nspec:\n  sink: {{ uri: '{}' }}\n{more}",
        sink.url()
    )
}

/// What the command says, and its exit code.
fn command(of: &Tidegate, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command
        .args(arguments)
        .env("TIDEGATE_ADMIN", format!("http://{}", of.admin))
        .env_remove("TIDEGATE_ADMIN_TOKEN_FILE");
    let token = of.dir.path().join("anna");
    if token.exists() {
        command.env("TIDEGATE_ADMIN_TOKEN_FILE", token);
    }
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

fn done(of: &Tidegate, arguments: &[&str]) -> String {
    let (code, said) = command(of, arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}: {}", of.log());
    said
}

/// Waits until a process tells this of a Subscription.
async fn tells(of: &Tidegate, name: &str, what: &str, is_so: impl Fn(&Value) -> bool) {
    let path = format!("/api/v1/subscriptions/default/{name}");
    let began = Instant::now();
    loop {
        let mut client = Client::connect(of.admin).await.unwrap();
        let answer = client.send("GET", &path, &[], b"").await.unwrap().text();
        let told: Value = serde_json::from_str(&answer).unwrap();
        if is_so(&told) {
            return;
        }
        let log = of.log();
        assert!(began.elapsed() < PATIENCE, "not {what}: {told}: {log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn stands(of: &Tidegate, name: &str, reason: &str) {
    let is_so = |told: &Value| told["conditions"][0]["reason"] == reason;
    tells(of, name, reason, is_so).await;
}

async fn waits(of: &Tidegate, name: &str, count: u64) {
    let waiting = |told: &Value| Some(told["undelivered"].as_u64()? + told["unsettled"].as_u64()?);
    tells(of, name, "so many", |told| waiting(told) == Some(count)).await;
}

const KEYS: usize = 3;

/// Short, so that what a killed process held comes again soon.
const SOON: &str = "consume: { ack_wait: 2s }\n";

/// One after the other, through both doors in turn.
async fn publish(to: &[Tidegate], numbers: std::ops::Range<usize>) {
    for number in numbers {
        let (id, subject) = (number.to_string(), format!("k{}", number % KEYS));
        let mut headers = binary(&id, "/s", "t.v1");
        headers.push(("ce-subject", &subject));
        let to = &to[number % to.len()];
        let answer = to.send("POST", "/publish", &headers, b"{}").await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
}

async fn ids(sink: &Sink, count: usize) -> Vec<usize> {
    let received = sink.received(count).await;
    let ids = received.iter().map(|one| one.header("ce-id").unwrap());
    ids.map(|id| id.parse().unwrap()).collect()
}

/// Waits until a sink has all of these, and maybe some of them twice.
async fn has(sink: &Sink, count: usize) {
    let (mut all, mut known) = (count, BTreeSet::new());
    while known.len() < count {
        let received = ids(sink, all).await;
        all = received.len() + 1;
        known.extend(received);
    }
}

/// A pause counts for all processes, wherever it was asked for, and through restarts of all of them;
/// what comes meanwhile is delivered after it, once, and in order where that is wanted.
// Sinks answer while a command runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_holds_for_all_processes_and_nothing_is_lost() {
    let nats = NatsServer::start().await;
    let [plain, ordered, steady] = [
        Sink::start(|_| 204_u16).await,
        Sink::start(|_| 204_u16).await,
        Sink::start(|_| 204_u16).await,
    ];
    let order = "  delivery: { order: { key: subject } }\n";
    let documents = document("plain", &plain, "")
        + &document("ordered", &ordered, order)
        + &document("steady", &steady, "");
    let url = nats.url();
    let arguments = ["--nats", url.as_str()];
    let mut both = [
        Tidegate::up_with(&documents, SOON, &arguments).await,
        Tidegate::up_with(&documents, SOON, &arguments).await,
    ];
    publish(&both, 0..30).await;
    for sink in [&plain, &ordered, &steady] {
        sink.answered(30).await;
    }
    for name in ["plain", "ordered"] {
        waits(&both[0], name, 0).await;
        let said = done(&both[0], &["subscriptions", "pause", name]);
        assert_eq!(said, format!("default/{name} is paused\n"));
        stands(&both[1], name, "Paused").await;
    }
    publish(&both, 30..60).await;
    has(&steady, 60).await;
    for name in ["plain", "ordered"] {
        waits(&both[0], name, 30).await;
    }
    both[0].terminate().await;
    both[0].start().await;
    both[1].kill();
    both[1].start().await;
    publish(&both, 60..70).await;
    has(&steady, 70).await;
    for name in ["plain", "ordered"] {
        for one in &both {
            stands(one, name, "Paused").await;
        }
        waits(&both[1], name, 40).await;
    }
    assert_eq!((plain.count(), ordered.count()), (30, 30));
    for name in ["plain", "ordered"] {
        let said = done(&both[1], &["subscriptions", "resume", name]);
        assert_eq!(said, format!("default/{name} is resumed\n"));
    }
    let all: BTreeSet<usize> = (0..70).collect();
    assert_eq!(BTreeSet::from_iter(ids(&plain, 70).await), all);
    let mut by_key: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for id in ids(&ordered, 70).await {
        by_key.entry(id % KEYS).or_default().push(id);
    }
    for (key, ids) in &by_key {
        assert!(ids.is_sorted(), "of {key}: {ids:?}");
    }
    assert_eq!(BTreeSet::from_iter(by_key.into_values().flatten()), all);
    for name in ["plain", "ordered"] {
        for one in &both {
            stands(one, name, "Open").await;
        }
        waits(&both[0], name, 0).await;
    }
    assert_eq!((plain.count(), ordered.count()), (70, 70), "each once");
}

const CONFIGURATION: &str = "\
admin:
  tokens: [{ name: anna, file: anna, role: operator }]
  metrics_open: true
telemetry: { metrics_interval: 100ms }
";

/// Whoever looks is told what pauses a Subscription, by whose command, since when and why.
#[tokio::test]
async fn what_pauses_is_told() {
    let sink = Sink::start(|_| 204_u16).await;
    let documents = document("runs", &sink, "") + &document("held", &sink, "  pause: true\n");
    let token = |folder: &Path| fs::write(folder.join("anna"), "a-secret-of-anna").unwrap();
    let tidegate = Tidegate::up_prepared(&documents, CONFIGURATION, token).await;
    let paused = "tidegate_consume_subscription_paused";
    let of_runs = |value| format!("{paused}{{subscription=\"default/runs\"}} {value}.0");
    let of_held = format!("{paused}{{subscription=\"default/held\"}} 1.0");
    tidegate.shows(&[&of_runs(0), &of_held]).await;
    let why = "the ledger is closed";
    let pause = ["subscriptions", "pause", "runs", "--reason", why];
    assert_eq!(done(&tidegate, &pause), "default/runs is paused\n");
    let again = done(&tidegate, &["subscriptions", "pause", "default/runs"]);
    let since = again.split_once("since ").unwrap().1;
    let first = format!("command of anna since {since}");
    let first = first.trim_end();
    assert!(since.starts_with("20") && since.ends_with(&format!("Z: {why}\n")));
    assert_eq!(
        again,
        format!("default/runs was paused already, by {first}\n")
    );
    tidegate.shows(&[&of_runs(1), &of_held]).await;
    let by_command = format!("paused by {first}\n");
    for (arguments, parts) in [
        (
            &["subscriptions", "list"][..],
            &["default/runs  Paused  ", "paused by its document"][..],
        ),
        (
            &["subscriptions", "show", "runs"],
            &[
                "Ready",
                "now               delivered 0.0/s  tried again 0.0/s\n",
            ],
        ),
        (
            &["status", "--over", "0s"],
            &["paused    default/held  paused by its document (pause: true)\n"],
        ),
    ] {
        let said = done(&tidegate, arguments);
        for part in parts.iter().copied().chain([&*by_command]) {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    for (said, name) in [("is resumed", "runs"), ("was not paused", "runs")] {
        let line = done(&tidegate, &["subscriptions", "resume", name]);
        assert_eq!(line, format!("default/{name} {said}\n"));
    }
    tidegate.shows(&[&of_runs(0), &of_held]).await;
    let log = tidegate.log();
    let told = log.lines().find(|line| line.contains("/runs/pause"));
    let told = told.unwrap();
    for part in ["\"who\":\"anna\"", why, "\"outcome\":\"done\""] {
        assert!(told.contains(part), "{part} in {told}");
    }
}

/// What a document says is changed there; whom nobody knows cannot be paused.
#[tokio::test]
async fn what_is_not_done_says_why() {
    let sink = Sink::start(|_| 204_u16).await;
    let held = document("held", &sink, "  pause: true\n");
    let tidegate = Tidegate::up(&held, "").await;
    for (arguments, parts) in [
        (
            &["subscriptions", "resume", "held"][..],
            &[
                "admin/paused-by-document",
                "take pause: true out of its document\n",
            ][..],
        ),
        (
            &["subscriptions", "pause", "nobody"],
            &["admin/no-such-subscription"],
        ),
        (
            &["subscriptions", "resume", "nobody"],
            &["admin/no-such-subscription"],
        ),
        (
            &["subscriptions", "pause", "held", "--reason", "a\nb"],
            &["admin/invalid-body", "reason: "],
        ),
    ] {
        let (code, said) = command(&tidegate, arguments);
        assert_eq!(code, Some(1), "{said}");
        for part in parts {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
    let said = done(&tidegate, &["subscriptions", "pause", "held"]);
    assert_eq!(
        said,
        "default/held is paused; its document pauses it, too\n"
    );
    let (code, said) = command(&tidegate, &["subscriptions", "resume", "held"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("and by command since"), "{said}");
    assert!(said.contains("and resume it then"), "{said}");
}

/// A document that goes and comes back is paused as before, as long as its place is kept; with that
/// the pause goes. One whose document went while nobody ran is named, and can be taken away.
#[tokio::test]
async fn a_pause_lasts_as_long_as_the_place() {
    let sink = Sink::start(|_| 204_u16).await;
    let document = document("one", &sink, "");
    let mut tidegate = Tidegate::up(&document, "").await;
    let file = tidegate.subscriptions().join("subscriptions.yaml");
    done(&tidegate, &["subscriptions", "pause", "one"]);
    fs::remove_file(&file).unwrap();
    tidegate.log_says("subscription removed").await;
    fs::write(&file, &document).unwrap();
    // An answer with conditions is one of a Subscription that is known.
    stands(&tidegate, "one", "Paused").await;

    tidegate.terminate().await;
    fs::remove_file(&file).unwrap();
    let kept = "subscriptions: { deleted_kept: 100ms }\n";
    fs::write(tidegate.dir.path().join("tidegate.yaml"), kept).unwrap();
    tidegate.start().await;
    tidegate.log_says("a pause has no subscription").await;
    let resume = ["subscriptions", "resume", "one"];
    assert_eq!(done(&tidegate, &resume), "default/one is resumed\n");
    assert_eq!(command(&tidegate, &resume).0, Some(1), "nobody knows it");

    fs::write(&file, &document).unwrap();
    stands(&tidegate, "one", "Open").await;
    done(&tidegate, &["subscriptions", "pause", "one"]);
    stands(&tidegate, "one", "Paused").await;
    fs::remove_file(&file).unwrap();
    tidegate
        .log_says("pause of a removed subscription taken away")
        .await;
    fs::write(&file, &document).unwrap();
    stands(&tidegate, "one", "Open").await;
    publish(std::slice::from_ref(&tidegate), 0..1).await;
    sink.received(1).await;
}

/// Where the log does not answer nothing is done, and it is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_log_nothing_is_paused() {
    let sink = Sink::start(|_| 204_u16).await;
    let tidegate = Tidegate::up(&document("one", &sink, ""), "").await;
    signal(tidegate.nats_pid, "STOP");
    let (code, said) = command(&tidegate, &["subscriptions", "pause", "one"]);
    signal(tidegate.nats_pid, "CONT");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("admin/log-unavailable"), "{said}");
    stands(&tidegate, "one", "Open").await;
    publish(std::slice::from_ref(&tidegate), 0..1).await;
    sink.received(1).await;
    let said = done(&tidegate, &["subscriptions", "pause", "one"]);
    assert_eq!(said, "default/one is paused\n");
}
