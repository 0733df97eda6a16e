//! The load driver: how many events a second a door takes durably, and what that costs; and what
//! bad sinks do to delivery.
//!
//! `publish` is a closed loop, one thread, HTTP/1.1 by hand: it costs little beside what it measures. A run that
//! is wrong fails: an answer other than 2xx, a foreign listener on the port, fewer events stored
//! than acknowledged.
#![expect(clippy::print_stdout, reason = "the result is for standard output")]

mod driver;
mod function;
mod guard;
mod handover;
mod isolation;
mod jetstream;
mod mesh;
mod nats;
mod process;
mod recovery;
mod report;
mod schedule;

use std::time::Duration;

use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};

use self::report::{Run, summarize};

/// Drives a door that takes CloudEvents and says what it took and cost.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish events over HTTP, each answered before the next on its connection
    #[command(
        after_help = "Example:\n  loadtest publish --url http://127.0.0.1:8080/publish --pid tidegate=4711"
    )]
    Publish(Publish),
    /// What a dead sink and a slow one cost 98 others, side by side with a run without them
    #[command(
        after_help = "Example:\n  loadtest isolation --tidegate target/release/tidegate --nats-server nats-server"
    )]
    Isolation(isolation::Isolation),
    /// A sink that slows from 5 ms to 2 s and recovers: the window, and when throughput is back
    #[command(
        after_help = "Example:\n  loadtest recovery --tidegate target/release/tidegate --nats-server nats-server --svg plot.svg"
    )]
    Recovery(recovery::Recovery),
    /// Two tidegates on one NATS, killed in turn: what is lost, repeated or out of order
    #[command(
        after_help = "Example:\n  loadtest handover --tidegate target/release/tidegate --nats-server nats-server"
    )]
    Handover(handover::Handover),
}

#[derive(Clone, Debug, Args)]
struct Publish {
    /// The door
    #[arg(long, default_value = "http://127.0.0.1:8080/publish")]
    url: String,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 256)]
    connections: usize,
    /// Seconds of each run that count
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Seconds before them
    #[arg(long, default_value_t = 2)]
    warmup: u64,
    /// Runs; the median counts
    #[arg(long, default_value_t = 3)]
    repeat: usize,
    /// Bytes of each event's data
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// How an event travels
    #[arg(long, value_enum, default_value_t = Mode::Binary)]
    mode: Mode,
    /// Events in a batch
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// A process to account for, as NAME=PID; the first must be the one that listens
    #[arg(long = "pid", value_name = "NAME=PID")]
    pids: Vec<String>,
    /// The NATS server with the events stream: to count what is stored, and for a baseline that
    /// publishes straight to JetStream in the same run
    #[arg(long)]
    nats: Option<String>,
    /// The events stream
    #[arg(long, default_value = "TIDEGATE_EVENTS")]
    stream: String,
    /// A subject of that stream for the baseline
    #[arg(long, default_value = "tidegate.events.loadtest.baseline")]
    subject: String,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// Attributes as headers
    Binary,
    /// One JSON document
    Structured,
    /// A JSON array of events
    Batch,
}

fn main() -> anyhow::Result<()> {
    let command = Cli::parse().command;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async {
        match command {
            Command::Publish(arguments) => publish(&arguments).await,
            Command::Isolation(arguments) => isolation::run(&arguments).await,
            Command::Recovery(arguments) => recovery::run(&arguments).await,
            Command::Handover(arguments) => handover::run(&arguments).await,
        }
    })
}

async fn publish(arguments: &Publish) -> anyhow::Result<()> {
    let target = driver::Target::of(arguments)?;
    let processes = process::named(&arguments.pids)?;
    if let Some(first) = processes.first() {
        guard::only_listener(target.address(), first.pid)?;
    }
    let log = match &arguments.nats {
        Some(url) => Some(jetstream::Stream::open(url, arguments).await?),
        None => None,
    };
    let mut runs = Vec::new();
    for number in 1..=arguments.repeat {
        eprintln_progress(number, arguments);
        let baseline = match &log {
            Some(log) => Some(
                log.baseline(arguments.bytes, Duration::from_secs(2))
                    .await?,
            ),
            None => None,
        };
        driver::drive(
            &target,
            arguments.connections,
            Duration::from_secs(arguments.warmup),
        )
        .await
        .context("warm-up")?;
        let stored_before = stored(log.as_ref()).await?;
        let before = process::usage(&processes)?;
        let driven = driver::drive(
            &target,
            arguments.connections,
            Duration::from_secs(arguments.seconds),
        )
        .await?;
        let after = process::usage(&processes)?;
        let stored = stored(log.as_ref())
            .await?
            .zip(stored_before)
            .map(|(now, then)| now - then);
        guard::stored_at_least(stored, driven.events)?;
        runs.push(Run::of(
            &driven,
            baseline,
            &process::cpu(&processes, &before, &after),
        ));
    }
    let summary = summarize(arguments, &runs);
    println!(
        "{}",
        if arguments.json {
            summary.json()
        } else {
            summary.table()
        }
    );
    Ok(())
}

async fn stored(log: Option<&jetstream::Stream>) -> anyhow::Result<Option<u64>> {
    match log {
        Some(log) => log.last_sequence().await.map(Some),
        None => Ok(None),
    }
}

#[expect(clippy::print_stderr, reason = "progress is for people")]
fn eprintln_progress(number: usize, arguments: &Publish) {
    eprintln!(
        "run {number} of {}: {} connections, {} s after {} s",
        arguments.repeat, arguments.connections, arguments.seconds, arguments.warmup
    );
}
