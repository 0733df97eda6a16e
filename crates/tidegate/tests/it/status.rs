//! Whether all is well, what is stuck, and what to do about it, on one screen.

use std::{
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tidegate_testkit::Sink;

use crate::harness::{PATIENCE, Tidegate, binary, subscription};

const TYPE: &str = "order.created.v1";

const CONFIGURATION: &str = "\
consume:
  retry: { attempts_max: 10000, backoff_delay: 20ms, backoff_max: 20ms }
  breaker: { failures: 3, probe_delay: 20ms, probe_delay_max: 20ms }
";

/// The exit code and the screen.
fn status(of: &Tidegate, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["status", "--over", "10ms", "--admin"])
        .arg(format!("http://{}", of.admin))
        .args(arguments)
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout) + &text(&output.stderr),
    )
}

/// Until the screen says all of this.
async fn says(of: &Tidegate, arguments: &[&str], code: i32, parts: &[&str]) {
    let began = Instant::now();
    loop {
        let (have, text) = status(of, arguments);
        if have == Some(code) && parts.iter().all(|part| text.contains(part)) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{have:?}: {parts:?} in {text}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn publish(to: &Tidegate, id: &str) {
    let answer = to
        .send("POST", "/events", &binary(id, "/s", TYPE), b"{}")
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// A sink that is away is named with since when and what waits, a dead letter with its reason, each
/// with what to do; mended, all is well again. What others want and have is nobody's lag.
#[tokio::test]
async fn what_is_stuck_is_told_with_what_to_do() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let failing = Sink::start(move |_| match is_mended.load(Ordering::SeqCst) {
        true => 204_u16,
        false => 503,
    })
    .await;
    let refusing = Sink::start(|_| 422_u16).await;
    let well = Sink::start(|_| 204_u16).await;
    let documents = subscription("failing", "/s", TYPE, &failing.url())
        + &subscription("refusing", "/s", TYPE, &refusing.url())
        + &subscription("other", "/s", "another.v1", &well.url());
    let tidegate = Tidegate::up(&documents, CONFIGURATION).await;
    says(
        &tidegate,
        &["--stuck-after", "0s"],
        0,
        &[
            "delivery  well",
            "3 of 3 Subscriptions",
            "stuck     nothing",
        ],
    )
    .await;
    publish(&tidegate, "1").await;
    let sink = format!("next: mend {}", failing.url());
    says(
        &tidegate,
        &[],
        1,
        &[
            "stuck     default/failing  Sink  1 wait  since 20",
            "deliver/status-retryable",
            &sink,
            "stuck     default/refusing  DeadLetters  1 wait  since 20",
            "deliver/status-rejected",
            "next: tidegate dead-letters list --subscription default/refusing",
        ],
    )
    .await;
    let (_, text) = status(&tidegate, &["--stuck-after", "0s"]);
    assert!(!text.contains("default/other"), "{text}");
    mended.store(true, Ordering::SeqCst);
    let discarded = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["dead-letters", "discard", "1", "--admin"])
        .arg(format!("http://{}", tidegate.admin))
        .status()
        .unwrap();
    assert!(discarded.success());
    says(&tidegate, &[], 0, &["stuck     nothing"]).await;
}

/// What waits without any other trouble is stuck after the time that is asked for, and no sooner.
#[tokio::test]
async fn what_has_waited_for_long_is_behind() {
    let slow = Sink::slow(Duration::from_secs(600)).await;
    let document = subscription("slow", "/s", TYPE, &slow.url());
    let tidegate = Tidegate::up(&document, "shutdown: { grace: 10ms }\n").await;
    publish(&tidegate, "1").await;
    slow.received(1).await;
    let behind = "stuck     default/slow  Behind  1 wait  since 20";
    says(&tidegate, &["--stuck-after", "1ms"], 1, &[behind]).await;
    let (code, text) = status(&tidegate, &["--stuck-after", "1h"]);
    assert_eq!(code, Some(0), "{text}");
}
