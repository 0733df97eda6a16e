//! Publishing and delivering at once: how much is sustained, and how long an event takes from end to
//! end at a given rate.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};

use crate::{
    driver::Pace,
    mesh::Binaries,
    metrics::Allocations,
    output::Output,
    payload::Payload,
    process::{self, Named},
    report::{Run, Summary},
    request::{Mode, Shape},
    stage::{Stage, subscription},
};

#[derive(Clone, Debug, Args)]
pub(crate) struct Together {
    #[command(flatten)]
    binaries: Binaries,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..))]
    connections: u16,
    /// Seconds of each run that count
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Seconds before them
    #[arg(long, default_value_t = 2)]
    warmup: u64,
    /// Events a second of the open loop
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..))]
    rate: u32,
    /// Bytes of each event's data
    #[arg(long, default_value_t = 1_024)]
    bytes: usize,
    /// `maxInFlight` of the Subscription
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..))]
    max_in_flight: u32,
    /// Only the closed loop, or only the open one
    #[arg(long, value_enum)]
    only: Option<Loop>,
    /// Tell how much Tidegate allocates for each event of the closed loop; it has to be built with
    /// `--features count-allocations`, and costs more then
    #[arg(long)]
    allocations: bool,
    /// Runs; the median counts
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Loop {
    /// As fast as the door takes them
    Closed,
    /// At the rate
    Open,
}

pub(crate) async fn run(arguments: &Together) -> anyhow::Result<()> {
    let (mut runs, mut curves) = (Vec::new(), Vec::new());
    for number in 1..=arguments.repeat {
        let says = format!("run {number} of {}", arguments.repeat);
        let mut run = Run::default();
        if arguments.only != Some(Loop::Open) {
            run = closed(arguments, &says).await?;
        }
        if arguments.only != Some(Loop::Closed) {
            run.figures.extend(open(arguments, &says).await?.figures);
        }
        curves.push((format!("run {number}"), run.clone()));
        runs.push(run);
    }
    let title = format!(
        "published and delivered at once: {} bytes, {} connections, {} at once at the sink, {} runs of \
         {} s; the open loop at {} events/s",
        arguments.bytes,
        arguments.connections,
        arguments.max_in_flight,
        arguments.repeat,
        arguments.seconds,
        arguments.rate
    );
    arguments.output.write(&Summary::of(title, &runs), &curves)
}

impl Together {
    async fn stage(&self) -> anyhow::Result<Stage> {
        let documents = |sink| subscription("together", sink, self.max_in_flight, "new");
        Stage::start(&self.binaries, documents).await
    }

    fn shape(&self, is_timed: bool) -> Shape {
        Shape {
            mode: Mode::Binary,
            payload: Payload::Uniform,
            bytes: self.bytes,
            batch: 1,
            types: 1,
            is_timed,
        }
    }

    fn pace(&self, seconds: u64, rate: Option<u32>) -> Pace {
        Pace {
            connections: self.connections.into(),
            time: Duration::from_secs(seconds),
            rate,
            events: None,
        }
    }
}

/// As fast as the door takes them.
async fn closed(arguments: &Together, says: &str) -> anyhow::Result<Run> {
    let mut stage = arguments.stage().await?;
    let mut processes = stage.processes();
    processes.push(Named::own());
    let shape = arguments.shape(false);
    let warm = arguments.pace(arguments.warmup, None);
    let warm = stage
        .publish(&shape, &warm, &format!("{says}, warm-up"))
        .await?;
    if arguments.allocations {
        // Else deliveries of events that were published before would count.
        stage.settled(warm.events).await?;
    }
    let came_before = stage.came().await?.requests;
    let allocated = match arguments.allocations {
        true => Some(Allocations::read(stage.mesh.admin).await?),
        false => None,
    };
    let before = process::usage(&processes)?;
    let pace = arguments.pace(arguments.seconds, None);
    let driven = stage
        .publish(&shape, &pace, &format!("{says}, closed loop"))
        .await?;
    let came = stage.came().await?.requests - came_before;
    let after = process::usage(&processes)?;
    let took = driven.took.as_secs_f64();
    let mut run = Run::default();
    run.add("deliveries/s while publishing", came as f64 / took);
    run.add("publishes/s at once", driven.events as f64 / took);
    for (name, micros) in process::cpu(&processes, &before, &after) {
        run.add(
            &format!("CPU µs/delivery, {name}"),
            micros as f64 / came.max(1) as f64,
        );
    }
    let sent = warm.events + driven.events;
    let behind = sent.saturating_sub(stage.came().await?.requests);
    run.add("events left at the end", behind as f64);
    // Everything arrives, or the run is void.
    stage.settled(sent).await?;
    if let Some(allocated) = allocated {
        allocated
            .add(&mut run, stage.mesh.admin, driven.events)
            .await?;
    }
    run.add_memory(&processes)?;
    run.seconds = driven.seconds;
    run.latencies = driven.latencies;
    Ok(run)
}

/// At the rate, from the time at which an event was to be sent to its arrival.
async fn open(arguments: &Together, says: &str) -> anyhow::Result<Run> {
    let mut stage = arguments.stage().await?;
    let (shape, rate) = (arguments.shape(true), Some(arguments.rate));
    let warm = arguments.pace(arguments.warmup.max(1), rate);
    let warm = stage
        .publish(&shape, &warm, &format!("{says}, warm-up"))
        .await?;
    stage.settled(warm.events).await?;
    stage.reset().await?;
    let pace = arguments.pace(arguments.seconds, rate);
    let says = format!("{says}, {} events/s", arguments.rate);
    let driven = stage.publish(&shape, &pace, &says).await?;
    let came = stage.settled(driven.events).await?;
    anyhow::ensure!(
        came.timed == came.requests,
        "the sink saw events without their time"
    );
    let mut run = Run::default();
    for (name, millis) in [
        ("p50", came.p50_ms),
        ("p99", came.p99_ms),
        ("p99.9", came.p999_ms),
    ] {
        run.add(&format!("end to end ms, {name}"), millis);
    }
    for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
        let millis = driven.latencies.millis(share);
        run.add(&format!("answer of the door ms, {name}"), millis);
    }
    Ok(run)
}
