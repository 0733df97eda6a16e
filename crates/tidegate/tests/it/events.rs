//! Which events are stored, and what happened to each: by the command line, and as an operator is
//! told to find it out.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::Value;
use tidegate_testkit::{Collector, Sink};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::harness::{PATIENCE, Tidegate, binary, subscription};

const TYPE: &str = "order.created.v1";

/// What is noted is found soon.
const CONFIGURATION: &str = "\
history: { flush_interval: 20ms }
consume: { retry: { attempts_max: 3, backoff_delay: 50ms, backoff_max: 50ms } }
";

fn tidegate(tidegate: &Tidegate, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(arguments)
        .args(["--admin", &format!("http://{}", tidegate.admin)])
        .output()
        .unwrap()
}

/// What a command says that succeeds.
fn said(of: &Tidegate, arguments: &[&str]) -> String {
    let output = tidegate(of, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {out}{error}");
    out
}

fn json(of: &Tidegate, arguments: &[&str]) -> Vec<Value> {
    let text = said(of, &[arguments, &["--output", "json"]].concat());
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The story of an event, as soon as it ends so.
async fn story(of: &Tidegate, number: &str, ends: &[&str]) -> Vec<Value> {
    let began = Instant::now();
    loop {
        let shown = json(of, &["events", "show", number]).remove(0);
        let history = shown["history"].as_array().unwrap().clone();
        let is_told = |end: &&str| history.iter().any(|step| step["what"] == **end);
        if ends.iter().all(is_told) {
            return history;
        }
        assert!(began.elapsed() < PATIENCE, "{shown}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn publish(to: &Tidegate, id: &str) {
    let answer = to
        .send(
            "POST",
            "/commerce/events",
            &binary(id, "commerce", TYPE),
            b"{}",
        )
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
}

/// From whom it came, each attempt with its answer, and what follows; also after a restart.
#[tokio::test]
async fn each_attempt_is_told() {
    let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let flaky = Sink::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => 503_u16,
        _ => 200,
    })
    .await;
    let well = Sink::start(|_| 204_u16).await;
    let documents = subscription("flaky", "commerce", TYPE, &flaky.url())
        + &subscription("well", "commerce", TYPE, &well.url())
        + &subscription("other", "commerce", "another.v1", &well.url());
    let mut tidegate = Tidegate::up(&documents, CONFIGURATION).await;
    publish(&tidegate, "a-1").await;
    flaky.answered(2).await;
    well.answered(1).await;
    story(&tidegate, "1", &["received", "again", "delivered"]).await;
    tidegate.terminate().await;
    tidegate.start().await;
    let history = story(&tidegate, "1", &["received", "again", "delivered"]).await;
    let told: Vec<_> = history
        .iter()
        .map(|step| {
            let text = |name: &str| step[name].as_str().unwrap_or_default().to_owned();
            (
                text("what"),
                text("application") + &text("subscription"),
                step["attempt"].as_u64(),
                step["status"].as_u64(),
            )
        })
        .collect();
    let expected =
        |what: &str, who: &str, attempt, status| (what.to_owned(), who.to_owned(), attempt, status);
    assert_eq!(told.len(), 4, "{history:?}");
    for one in [
        expected("received", "commerce", None, None),
        expected("again", "default/flaky", Some(1), Some(503)),
        expected("delivered", "default/flaky", Some(2), Some(200)),
        expected("delivered", "default/well", Some(1), Some(204)),
    ] {
        assert!(told.contains(&one), "{one:?} in {told:?}");
    }
    let shown = json(&tidegate, &["events", "show", "a-1"]).remove(0);
    let standings = shown["subscriptions"].as_array().unwrap();
    assert_eq!(standings.len(), 2, "who does not want it is not told of");
    assert!(standings.iter().all(|one| one["state"] == "delivered"));
    assert_eq!(shown["event"]["id"], "a-1");
}

/// By what they are, when they came, and page by page.
#[tokio::test]
async fn events_are_found() {
    let tidegate = Tidegate::up("", CONFIGURATION).await;
    for number in 0..30 {
        publish(&tidegate, &format!("a-{number}")).await;
    }
    let answer = tidegate
        .send("POST", "/events", &binary("b-1", "/hr", "hired.v1"), b"{}")
        .await;
    assert_eq!(answer.status, 204);
    let ids = |arguments: &[&str]| {
        let found = json(&tidegate, &[&["events", "find"], arguments].concat());
        let ids = found
            .iter()
            .map(|event| event["id"].as_str().unwrap().to_owned());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(&[]).len(), 31);
    assert_eq!(ids(&["--limit", "7"]).len(), 7);
    assert_eq!(ids(&["--source", "/hr"]), ["b-1"]);
    assert_eq!(ids(&["--type", "hired.v1", "--since", "1h"]), ["b-1"]);
    assert_eq!(ids(&["--id", "a-17"]), ["a-17"]);
    assert_eq!(
        ids(&["--filter", "id LIKE 'a-2_' AND type LIKE 'order%'"]).len(),
        10
    );
    assert!(ids(&["--until", "1h"]).is_empty());
    assert!(ids(&["--type", "nobody.v1"]).is_empty());
    let tail = said(&tidegate, &["events", "find", "--source", "/hr"]);
    assert!(tail.starts_with("31  "), "{tail}");

    let fails = |arguments: &[&str], says: &str| {
        let output = self::tidegate(&tidegate, arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{said}");
    };
    fails(&["events", "show", "4711"], "no event 4711");
    fails(&["events", "show", "c-1"], "no event has the id \"c-1\"");
    fails(&["events", "find", "--filter", "id LIKE"], "filter: ");
}

/// A reader of a tail, on a connection of its own.
struct Reader(BufReader<TcpStream>);

impl Reader {
    /// It follows when this returns.
    async fn follow(of: &Tidegate, query: &str) -> Self {
        let mut stream = TcpStream::connect(of.admin).await.unwrap();
        let request = format!("GET /api/v1/events/tail{query} HTTP/1.1\r\nhost: test\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reader = Self(BufReader::new(stream));
        assert!(reader.line("HTTP/1.1 ").await.starts_with("200"));
        reader
    }

    /// What stands behind the next one of these.
    async fn line(&mut self, begins: &str) -> String {
        let find = async {
            loop {
                let mut line = String::new();
                let bytes = self.0.read_line(&mut line).await.unwrap();
                assert!(bytes > 0, "it ended before {begins:?}");
                if let Some(rest) = line.strip_prefix(begins) {
                    return rest.trim_end().to_owned();
                }
            }
        };
        tokio::time::timeout(PATIENCE, find).await.unwrap()
    }

    async fn data(&mut self) -> Value {
        serde_json::from_str(&self.line("data: ").await).unwrap()
    }
}

/// Those that come are told as they come, and no others; whoever comes again goes on.
#[tokio::test]
async fn a_tail_follows() {
    let tidegate = Tidegate::up("", CONFIGURATION).await;
    publish(&tidegate, "before").await;
    let mut all = Reader::follow(&tidegate, "").await;
    let mut some = Reader::follow(&tidegate, "?filter=id%20LIKE%20%27b%25%27").await;
    for id in ["a-1", "b-1", "a-2", "b-2"] {
        publish(&tidegate, id).await;
    }
    for id in ["a-1", "b-1", "a-2", "b-2"] {
        assert_eq!(all.data().await["id"], id);
    }
    for (id, sequence) in [("b-1", 3), ("b-2", 5)] {
        assert_eq!(some.line("id: ").await, sequence.to_string());
        assert_eq!(some.data().await["id"], id);
    }
    let mut again = Reader::follow(&tidegate, "?from=4").await;
    assert_eq!(again.data().await["id"], "a-2");
}

/// The command prints them, and ends after as many as it was told.
#[tokio::test]
async fn a_tail_is_printed() {
    let tidegate = Tidegate::up("", CONFIGURATION).await;
    let tail = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["events", "tail", "--source", "commerce", "--count", "3"])
        .args(["--admin", &format!("http://{}", tidegate.admin)])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let ended = Arc::new(AtomicBool::new(false));
    let waiting = tokio::task::spawn_blocking({
        let ended = Arc::clone(&ended);
        move || {
            let output = tail.wait_with_output();
            ended.store(true, Ordering::SeqCst);
            output
        }
    });
    // It follows from when it was started on, which is soon.
    let began = Instant::now();
    let mut number = 0;
    while !ended.load(Ordering::SeqCst) {
        publish(&tidegate, &format!("a-{number}")).await;
        number += 1;
        assert!(began.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let output = waiting.await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
}

/// A reader that is far behind is told so by a last event, and let go; the others go on.
#[tokio::test]
async fn a_reader_that_is_far_behind_is_let_go() {
    const BEHIND_MAX: usize = 10_000;
    let tidegate = Tidegate::up("", CONFIGURATION).await;
    let event = |number: usize| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{number}\",\"source\":\"/s\",\"type\":\"{TYPE}\"}}"
        )
    };
    for first in (0..=BEHIND_MAX).step_by(100) {
        let events: Vec<String> = (first..first + 100).map(event).collect();
        let batch = format!("[{}]", events.join(","));
        let headers = [("content-type", "application/cloudevents-batch+json")];
        let answer = tidegate
            .send("POST", "/events", &headers, batch.as_bytes())
            .await;
        assert_eq!(answer.status, 204, "{}", answer.text());
    }
    let mut live = Reader::follow(&tidegate, "").await;
    let mut behind = Reader::follow(&tidegate, "?from=1").await;
    assert_eq!(behind.line("event: ").await, "end");
    let end = behind.data().await;
    assert_eq!(end["code"], "admin/too-slow", "{end}");
    assert_eq!(end["next"], 1, "{end}");
    assert_eq!(behind.line("0").await, "", "the answer ends");
    publish(&tidegate, "a-1").await;
    assert_eq!(live.data().await["id"], "a-1");
}

/// What the page tells an operator to run.
fn commands_of_the_page() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = page.join("../../docs/operations/where-is-my-event.md");
    let page = fs::read_to_string(page).unwrap();
    let mut is_shell = false;
    let mut commands = Vec::new();
    for line in page.lines() {
        match line {
            "```sh" => is_shell = true,
            "```" => is_shell = false,
            line if is_shell => commands.extend(line.strip_prefix("tidegate ").map(str::to_owned)),
            _ => {}
        }
    }
    commands
}

/// In a tracing tool there is the same, by the id that was shown.
async fn is_traced(collector: &Collector, story_of_it: &str) {
    let trace = story_of_it
        .lines()
        .find_map(|line| line.trim().strip_prefix("trace "));
    let trace = trace.unwrap().trim();
    let (span, _) = collector.spans(1).await.remove(0);
    assert_eq!(
        (&span["traceId"], &span["name"]),
        (&trace.into(), &"deliver default/billing".into())
    );
    let error = span["attributes"].as_array().unwrap().iter();
    let mut error = error.filter(|attribute| attribute["key"] == "error.type");
    assert_eq!(
        error.next().unwrap()["value"]["stringValue"],
        "deliver/status-rejected"
    );
}

/// The page that tells an operator how: each of its commands, in its order, with the numbers of
/// this event in the place of the page's.
#[tokio::test]
async fn the_page_leads_to_the_event() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let sink = Sink::start(move |_| match is_mended.load(Ordering::SeqCst) {
        true => 204_u16,
        false => 422,
    })
    .await;
    let document = subscription("billing", "commerce", TYPE, &sink.url());
    let collector = Collector::start().await;
    let telemetry = collector.as_ref().map_or_else(String::new, |collector| {
        format!(
            "telemetry: {{ otlp: {{ endpoint: \"http://{}\" }} }}\n",
            collector.http
        )
    });
    let tidegate = Tidegate::up(&document, &format!("{CONFIGURATION}{telemetry}")).await;
    publish(&tidegate, "10000481").await;
    story(&tidegate, "1", &["deadLetter"]).await;

    let commands = commands_of_the_page();
    let mut said_last = Vec::new();
    for command in &commands {
        let command = command.replace("4711", "1").replace("17", "1");
        if command.contains("redrive") {
            mended.store(true, Ordering::SeqCst);
        }
        let arguments: Vec<&str> = command.split_whitespace().collect();
        said_last.push((command.clone(), said(&tidegate, &arguments)));
    }
    let told = |part: &str| {
        let found = said_last
            .iter()
            .find(|(command, _)| command.starts_with(part));
        found
            .unwrap_or_else(|| panic!("{part}: {commands:?}"))
            .1
            .clone()
    };
    assert!(told("events find").contains("10000481"));
    let story_of_it = told("events show");
    assert!(
        story_of_it.contains("received from commerce"),
        "{story_of_it}"
    );
    assert!(
        story_of_it.contains("default/billing  attempt 1  422"),
        "{story_of_it}"
    );
    assert!(
        story_of_it.contains("tidegate dead-letters redrive 1"),
        "{story_of_it}"
    );
    assert!(told("dead-letters redrive").contains("1 redriven"));
    let history = story(&tidegate, "1", &["delivered"]).await;
    assert_eq!(history.last().unwrap()["replay"], "redrive");
    let shown = json(&tidegate, &["events", "show", "1"]).remove(0);
    assert_eq!(shown["subscriptions"][0]["state"], "delivered");
    let Some(collector) = collector else {
        return eprintln!("skipped: TIDEGATE_OTEL_COLLECTOR is not set; no trace was looked for");
    };
    is_traced(&collector, &story_of_it).await;
}
