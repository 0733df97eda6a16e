//! What a server that syncs every write takes: events a second, committed together and each alone,
//! by as many publishers.
//!
//! `cargo xtask bench fsync`. Both ways run against the same server in turn, so the ratio counts. Behind
//! `--`, `--json` gives the result as JSON, and `--rounds N` and `--millis N` say how much is measured.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a program for people, on a server of its own"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Map, Value, json};
use tidegate_backbone::{
    Append, Config, Durability, Log as _, MessageId, jetstream::Jetstream, subject,
};
use tidegate_event::Event;
use tidegate_testkit::{NatsServer, fsync_nats_server_binary};
use tokio::task::LocalSet;

/// Rounds, of which the median counts: a round that something else disturbed does not.
const ROUNDS: usize = 5;

/// Milliseconds of a round: long enough for hundreds of syncs.
const ROUND_MILLIS: usize = 1_000;

/// Bytes of data of an event, as in the other benchmarks.
const DATA_BYTES: usize = 1_024;

const PUBLISHERS: [usize; 6] = [1, 8, 32, 64, 256, 1_024];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let Some(binary) = fsync_nats_server_binary() else {
        println!("skipped: TIDEGATE_NATS_SERVER_FSYNC is not set; use `cargo xtask bench fsync`");
        return;
    };
    let server = NatsServer::start_binary(binary, "jetstream { sync_interval: always }").await;
    let log = async |durability| {
        let config = Config {
            durability,
            ..Config::default()
        };
        Jetstream::connect(&config, &server.url(), "bench")
            .await
            .unwrap()
    };
    let together = log(Durability::Fsync).await;
    together.ensure().await.unwrap();
    let alone = log(Durability::Default).await;
    let round = u64::try_from(number("--millis").unwrap_or(ROUND_MILLIS)).unwrap();
    let round = Duration::from_millis(round);
    let mut measured = Vec::new();
    for publishers in PUBLISHERS {
        let mut rounds = Vec::new();
        for _ in 0..number("--rounds").unwrap_or(ROUNDS).max(1) {
            let (together, alone) = (
                rate(&together, publishers, round).await,
                rate(&alone, publishers, round).await,
            );
            rounds.push([together, alone, together / alone]);
        }
        let spreads = [0, 1, 2].map(|which| {
            let mut values: Vec<f64> = rounds.iter().map(|round| round[which]).collect();
            values.sort_by(f64::total_cmp);
            values
        });
        measured.push((publishers, spreads));
    }
    if std::env::args().any(|argument| argument == "--json") {
        println!("{}", json(&measured));
    } else {
        table(&measured);
    }
}

/// Publishers; and in order what came together, each alone, and the ratios.
type Measured = (usize, [Vec<f64>; 3]);

/// The number behind an argument.
fn number(argument: &str) -> Option<usize> {
    let mut arguments = std::env::args().skip_while(|one| one != argument);
    arguments.nth(1)?.parse().ok()
}

fn table(measured: &[Measured]) {
    println!("| publishers | together, events/s | each alone, events/s | ratio |");
    println!("|---|---|---|---|");
    for (publishers, [together, alone, ratio]) in measured {
        println!(
            "| {publishers} | {} | {} | {} |",
            range(together, 0),
            range(alone, 0),
            range(ratio, 1)
        );
    }
}

/// As the load driver has it.
fn json(measured: &[Measured]) -> Value {
    let columns = ["together", "each alone", "together / each alone"];
    let spread = |values: &[f64]| {
        json!({
            "median": values[values.len() / 2], "least": values[0], "most": values[values.len() - 1],
        })
    };
    let figures = measured.iter().map(|(publishers, spreads)| {
        let spreads = columns.iter().zip(spreads);
        let spreads = spreads.map(|(column, values)| ((*column).to_owned(), spread(values)));
        let spreads: Map<String, Value> = spreads.collect();
        (format!("{publishers} publishers, events/s"), spreads.into())
    });
    let figures: Map<String, Value> = figures.collect();
    let runs = measured
        .first()
        .map_or(0, |(_, [together, ..])| together.len());
    json!({ "run": "appends that are on disk", "runs": runs, "columns": columns, "figures": figures })
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

/// Each publisher waits for its answer before it appends again.
async fn rate(log: &Jetstream, publishers: usize, round: Duration) -> f64 {
    let stored = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks = LocalSet::new();
    for _ in 0..publishers {
        let (log, stored) = (log.clone(), Arc::clone(&stored));
        tasks.spawn_local(async move {
            while began.elapsed() < round {
                let kept = log.append(&append()).await.unwrap();
                assert!(!kept.duplicate);
                stored.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    tasks.await;
    let stored = u32::try_from(stored.load(Ordering::Relaxed)).unwrap();
    f64::from(stored) / began.elapsed().as_secs_f64()
}

/// As the publish stage makes it.
fn append() -> Append {
    let id = format!("{:032x}", fastrand::u128(..));
    let mut event = Event::new(&*id, "/bench", "bench.event.v1");
    event.datacontenttype = Some("application/json".into());
    event.data = Some(Bytes::from(vec![b'1'; DATA_BYTES]));
    Append {
        subject: subject::of("tidegate.events", &event.source, &event.r#type).unwrap(),
        message_id: Some(MessageId(id)),
        event,
    }
}
