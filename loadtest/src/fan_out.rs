//! What a delivery costs where a hundred Subscriptions want every event, beside one Subscription.
//!
//! Only delivery is measured: events are published while the Subscriptions pause, and what counts
//! begins when they go on. Both have as many deliveries, and take turns in one run.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use anyhow::ensure;
use clap::{Args, value_parser};
use tokio::time::sleep;

use crate::{
    driver::Pace,
    mesh::Binaries,
    output::Output,
    payload::Payload,
    process,
    progress::say,
    report::{Run, Summary},
    request::{Mode, Shape},
    stage::Stage,
};

/// After a change of Subscriptions, which Tidegate sees within a second.
const CALM: Duration = Duration::from_secs(3);

/// How long publishing may take.
const PUBLISH_MAX: Duration = Duration::from_secs(300);

/// Processes whose CPU is a delivery's: tidegate and the nats-server, the first of a stage.
const COUNTED: usize = 2;

#[derive(Clone, Debug, Args)]
pub(crate) struct FanOut {
    #[command(flatten)]
    binaries: Binaries,
    /// Subscriptions that all want every event
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(2..=1_000))]
    subscriptions: u32,
    /// Deliveries of each run: so many events to one Subscription, or their share to each of many
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(10_000..=2_000_000))]
    deliveries: u64,
    /// Bytes of each event's data
    #[arg(long, default_value_t = 1_024)]
    bytes: usize,
    /// `maxInFlight` of each Subscription
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=1_024))]
    max_in_flight: u32,
    /// Pairs of runs; the median counts
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    repeat: u32,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: &FanOut) -> anyhow::Result<()> {
    let mut many = Side::start(arguments, arguments.subscriptions).await?;
    let mut one = Side::start(arguments, 1).await?;
    let mut pairs = Vec::new();
    for number in 1..=arguments.repeat {
        let by_many = many.run(arguments).await?;
        let by_one = one.run(arguments).await?;
        say(&format!(
            "pair {number} of {}: {:.0} and {:.0} deliveries/s",
            arguments.repeat,
            by_many.first(),
            by_one.first()
        ));
        pairs.push((by_many, by_one));
    }
    let title = format!(
        "{} deliveries to {} Subscriptions and to one, {} bytes, {} at once for each, {} pairs",
        arguments.deliveries,
        arguments.subscriptions,
        arguments.bytes,
        arguments.max_in_flight,
        arguments.repeat
    );
    let names = [format!("to {}", arguments.subscriptions), "to 1".to_owned()];
    let summary = Summary::of_pairs(title, [&names[0], &names[1]], &pairs);
    arguments.output.write(&summary, &[])
}

/// A Tidegate with so many Subscriptions.
struct Side {
    stage: Stage,
    subscriptions: u32,
}

impl Side {
    async fn start(arguments: &FanOut, subscriptions: u32) -> anyhow::Result<Self> {
        let paused = |sink| documents(sink, subscriptions, arguments.max_in_flight, true);
        let stage = Stage::start(&arguments.binaries, paused).await?;
        Ok(Self {
            stage,
            subscriptions,
        })
    }

    async fn run(&mut self, arguments: &FanOut) -> anyhow::Result<Run> {
        let Self {
            stage,
            subscriptions,
        } = self;
        let events = arguments.deliveries / u64::from(*subscriptions);
        let deliveries = events * u64::from(*subscriptions);
        let subscribe = |stage: &Stage, is_paused| {
            let (sink, at_once) = (stage.sink.address, arguments.max_in_flight);
            let documents = documents(sink, *subscriptions, at_once, is_paused);
            stage.mesh.subscribe(&documents)
        };
        subscribe(stage, true)?;
        sleep(CALM).await;
        stage.reset().await?;
        publish(arguments, stage, events).await?;
        sleep(CALM).await;
        let came_paused = stage.came().await?.requests;
        ensure!(
            came_paused == 0,
            "the run is void: {came_paused} deliveries while paused"
        );
        let processes = stage.processes();
        let before = process::usage(&processes)?;
        subscribe(stage, false)?;
        let rate = stage.drained(deliveries).await?;
        let after = process::usage(&processes)?;
        let cpu = process::cpu(&processes, &before, &after);
        let mut run = Run::default();
        run.add("deliveries/s", rate);
        let counted: u64 = cpu.iter().take(COUNTED).map(|(_, micros)| micros).sum();
        let of = |micros: u64| micros as f64 / deliveries as f64;
        run.add("CPU µs/delivery, tidegate and nats-server", of(counted));
        for (name, micros) in cpu {
            run.add(&format!("CPU µs/delivery, {name}"), of(micros));
        }
        run.add_memory(&processes)?;
        Ok(run)
    }
}

async fn publish(arguments: &FanOut, stage: &Stage, events: u64) -> anyhow::Result<()> {
    let shape = Shape {
        mode: Mode::Binary,
        payload: Payload::Uniform,
        bytes: arguments.bytes,
        batch: 1,
        types: 1,
        is_timed: false,
    };
    let pace = Pace {
        connections: 64,
        time: PUBLISH_MAX,
        rate: None,
        events: Some(events),
    };
    let driven = stage.publish(&shape, &pace, "publishing").await?;
    ensure!(
        driven.events == events,
        "{events} events were not published in {PUBLISH_MAX:?}"
    );
    Ok(())
}

fn documents(sink: SocketAddr, count: u32, max_in_flight: u32, is_paused: bool) -> String {
    let mut text = String::new();
    for number in 0..count {
        // Writing to a String cannot fail.
        write!(
            text,
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: fan-{number} }}\nspec:\n  sink: {{ uri: 'http://{sink}/' }}\n  \
             delivery: {{ maxInFlight: {max_in_flight} }}\n  pause: {is_paused}\n"
        )
        .ok();
    }
    text
}
