//! Stored events once more, by the command line.

use std::{
    collections::{BTreeSet, HashMap},
    process::{Command, Output},
    time::SystemTime,
};

use tidegate_testkit::{Received, Sink};

use crate::harness::{Progress, Tidegate, binary, publish_all, subscription};

/// Short, so that what a process held when it was killed comes again soon.
const CONFIGURATION: &str = "consume: { ack_wait: 1s }\n";

fn replay(tidegate: &Tidegate, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["replay", "--admin", &format!("http://{}", tidegate.admin)])
        .args(arguments)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// A gateway whose Subscription `default/all` has had so many events.
async fn with_events(sink: &Sink, count: usize) -> Tidegate {
    let document = subscription("all", "/s", "t.v1", &sink.url());
    let tidegate = Tidegate::up(&document, CONFIGURATION).await;
    publish(&tidegate, count).await;
    sink.answered(count).await;
    tidegate
}

async fn publish(tidegate: &Tidegate, count: usize) {
    publish_all(tidegate.receive, "/s", "t.v1", count, Progress::default()).await;
}

/// The ids of what a replay has sent.
fn replayed(received: &[Received]) -> Vec<usize> {
    let sent = received
        .iter()
        .filter(|one| one.header("ce-replayid").is_some());
    sent.map(|one| one.header("ce-id").unwrap().parse().unwrap())
        .collect()
}

/// Counted first, then delivered once more, each once and marked; what is not asked for stays.
#[tokio::test]
async fn stored_events_are_delivered_once_more() {
    let sink = Sink::start(|_| 204_u16).await;
    let tidegate = with_events(&sink, 100).await;
    let wanted = ["default/all", "--from", "1", "--filter", "INT(id) < 25"];
    let counted = replay(&tidegate, &[&wanted[..], &["--dry-run"]].concat());
    assert!(counted.status.success(), "{}", said(&counted));
    assert!(
        said(&counted).contains("25 would be delivered"),
        "{}",
        said(&counted)
    );
    assert_eq!(sink.count(), 100, "a dry run sends nothing");
    let done = replay(&tidegate, &wanted);
    assert!(done.status.success(), "{}", said(&done));
    assert!(said(&done).contains("25 delivered"), "{}", said(&done));
    let received = sink.received(125).await;
    let mut again = replayed(&received);
    again.sort_unstable();
    assert_eq!(again, (0..25).collect::<Vec<_>>());
    // The same event but for the mark.
    let live: HashMap<&str, &Received> = received[..100]
        .iter()
        .map(|one| (one.header("ce-id").unwrap(), one))
        .collect();
    for again in &received[100..] {
        assert_eq!(again.body, live[again.header("ce-id").unwrap()].body);
    }
    let listed = said(&replay(&tidegate, &["--list"]));
    assert_eq!(
        listed.matches("  done  delivered 25").count(),
        2,
        "{listed}"
    );
}

/// A replay has its time: nothing that was stored before or after.
#[tokio::test]
async fn a_replay_keeps_to_its_time() {
    let sink = Sink::start(|_| 204_u16).await;
    let tidegate = with_events(&sink, 10).await;
    let time = || humantime::format_rfc3339_nanos(SystemTime::now()).to_string();
    let since = time();
    for id in ["10", "11"] {
        tidegate
            .send("POST", "/events", &binary(id, "/s", "t.v1"), b"{}")
            .await;
    }
    let until = time();
    tidegate
        .send("POST", "/events", &binary("12", "/s", "t.v1"), b"{}")
        .await;
    let done = replay(
        &tidegate,
        &["default/all", "--since", &since, "--until", &until],
    );
    assert!(done.status.success(), "{}", said(&done));
    let mut again = replayed(&sink.received(15).await);
    again.sort_unstable();
    assert_eq!(again, [10, 11]);
}

/// It goes on after a crash, beside what comes, and nothing is left out.
#[tokio::test]
async fn a_replay_outlives_a_crash() {
    let sink = Sink::start(|_| 204_u16).await;
    let mut tidegate = with_events(&sink, 300).await;
    let begun = replay(
        &tidegate,
        &["default/all", "--from", "1", "--rate", "200", "--detach"],
    );
    let name = said(&begun).trim().to_owned();
    sink.received(350).await;
    tidegate.kill();
    tidegate.start().await;
    tidegate
        .send("POST", "/events", &binary("live", "/s", "t.v1"), b"{}")
        .await;
    tidegate.log_says("replay ended").await;
    let received = sink.received(601).await;
    let again: BTreeSet<usize> = replayed(&received).into_iter().collect();
    assert_eq!(again, (0..300).collect());
    let live = received
        .iter()
        .find(|one| one.header("ce-id") == Some("live"));
    assert_eq!(live.unwrap().header("ce-replayid"), None);
    let followed = replay(&tidegate, &["--follow", &name]);
    assert!(followed.status.success(), "{}", said(&followed));
}

/// One at a time for a Subscription; it is cancelled by name, and then sends nothing more.
#[tokio::test]
async fn a_replay_is_cancelled() {
    let sink = Sink::start(|_| 204_u16).await;
    let mut tidegate = with_events(&sink, 50).await;
    let slowly = ["default/all", "--from", "1", "--rate", "2", "--detach"];
    let name = said(&replay(&tidegate, &slowly)).trim().to_owned();
    let second = replay(&tidegate, &slowly);
    assert!(!second.status.success());
    assert!(
        said(&second).contains("admin/replay-runs"),
        "{}",
        said(&second)
    );
    let cancelled = replay(&tidegate, &["--cancel", &name]);
    assert!(
        said(&cancelled).contains("cancelled"),
        "{}",
        said(&cancelled)
    );
    // Another may begin, and only that one sends.
    let other = replay(&tidegate, &["default/all", "--from", "1"]);
    assert!(other.status.success(), "{}", said(&other));
    let received = sink.received(100).await;
    let of_first = |one: &&Received| one.header("ce-replayid") == Some(&*name);
    let before = received.iter().filter(of_first).count();
    assert!(before < 10, "{before} were sent before it was cancelled");
    assert_eq!(replayed(&received).len(), 50 + before);
    // Nor does it come back.
    tidegate.kill();
    tidegate.start().await;
    assert_eq!(said(&replay(&tidegate, &["--list"])), "");
    let none = said(&replay(&tidegate, &["--list", "--output", "json"]));
    assert_eq!(none, "{\"items\":[]}\n");
    for (arguments, code) in [
        (vec!["--cancel", &name], "admin/no-such-replay"),
        (
            vec!["default/nobody", "--from", "1"],
            "admin/no-subscription",
        ),
        (
            vec!["default/all", "--from", "1", "--filter", "id ="],
            "admin/invalid-body: filter",
        ),
        (
            vec!["default/all", "--since", "yesterday"],
            "admin/invalid-body",
        ),
    ] {
        let refused = replay(&tidegate, &arguments);
        assert_eq!(refused.status.code(), Some(1));
        assert!(said(&refused).contains(code), "{}", said(&refused));
    }
}

/// What cannot be delivered becomes a dead letter, as ever, and the command says so.
#[tokio::test]
async fn a_failing_replay_makes_dead_letters() {
    let sink = Sink::start(|received| match received.header("ce-replayid") {
        Some(_) => 400_u16,
        None => 204,
    })
    .await;
    let tidegate = with_events(&sink, 3).await;
    let failed = replay(&tidegate, &["default/all", "--from", "1"]);
    assert_eq!(failed.status.code(), Some(1));
    let said = said(&failed);
    assert!(
        said.contains("3 became dead letters: tidegate dead-letters"),
        "{said}"
    );
    // Once more, and at once: these are letters of their own, not the ones of before.
    let again = replay(&tidegate, &["default/all", "--from", "1"]);
    assert_eq!(again.status.code(), Some(1));
    let listed = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["dead-letters", "list", "--admin"])
        .arg(format!("http://{}", tidegate.admin))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&listed.stdout).lines().count(), 6);
}
