//! What a batch request would cost as a fast batch of JetStream, beside each event for itself and all
//! at once: messages a second, and CPU of the server and of this client.
//!
//! `cargo xtask bench batches`. Both ways run against the same server in turn, so the ratio counts.
//! Behind `--`, `--json` gives the result as JSON, `--rounds N` and `--groups N` say how much is
//! measured, and with `--keep-ids` the server remembers the ids of all measurements before.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for people, on a server of its own"
)]

#[path = "batches/client.rs"]
mod client;

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::{Map, Value, json};
use tidegate_testkit::{NatsServer, fsync_nats_server_binary, nats_server_binary};
use tokio::time::timeout;

use crate::client::{Client, GROUP, Way, Write};

/// Rounds, of which the median counts: a round that something else disturbed does not.
const ROUNDS: usize = 5;

/// Groups of a measurement: long enough for the ticks in which the kernel counts CPU.
const GROUPS: usize = 300;

/// Longer than a measurement takes on a loaded machine; only ever reached by a failure.
const MEASUREMENT_MAX: Duration = Duration::from_secs(30);

/// What the server deletes behind its answer is not the next measurement's.
const DELETE_PAUSE: Duration = Duration::from_millis(50);

const MICROSECONDS_PER_TICK: f64 = 10_000.0;

const STREAM: &str = "BENCH";

/// How many groups are on their way at once, and how many of them mixed: a message of each in turn,
/// as what comes over several connections meets in the server. Otherwise one group follows another,
/// and the server never has two open.
#[derive(Clone, Copy)]
struct Flight {
    groups: usize,
    mixed: usize,
}

const FLIGHTS: [Flight; 4] = [flight(1, 1), flight(4, 1), flight(16, 1), flight(16, 4)];

/// What is measured, in order.
const FIGURES: [(&str, usize); 4] = [
    ("messages/s", 0),
    ("nats-server CPU µs/message", 1),
    ("client CPU µs/message", 2),
    ("answers/group", 1),
];

/// Of one figure: plain, fast, and fast / plain, the least first.
type Spreads = [Vec<f64>; 3];

/// What was measured, and its figures.
type Measured = (String, [Spreads; 4]);

const COLUMNS: [&str; 3] = ["plain", "fast", "fast / plain"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let rounds = number("--rounds").unwrap_or(ROUNDS).max(1);
    let groups = number("--groups").unwrap_or(GROUPS).max(16);
    let mut measured = Vec::new();
    for binary in [Some(nats_server_binary()), fsync_nats_server_binary()] {
        let Some(binary) = binary else { continue };
        let server = NatsServer::start_binary(binary, "").await;
        measured.extend(compare(&server, rounds, groups).await);
    }
    if is_asked("--json") {
        println!("{}", json(&measured, rounds));
    } else {
        table(&measured);
    }
}

const fn flight(groups: usize, mixed: usize) -> Flight {
    Flight { groups, mixed }
}

fn is_asked(argument: &str) -> bool {
    std::env::args().any(|one| one == argument)
}

/// The number behind an argument.
fn number(argument: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|one| one != argument);
    arguments.nth(1)?.parse().ok()
}

/// Everything on one server.
async fn compare(server: &NatsServer, rounds: usize, groups: usize) -> Vec<Measured> {
    let client = Client::open(&server.url()).await;
    for way in [Way::Plain, Way::Fast] {
        measure(server, way, FLIGHTS[0], groups).await;
    }
    let mut measured: Vec<Measured> = FLIGHTS.map(|flight| name(&client, flight)).into();
    for round in 0..rounds {
        for (flight, (_, figures)) in FLIGHTS.into_iter().zip(&mut measured) {
            // Neither always comes first.
            let [plain, fast] = if round % 2 == 0 {
                let plain = measure(server, Way::Plain, flight, groups).await;
                [plain, measure(server, Way::Fast, flight, groups).await]
            } else {
                let fast = measure(server, Way::Fast, flight, groups).await;
                [measure(server, Way::Plain, flight, groups).await, fast]
            };
            for (index, spreads) in figures.iter_mut().enumerate() {
                spreads[0].push(plain[index]);
                spreads[1].push(fast[index]);
                spreads[2].push(fast[index] / plain[index]);
            }
        }
    }
    for (_, figures) in &mut measured {
        for values in figures.iter_mut().flatten() {
            values.sort_by(f64::total_cmp);
        }
    }
    measured
}

fn name(client: &Client, Flight { groups, mixed }: Flight) -> Measured {
    let mixed = match mixed {
        1 => String::new(),
        _ => format!(", {mixed} of them mixed"),
    };
    let name = format!("{}, {groups} in flight{mixed}", client.version);
    (name, Default::default())
}

/// The stream as Tidegate has it, and open for fast batches; one that stands already stays. Each
/// measurement has its own unless ids are kept: with all of them in memory the server's collector of
/// garbage is a third of its CPU, and falls on either way.
async fn create(client: &mut Client) {
    let config = json!({
        "name": STREAM,
        "subjects": ["bench.>"],
        "storage": "file",
        "num_replicas": 1,
        "discard": "new",
        "max_bytes": 4_u64 << 30,
        "duplicate_window": 120_000_000_000_u64,
        "allow_direct": true,
        "allow_batched": true,
    });
    let subject = format!("$JS.API.STREAM.CREATE.{STREAM}");
    let answer = client.request(&subject, &config.to_string()).await;
    let allowed = answer.pointer("/config/allow_batched") == Some(&Value::Bool(true));
    let version = &client.version;
    assert!(
        allowed,
        "nats-server {version} has no fast batches, 2.14 has: {answer}"
    );
}

/// The [`FIGURES`] of so many groups.
async fn measure(server: &NatsServer, way: Way, flight: Flight, groups: usize) -> [f64; 4] {
    let mut client = Client::open(&server.url()).await;
    create(&mut client).await;
    let writes: Vec<Write> = (0..groups / flight.mixed)
        .map(|number| client.write(way, number * flight.mixed, flight.mixed))
        .collect();
    let pid = server.pid().unwrap();
    let (server_before, own_before) = (server_cpu(pid), own_cpu());
    let began = Instant::now();
    let answers = timeout(MEASUREMENT_MAX, client.run(way, &writes, flight.groups)).await;
    let seconds = began.elapsed().as_secs_f64();
    let (server_used, own_used) = (server_cpu(pid) - server_before, own_cpu() - own_before);

    let groups = u32::try_from(writes.len() * flight.mixed).unwrap();
    let messages = groups * u32::try_from(GROUP).unwrap();
    let api = |what| format!("$JS.API.STREAM.{what}.{STREAM}");
    let purged = client.request(&api("PURGE"), "").await;
    assert_eq!(purged["purged"], messages, "{purged}");
    if !is_asked("--keep-ids") {
        let deleted = client.request(&api("DELETE"), "").await;
        assert_eq!(deleted["success"], true, "{deleted}");
    }
    tokio::time::sleep(DELETE_PAUSE).await;
    let messages = f64::from(messages);
    [
        messages / seconds,
        server_used / messages,
        own_used / messages,
        f64::from(answers.expect("every group is acknowledged")) / f64::from(groups),
    ]
}

/// The CPU time of a process so far, in microseconds.
fn server_cpu(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // Behind the name, which may hold anything: the 12th and 13th.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let fields = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = fields.map(|ticks| ticks.parse::<u32>().unwrap()).sum();
    f64::from(ticks) * MICROSECONDS_PER_TICK
}

/// The same of this thread, which is all of the client. It is little for ticks.
fn own_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds = stat.split(' ').next().unwrap().parse().unwrap();
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6
}

fn table(measured: &[Measured]) {
    println!("| nats-server | figure | plain | fast | fast / plain |");
    println!("|---|---|---|---|---|");
    for (name, figures) in measured {
        for ((figure, digits), [plain, fast, ratio]) in FIGURES.iter().zip(figures) {
            println!(
                "| {name} | {figure} | {} | {} | {} |",
                range(plain, *digits),
                range(fast, *digits),
                range(ratio, 2)
            );
        }
    }
}

/// The median, the least and the most.
fn range(values: &[f64], digits: usize) -> String {
    let (least, median, most) = (
        values[0],
        values[values.len() / 2],
        values[values.len() - 1],
    );
    format!("{median:.digits$} [{least:.digits$}–{most:.digits$}]")
}

/// As the load driver has it.
fn json(measured: &[Measured], rounds: usize) -> Value {
    let spread = |values: &[f64]| {
        json!({
            "median": values[values.len() / 2], "least": values[0], "most": values[values.len() - 1],
        })
    };
    let figures = measured.iter().flat_map(|(name, figures)| {
        FIGURES
            .iter()
            .zip(figures)
            .map(move |((figure, _), spreads)| {
                let spreads = COLUMNS.iter().zip(spreads);
                let spreads = spreads.map(|(column, values)| ((*column).into(), spread(values)));
                let spreads: Map<String, Value> = spreads.collect();
                (format!("{name}, {figure}"), spreads.into())
            })
    });
    let figures: Map<String, Value> = figures.collect();
    json!({ "run": "batches of 100 events", "runs": rounds, "columns": COLUMNS, "figures": figures })
}
