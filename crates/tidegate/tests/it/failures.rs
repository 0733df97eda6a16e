//! kill -9 in the middle of a load: every event answered with 2xx reaches the sink.

use std::{collections::HashSet, fs};

use tidegate_testkit::signal;

use crate::harness::{
    ListenProcess, Progress, Tidegate, free_address, numbers, publish_all, subscription,
};

const EVENTS: usize = 5_000;
const KILL_AFTER: usize = 1_500;

/// What a process that is killed held may come again, and no more: as many events of a
/// Subscription as it may have in memory, by the default of `consume.held_max`.
const DUPLICATES_MAX: usize = 2_048;

/// Short, so that what a killed process held comes again soon; and so many attempts that no outage
/// of these tests makes dead letters, however slow the machine is.
const CONFIGURATION: &str = "consume: { ack_wait: 2s, \
                             retry: { attempts_max: 10000, backoff_delay: 100ms, backoff_max: 1s } }\n\
                             deliver: { timeout: 5s, connect_timeout: 1s }\n";

async fn loaded(
    sink: std::net::SocketAddr,
) -> (Tidegate, Progress, tokio::task::JoinHandle<usize>) {
    under_load(Tidegate::down(&document(sink), CONFIGURATION, &[])).await
}

fn document(sink: std::net::SocketAddr) -> String {
    subscription("all", "/load", "load.v1", &format!("http://{sink}/"))
        + "  config: { maxInFlightMessages: \"50\" }\n"
}

async fn under_load(
    mut tidegate: Tidegate,
) -> (Tidegate, Progress, tokio::task::JoinHandle<usize>) {
    tidegate.start().await;
    let progress = Progress::default();
    let load = tokio::spawn({
        let (address, progress) = (tidegate.receive, progress.clone());
        async move { publish_all(address, "/load", "load.v1", EVENTS, progress).await }
    });
    progress.reached(KILL_AFTER).await;
    (tidegate, progress, load)
}

/// Everything arrived, and few of it twice.
fn judge(what: &str, received: &[String], failures: usize, tidegate: &Tidegate) {
    let distinct: HashSet<String> = received.iter().cloned().collect();
    let lost: Vec<_> = numbers(EVENTS)
        .difference(&distinct)
        .take(5)
        .cloned()
        .collect();
    let duplicates = received.len() - distinct.len();
    println!("{what} killed: {failures} failed requests, {duplicates} duplicates");
    assert!(lost.is_empty(), "lost {lost:?}: {}", tidegate.log());
    assert!(duplicates <= DUPLICATES_MAX, "{duplicates} duplicates");
}

/// The log's server may die at any moment; an acknowledgement outlives it.
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_nats_server_is_killed() {
    let function = ListenProcess::start(free_address()).await;
    let (tidegate, _, load) = loaded(function.address).await;
    signal(tidegate.nats_pid, "KILL");
    let failures = load.await.unwrap();
    function.received(EVENTS).await;
    judge("nats-server", &function.ids(), failures, &tidegate);
}

/// The same where many events are committed with one sync; the server is told to.
#[tokio::test]
async fn nothing_on_disk_is_lost_when_nats_server_is_killed() {
    let Some(binary) = tidegate_testkit::fsync_nats_server_binary() else {
        println!("skipped: TIDEGATE_NATS_SERVER_FSYNC is not set");
        return;
    };
    let function = ListenProcess::start(free_address()).await;
    let configuration = format!("{CONFIGURATION}backbone: {{ durability: fsync }}\n");
    let mut tidegate = Tidegate::down(&document(function.address), &configuration, &[]);
    tidegate.nats_server = binary;
    let (tidegate, _, load) = under_load(tidegate).await;
    let told = fs::read_to_string(tidegate.data_dir().join("nats/nats-server.conf")).unwrap();
    assert!(told.contains("sync_interval: always"), "{told}");
    signal(tidegate.nats_pid, "KILL");
    let failures = load.await.unwrap();
    function.received(EVENTS).await;
    judge("nats-server", &function.ids(), failures, &tidegate);
}

/// The gateway and dispatcher may die at any moment, leaving their nats-server behind.
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_tidegate_is_killed() {
    let function = ListenProcess::start(free_address()).await;
    let (mut tidegate, _, load) = loaded(function.address).await;
    tidegate.kill();
    tidegate.start().await;
    let failures = load.await.unwrap();
    assert!(failures > 0, "the kill was not felt");
    function.received(EVENTS).await;
    judge("tidegate", &function.ids(), failures, &tidegate);
}

/// A Function may die with requests in its hands.
#[tokio::test]
async fn nothing_acknowledged_is_lost_when_the_sink_is_killed() {
    let mut first = ListenProcess::start(free_address()).await;
    let (tidegate, progress, load) = loaded(first.address).await;
    first.received(500).await;
    first.kill();
    let before = first.ids();
    progress.reached(KILL_AFTER + 500).await;
    let second = ListenProcess::start(first.address).await;
    let failures = load.await.unwrap();
    assert_eq!(failures, 0, "a dead sink is no concern of a publisher");
    let seen: HashSet<String> = before.iter().cloned().collect();
    second.received_beside(&seen, EVENTS).await;
    judge(
        "the sink",
        &[before, second.ids()].concat(),
        failures,
        &tidegate,
    );
}
