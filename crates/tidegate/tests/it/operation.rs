//! Reloading, stopping, a full log, a log that is away: what an operator meets.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::Value;

use tidegate_testkit::{Manner, NatsServer, Reply, Sink, signal};

use crate::harness::{PATIENCE, Progress, Tidegate, binary, publish_all, subscription};

/// The doors open when every Subscription that is there gets what comes through them: a publisher
/// that has waited for the start loses its first event to nobody.
#[tokio::test]
async fn the_first_event_reaches_every_subscription() {
    const SUBSCRIPTIONS: usize = 100;
    let function = Sink::start(|_| 200_u16).await;
    let documents: String = (0..SUBSCRIPTIONS)
        .map(|index| subscription(&format!("s{index}"), "/s", "t.v1", &function.url()))
        .collect();
    let mut tidegate = Tidegate::down(&documents, "", &[]);
    let publisher = publish_all(tidegate.receive, "/s", "t.v1", 1, Progress::default());
    tokio::join!(tidegate.start(), publisher);
    function.received(SUBSCRIPTIONS).await;
}

/// A changed folder takes effect without a restart, and a mistake in one file stops nobody else.
#[tokio::test]
async fn subscriptions_are_reloaded_and_a_bad_file_harms_nobody() {
    let first = Sink::start(|_| 200_u16).await;
    let second = Sink::start(|_| 200_u16).await;
    let tidegate = Tidegate::up(&subscription("one", "/s", "a.v1", &first.url()), "").await;
    let folder = tidegate.subscriptions();
    fs::write(folder.join("bad.yaml"), "kind: Subscription\nspec: [\n").unwrap();
    fs::write(
        folder.join("two.yaml"),
        subscription("two", "/s", "b.v1", &second.url()),
    )
    .unwrap();
    tidegate.log_says("default/two").await;
    tidegate.log_says("bad.yaml").await;
    for (id, r#type) in [("1", "a.v1"), ("2", "b.v1")] {
        let answer = tidegate
            .send("POST", "/events", &binary(id, "/s", r#type), b"{}")
            .await;
        assert_eq!(answer.status, 204);
    }
    assert_eq!(first.received(1).await[0].header("ce-id"), Some("1"));
    assert_eq!(second.received(1).await[0].header("ce-id"), Some("2"));
}

/// A sink that hangs does not keep the one in its place waiting.
#[tokio::test]
async fn a_changed_sink_counts_at_once() {
    let hanging = Sink::start(|_| Reply {
        manner: Manner::Silent,
        ..Reply::from(200)
    })
    .await;
    let mended = Sink::start(|_| 200_u16).await;
    let document = |sink: &Sink| subscription("one", "/s", "t.v1", &sink.url());
    let mut tidegate = Tidegate::up(&document(&hanging), "shutdown: { grace: 10m }\n").await;
    let publish = async |id| {
        let answer = tidegate
            .send("POST", "/events", &binary(id, "/s", "t.v1"), b"{}")
            .await;
        assert_eq!(answer.status, 204);
    };
    publish("1").await;
    hanging.received(1).await;
    let file = tidegate.subscriptions().join("subscriptions.yaml");
    fs::write(file, document(&mended)).unwrap();
    tidegate.log_says(&mended.url()).await;
    publish("2").await;
    assert_eq!(mended.received(1).await[0].header("ce-id"), Some("2"));
    // It would wait for the one that hangs.
    tidegate.kill();
}

/// SIGTERM finishes what a Function works on, and exits 0.
#[tokio::test]
async fn sigterm_finishes_attempts_under_way() {
    let function = Sink::slow(Duration::from_millis(700)).await;
    let mut tidegate = Tidegate::up(&subscription("slow", "/s", "t.v1", &function.url()), "").await;
    tidegate
        .send("POST", "/events", &binary("1", "/s", "t.v1"), b"{}")
        .await;
    function.received(1).await;
    let (code, took) = tidegate.terminate().await;
    assert_eq!(code, Some(0), "{}", tidegate.log());
    assert!(took < Duration::from_secs(20), "took {took:?}");
    assert_eq!(function.count(), 1);
    tidegate.start().await;
    tidegate
        .send("POST", "/events", &binary("2", "/s", "t.v1"), b"{}")
        .await;
    let received = function.received(2).await;
    assert_eq!(
        received[1].header("ce-id"),
        Some("2"),
        "the first was delivered again"
    );
}

/// A slow Function is not called twice: what is held is kept alive beyond the ack wait.
#[tokio::test]
async fn a_slow_function_is_called_once() {
    let function = Sink::slow(Duration::from_secs(4)).await;
    let tidegate = Tidegate::up(
        &subscription("slow", "/s", "t.v1", &function.url()),
        "consume: { ack_wait: 1s }\n",
    )
    .await;
    tidegate
        .send("POST", "/events", &binary("1", "/s", "t.v1"), b"{}")
        .await;
    function.answered(1).await;
    tidegate
        .send("POST", "/events", &binary("2", "/s", "t.v1"), b"{}")
        .await;
    function.answered(2).await;
    assert_eq!(function.count(), 2);
}

/// One laggard fills the log: publishers are told to wait, nobody loses anything, and when it
/// catches up all goes on without anybody's help.
#[tokio::test]
async fn a_full_log_goes_on_when_the_laggard_catches_up() {
    let is_up = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&is_up);
    let laggard = Sink::start(move |_| {
        if answers.load(Ordering::Relaxed) {
            200_u16
        } else {
            503
        }
    })
    .await;
    let prompt = Sink::start(|_| 200_u16).await;
    let documents = subscription("laggard", "/s", "t.v1", &laggard.url())
        + &subscription("prompt", "/s", "t.v1", &prompt.url());
    let tidegate = Tidegate::up(
        &documents,
        "backbone: { events: { size_max: 256KiB } }\n\
         consume: { retry: { attempts_max: 10000, backoff_delay: 50ms, backoff_max: 200ms } }\n",
    )
    .await;
    let body = vec![b'x'; 4 << 10];
    let (mut stored, mut refused) = (BTreeSet::new(), 0);
    let began = Instant::now();
    while stored.len() < 100 {
        let id = stored.len().to_string();
        let mut headers = binary(&id, "/s", "t.v1");
        headers.pop();
        headers.push(("content-type", "text/plain"));
        let answer = tidegate.send("POST", "/events", &headers, &body).await;
        match answer.status {
            204 => {
                stored.insert(id);
            }
            status => {
                assert_eq!(status, 507, "{}", answer.text());
                let after = answer.header("retry-after").unwrap();
                assert!(after.parse::<u64>().unwrap() > 0, "{after}");
                refused += 1;
                // Not before room was looked for, and not found.
                let is_known = tidegate.log().contains("furthest behind");
                is_up.store(is_known, Ordering::Relaxed);
                assert!(began.elapsed() < PATIENCE, "{}", tidegate.log());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    assert!(refused > 0, "the log was never full");
    for (sink, what) in [(&laggard, "laggard"), (&prompt, "prompt")] {
        let mut received = BTreeSet::new();
        let mut count = stored.len();
        while received.len() < stored.len() {
            let all = sink.received(count).await;
            count = all.len() + 1;
            for one in all {
                received.insert(one.header("ce-id").unwrap().to_owned());
            }
        }
        assert_eq!(received, stored, "{what}");
    }
}

/// Where events have an age, those who miss them are named, before and after.
#[tokio::test]
async fn what_age_deletes_is_named() {
    let refusing = Sink::start(|_| 503_u16).await;
    let prompt = Sink::start(|_| 200_u16).await;
    let documents = subscription("slow", "/s", "t.v1", &refusing.url())
        + &subscription("prompt", "/s", "t.v1", &prompt.url());
    let tidegate = Tidegate::up(
        &documents,
        "backbone: { events: { age_max: 2s, duplicate_window: 2s } }\n",
    )
    .await;
    for id in ["1", "2"] {
        let answer = tidegate
            .send("POST", "/events", &binary(id, "/s", "t.v1"), b"{}")
            .await;
        assert_eq!(answer.status, 204);
    }
    tidegate
        .metric_reaches("tidegate_backbone_events_expired_total", 2.0)
        .await;
    tidegate.log_says("had not settled").await;
    let log = tidegate.log();
    for what in [
        "will be deleted by backbone.events.age_max",
        "had not settled",
    ] {
        let told: Vec<&str> = log.lines().filter(|line| line.contains(what)).collect();
        assert!(!told.is_empty(), "{what}");
        let are_slow = told.iter().all(|line| line.contains("default/slow"));
        assert!(are_slow, "{told:?}");
    }
    let missed = tidegate
        .metric("tidegate_backbone_events_missed_total")
        .await;
    assert!((missed - 2.0).abs() < 0.1, "{missed}");
}

/// A full log refuses and evicts nothing.
#[tokio::test]
async fn a_full_log_answers_507() {
    let tidegate = Tidegate::up(
        // Never settled, so nothing may be purged to make room.
        &subscription("stuck", "/s", "t.v1", "http://127.0.0.1:9/"),
        "backbone: { events: { size_max: 256KiB } }\n",
    )
    .await;
    let body = vec![b'x'; 32 << 10];
    let mut stored = 0;
    let refused = loop {
        let id = stored.to_string();
        let mut headers = binary(&id, "/s", "t.v1");
        headers.pop();
        headers.push(("content-type", "text/plain"));
        let answer = tidegate.send("POST", "/events", &headers, &body).await;
        if answer.status != 204 {
            break answer;
        }
        stored += 1;
        assert!(stored < 20, "the log takes more than its size");
    };
    assert_eq!(refused.status, 507, "{}", refused.text());
    let problem: Value = serde_json::from_str(&refused.text()).unwrap();
    assert_eq!(problem["code"], "publish/storage-full");
    assert!(stored > 3);
}

/// When the log is away for longer than a request waits, the sender is told when to come again, and
/// probes are told so when it has been away for long enough.
#[tokio::test]
async fn an_unreachable_log_answers_503_with_retry_after() {
    let tidegate = Tidegate::up("", "publish: { deadline: 500ms }\n").await;
    signal(tidegate.nats_pid, "STOP");
    let answer = tidegate
        .send("POST", "/events", &binary("1", "/s", "t.v1"), b"{}")
        .await;
    let unready = async {
        while tidegate.send("GET", "/readyz", &[], b"").await.status != 503 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let unready = tokio::time::timeout(PATIENCE, unready).await;
    signal(tidegate.nats_pid, "CONT");
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert!(answer.header("retry-after").is_some());
    unready.expect("probes were never told that the log is away");
}

/// What no attempt delivers becomes a dead letter, and the Subscription goes on.
#[tokio::test]
async fn what_cannot_be_delivered_becomes_a_dead_letter() {
    let function = Sink::start(|request| {
        if request.header("ce-id") == Some("poison") {
            400_u16
        } else {
            200
        }
    })
    .await;
    let tidegate = Tidegate::up(&subscription("all", "/s", "t.v1", &function.url()), "").await;
    for id in ["poison", "2"] {
        tidegate
            .send("POST", "/events", &binary(id, "/s", "t.v1"), b"{}")
            .await;
    }
    function.received(2).await;
    tidegate
        .metric_reaches("tidegate_consume_dead_letters_total", 1.0)
        .await;
    assert_eq!(function.count(), 2, "a final refusal was tried again");
}

/// Who looks is told how each stands, what waits for it, and which documents are no use.
#[tokio::test]
async fn subscriptions_are_listed_as_they_stand() {
    let function = Sink::start(|_| 200_u16).await;
    let own = |name: &str, pause: bool| {
        format!(
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: {name} }}\n\
             spec: {{ sink: {{ uri: '{}' }}, pause: {pause} }}\n",
            function.url()
        )
    };
    let documents = own("runs", false) + &own("paused", true);
    let tidegate = Tidegate::up(&documents, "").await;
    tidegate
        .send("POST", "/events", &binary("1", "/s", "t.v1"), b"{}")
        .await;
    function.answered(1).await;
    let asked = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .arg("subscriptions")
            .args(arguments)
            .args(["--admin", &format!("http://{}", tidegate.admin)])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = asked(&["show", "runs"]);
    assert_eq!(code, Some(0), "{text}");
    for part in [
        "default/runs\n",
        "undelivered       0\n",
        "Open, since 20",
        &function.url(),
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    let (code, text) = asked(&["show", "default/paused"]);
    assert_eq!(code, Some(0), "a pause is meant: {text}");
    assert!(text.contains("undelivered       1\n"), "{text}");
    assert_eq!(asked(&["show", "elsewhere/runs"]).0, Some(1));
    let (code, text) = asked(&["list"]);
    assert!(
        text.contains("default/paused  Paused  undelivered 1"),
        "{text}"
    );
    assert!(text.contains("default/runs  Open  undelivered 0"), "{text}");
    assert_eq!(code, Some(0), "a pause is meant: {text}");
    fs::write(
        tidegate.subscriptions().join("bad.yaml"),
        "kind: Subscription\n",
    )
    .unwrap();
    tidegate.log_says("bad.yaml").await;
    let (code, text) = asked(&["list"]);
    assert!(text.contains("bad.yaml:1"), "{text}");
    assert_eq!(code, Some(1));
}

/// Where nobody is at the address that was given, it says which one, and what to do.
#[test]
fn an_address_without_nats_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["up", "--nats", "nats://user:secret@127.0.0.1:1"])
        .arg("--data-dir")
        .arg(folder.path())
        .env("TIDEGATE__ADMIN__LISTEN", "127.0.0.1:0")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in ["127.0.0.1:1: ", "start a nats-server there"] {
        assert_eq!(said.matches(part).count(), 1, "{said}");
    }
    assert!(!said.contains("secret"), "{said}");
}

/// Two processes that share consumers in different ways would deliver everything twice.
#[tokio::test]
async fn processes_that_share_differently_are_told_apart() {
    let nats = NatsServer::start().await;
    let url = nats.url();
    let arguments = ["--nats", url.as_str()];
    let first = Tidegate::up_with("", "", &arguments).await;
    let second = |shared: bool, shards: u32| {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready.json");
        let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
            .args(["up", "--nats", &url])
            .arg("--data-dir")
            .arg(folder.path())
            .arg("--ready-file")
            .arg(&ready)
            .env("TIDEGATE__RECEIVE__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE__ADMIN__LISTEN", "127.0.0.1:0")
            .env("TIDEGATE__CONSUME__SHARED__ENABLED", shared.to_string())
            .env("TIDEGATE__CONSUME__SHARED__SHARDS", shards.to_string())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let began = Instant::now();
        let ended = loop {
            let ended = child.try_wait().unwrap();
            if ended.is_some() || ready.exists() {
                break ended;
            }
            assert!(began.elapsed() < PATIENCE, "it does not begin");
            std::thread::sleep(Duration::from_millis(10));
        };
        child.kill().ok();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (ended.and_then(|ended| ended.code()), said)
    };
    for (shared, shards) in [(!crate::IS_SHARED, 1), (true, 3)] {
        let (code, said) = second(shared, shards);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("consume.shared: another process"), "{said}");
    }
    let (code, said) = second(crate::IS_SHARED, 1);
    assert_eq!(code, None, "{said}");
    drop(first);
}
