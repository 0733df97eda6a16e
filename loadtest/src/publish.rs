//! One door, beside JetStream alone in the same run.

use std::{net::SocketAddr, time::Duration};

use clap::Args;

use crate::{
    baseline,
    jetstream::Stream,
    load::Load,
    measure::Door,
    output::Output,
    payload,
    report::{Run, Summary},
};

/// How long the baseline publishes in each run.
pub(crate) const BASELINE: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Args)]
pub(crate) struct Publish {
    /// The door
    #[arg(long, default_value = "http://127.0.0.1:8080/publish")]
    url: String,
    #[command(flatten)]
    load: Load,
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
    /// Delete everything in the stream before each run, so that long runs do not fill it
    #[arg(long, requires = "nats")]
    purge: bool,
    /// Tell how much a Tidegate allocates for each event; it has to be built with
    /// `--features count-allocations`, and costs more then
    #[arg(long, requires = "admin")]
    allocations: bool,
    /// Its admin door, for that
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: &Publish) -> anyhow::Result<()> {
    let Publish {
        url, load, pids, ..
    } = arguments;
    let stream = match &arguments.nats {
        Some(url) => Some(Stream::open(url, &arguments.stream).await?),
        None => None,
    };
    let mut door = Door::new(url, load, pids, stream).await?;
    door.count_allocations(arguments.admin.filter(|_| arguments.allocations));
    let mut runs = Vec::new();
    for number in 1..=load.repeat.get() {
        let says = format!("run {number} of {}", load.repeat);
        if arguments.purge {
            door.purge().await?;
        }
        let baseline = match &arguments.nats {
            Some(nats) => Some(alone(nats, &arguments.stream, &arguments.subject, load).await?),
            None => None,
        };
        let mut run = door.run(load, &says).await?;
        if let Some(baseline) = baseline {
            add_baseline(&mut run, baseline);
        }
        runs.push(run);
    }
    let summary = Summary::of(load.title(), &runs);
    let runs: Vec<(String, Run)> = (1..)
        .zip(runs)
        .map(|(number, run)| (format!("run {number}"), run))
        .collect();
    arguments.output.write(&summary, &runs)
}

/// The baseline with the same data.
pub(crate) async fn alone(
    nats: &str,
    stream: &str,
    subject: &str,
    load: &Load,
) -> anyhow::Result<f64> {
    let data = payload::cycle(load.payload, load.bytes as usize);
    baseline::publish(nats, stream, subject, &data, BASELINE).await
}

/// Puts it behind the rate.
pub(crate) fn add_baseline(run: &mut Run, baseline: f64) {
    let rate = run.first();
    let figures = [
        ("JetStream alone, messages/s", baseline),
        ("events/s over JetStream alone", rate / baseline),
    ];
    let figures = figures.map(|(name, figure)| (name.to_owned(), figure));
    run.figures.splice(1..1, figures);
}
