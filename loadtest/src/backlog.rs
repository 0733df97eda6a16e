//! What waits in the log, delivered to one cheap sink: by Tidegate, and by the reference in the same
//! run.

use std::time::Duration;

use clap::{Args, value_parser};
use tokio::time::sleep;

use crate::{
    companion::Companion,
    driver::Pace,
    mesh::Binaries,
    output::Output,
    payload::Payload,
    process::{self, Named},
    progress::say,
    report::{Run, Summary},
    request::{Mode, Shape},
    stage::{Stage, subscription},
};

/// Events of each request that fills the log.
const BATCH: u64 = 100;

/// How long that may take.
const FILL_MAX: Duration = Duration::from_secs(300);

/// After a Subscription was taken away.
const CALM: Duration = Duration::from_secs(2);

#[derive(Clone, Debug, Args)]
pub(crate) struct Backlog {
    #[command(flatten)]
    binaries: Binaries,
    /// Events that wait
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(1_000..=2_000_000))]
    events: u64,
    /// Bytes of each event's data
    #[arg(long, default_value_t = 1_024)]
    bytes: usize,
    /// `maxInFlight` of the Subscription, and connections of the reference
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=1_024))]
    max_in_flight: u32,
    /// Pairs of runs; the median counts
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: &Backlog) -> anyhow::Result<()> {
    let mut stage = Stage::start(&arguments.binaries, |_| String::new()).await?;
    let events = arguments.events.next_multiple_of(BATCH);
    fill(arguments, &stage, events).await?;
    let mut pairs = Vec::new();
    for number in 1..=arguments.repeat {
        let by_tidegate = by_tidegate(arguments, &mut stage, events, number).await?;
        let by_reference = by_reference(arguments, &mut stage, events).await?;
        say(&format!(
            "pair {number} of {}: {:.0} and {:.0} deliveries/s",
            arguments.repeat,
            by_tidegate.first(),
            by_reference.first()
        ));
        pairs.push((by_tidegate, by_reference));
    }
    let title = format!(
        "a backlog of {events} events of {} bytes, {} at once, {} pairs",
        arguments.bytes, arguments.max_in_flight, arguments.repeat
    );
    let summary = Summary::of_pairs(title, ["tidegate", "reference"], &pairs);
    arguments.output.write(&summary, &[])
}

async fn fill(arguments: &Backlog, stage: &Stage, events: u64) -> anyhow::Result<()> {
    let shape = Shape {
        mode: Mode::Batch,
        payload: Payload::Uniform,
        bytes: arguments.bytes,
        batch: BATCH as usize,
        types: 1,
        is_timed: false,
    };
    let pace = Pace {
        connections: 16,
        time: FILL_MAX,
        rate: None,
        events: Some(events),
    };
    let filled = stage.publish(&shape, &pace, "filling the log").await?;
    anyhow::ensure!(
        filled.events == events,
        "the log was not filled in {FILL_MAX:?}"
    );
    Ok(())
}

async fn by_tidegate(
    arguments: &Backlog,
    stage: &mut Stage,
    events: u64,
    number: u32,
) -> anyhow::Result<Run> {
    let processes = stage.processes();
    stage.reset().await?;
    let before = process::usage(&processes)?;
    let name = format!("backlog-{number}");
    let document = subscription(&name, stage.sink.address, arguments.max_in_flight, "all");
    stage.mesh.subscribe(&document)?;
    let rate = stage.drained(events).await?;
    let after = process::usage(&processes)?;
    stage.mesh.subscribe("")?;
    // It has seen that nothing is wanted any more before the reference begins.
    sleep(CALM).await;
    figures(rate, events, &processes, &before, &after)
}

async fn by_reference(arguments: &Backlog, stage: &mut Stage, events: u64) -> anyhow::Result<Run> {
    stage.reset().await?;
    let mut processes = stage.processes();
    let before = process::usage(&processes)?;
    let sink = format!("http://{}/", stage.sink.address);
    let connections = arguments.max_in_flight.to_string();
    let reference = Companion::start(&[
        "reference-dispatcher",
        "--nats",
        &stage.nats.url,
        "--sink",
        &sink,
        "--connections",
        &connections,
    ])?;
    let rate = stage.drained(events).await?;
    // In Tidegate's place, and from its very start.
    let mut before = before;
    if let (Some(process), Some(before)) = (processes.first_mut(), before.first_mut()) {
        *process = Named::new("reference", reference.pid());
        *before = 0;
    }
    let after = process::usage(&processes)?;
    let run = figures(rate, events, &processes, &before, &after);
    drop(reference);
    run
}

fn figures(
    rate: f64,
    events: u64,
    processes: &[Named],
    before: &[u64],
    after: &[u64],
) -> anyhow::Result<Run> {
    let mut run = Run::default();
    run.add("deliveries/s", rate);
    for (name, micros) in process::cpu(processes, before, after) {
        run.add(
            &format!("CPU µs/delivery, {name}"),
            micros as f64 / events as f64,
        );
    }
    run.add_memory(processes)?;
    Ok(run)
}
