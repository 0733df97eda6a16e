//! Full load for an hour: published and delivered as fast as it goes, and whether memory stays as it
//! is.
//!
//! Publishing stops for a moment every few seconds until all is delivered, and the stream is emptied:
//! what is stored stays small, and nothing is lost unseen.

use std::{cell::RefCell, fs, net::SocketAddr, path::PathBuf, time::Duration};

use anyhow::{Context, bail, ensure};
use clap::{Args, value_parser};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    driver::Pace,
    mesh::Binaries,
    metrics::Allocations,
    output::Output,
    page::{self, Curve},
    payload::Payload,
    process::Named,
    progress::say,
    report::{Run, Spread, Summary},
    request::{Mode, Shape},
    stage::{Stage, subscription},
};

/// Seconds between two moments in which all is delivered.
const SLICE: u64 = 10;

/// Memory may grow by this many percent from the first tenth of the time to the last.
const GROWTH_MAX: f64 = 10.0;

/// Fewer have no tenths.
const SAMPLES_MIN: usize = 10;

#[derive(Clone, Debug, Args)]
pub(crate) struct Soak {
    #[command(flatten)]
    binaries: Binaries,
    /// Seconds that count
    #[arg(long, default_value_t = 3_600, value_parser = value_parser!(u64).range(20..=86_400))]
    seconds: u64,
    /// Seconds before them; the server remembers ids for two minutes, and has them all after that
    #[arg(long, default_value_t = 180)]
    warmup: u64,
    /// Seconds between two looks at the memory
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..=60))]
    every: u64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..))]
    connections: u16,
    /// Bytes of each event's data
    #[arg(long, default_value_t = 1_024)]
    bytes: usize,
    /// `maxInFlight` of the Subscription
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..))]
    max_in_flight: u32,
    /// Show beside it how many bytes Tidegate has in use, so that a leak and what its allocator keeps
    /// can be told apart; it has to be built with `--features count-allocations`, which has another
    /// allocator, and costs more
    #[arg(long)]
    allocations: bool,
    /// Where a plot of the memory goes
    #[arg(long, value_name = "PATH")]
    svg: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// What is looked at.
struct Looked {
    processes: Vec<Named>,
    /// Where a Tidegate that counts tells what it has in use.
    admin: Option<SocketAddr>,
}

/// Of each in MiB, so many seconds after the start.
struct Sample {
    seconds: f64,
    memory: Vec<f64>,
}

/// What was published and delivered since the warm-up.
#[derive(Default)]
struct Load {
    events: u64,
    took: Duration,
}

pub(crate) async fn run(arguments: &Soak) -> anyhow::Result<()> {
    let documents = |sink| subscription("soak", sink, arguments.max_in_flight, "new");
    let mut stage = Stage::start(&arguments.binaries, documents).await?;
    let mut processes = stage.processes();
    processes.push(Named::own());
    let looked = Looked {
        processes,
        admin: arguments.allocations.then_some(stage.mesh.admin),
    };
    let samples = RefCell::new(Vec::new());
    let load = tokio::select! {
        load = drive(arguments, &mut stage) => load?,
        failed = watch(arguments, &looked, &samples) => match failed? {},
    };
    let samples = samples.take();
    let warm = arguments.warmup as f64;
    let counted: Vec<&Sample> = samples.iter().filter(|one| one.seconds >= warm).collect();
    ensure!(
        counted.len() >= SAMPLES_MIN,
        "{} samples are too few to compare tenths",
        counted.len()
    );
    let mut run = Run::default();
    run.add(
        "published and delivered/s",
        load.events as f64 / load.took.as_secs_f64(),
    );
    let mut grown = None;
    let names = looked.names();
    for (at, name) in names.iter().enumerate() {
        let points = counted.iter().map(|one| (one.seconds, one.memory.get(at)));
        let points = points.filter_map(|(seconds, memory)| Some((seconds, *memory?)));
        let trend = Trend::of(&points.collect::<Vec<_>>()).context("no memory")?;
        trend.add(name, &mut run);
        // The first one is what is measured; the others are shown.
        if at == 0 && trend.growth() > GROWTH_MAX {
            grown = Some(trend.growth());
        }
    }
    let title = format!(
        "published and delivered at full load for {} s after {} s: {} bytes, {} connections",
        arguments.seconds, arguments.warmup, arguments.bytes, arguments.connections
    );
    if let Some(path) = &arguments.svg {
        let text = plot(&title, &names, &samples)?;
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    let summary = Summary::of(title, &[run]);
    arguments.output.write(&summary, &[])?;
    match grown {
        Some(growth) => bail!("tidegate's memory grew by {growth:.0} %"),
        None => Ok(()),
    }
}

/// Publishes until the time is over.
async fn drive(arguments: &Soak, stage: &mut Stage) -> anyhow::Result<Load> {
    let shape = Shape {
        mode: Mode::Binary,
        payload: Payload::Uniform,
        bytes: arguments.bytes,
        batch: 1,
        types: 1,
        is_timed: false,
    };
    let all = arguments.warmup + arguments.seconds;
    let (began, mut load, mut sent) = (Instant::now(), Load::default(), 0);
    loop {
        let passed = began.elapsed().as_secs();
        if passed >= all {
            return Ok(load);
        }
        let pace = Pace {
            connections: arguments.connections.into(),
            time: Duration::from_secs(SLICE.min(all - passed)),
            rate: None,
            events: None,
        };
        let says = format!("after {passed} of {all} s");
        let slice_began = Instant::now();
        let driven = stage.publish(&shape, &pace, &says).await?;
        sent += driven.events;
        // Everything arrives, or the run is void.
        stage.settled(sent).await?;
        if passed >= arguments.warmup {
            load.events += driven.events;
            load.took += slice_began.elapsed();
        }
        stage.purge().await?;
    }
}

/// Nothing is returned but an error.
enum Never {}

async fn watch(
    arguments: &Soak,
    looked: &Looked,
    samples: &RefCell<Vec<Sample>>,
) -> anyhow::Result<Never> {
    let began = Instant::now();
    let mut ticks = interval(Duration::from_secs(arguments.every));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for number in 0_u64.. {
        ticks.tick().await;
        let memory = looked.memory().await?;
        // Once a minute or so.
        if number.is_multiple_of(60_u64.div_ceil(arguments.every)) {
            let told = looked.names().into_iter().zip(&memory);
            let told = told.map(|(name, memory)| format!("{name} {memory:.0} MiB"));
            say(&told.collect::<Vec<_>>().join(", "));
        }
        samples.borrow_mut().push(Sample {
            seconds: began.elapsed().as_secs_f64(),
            memory,
        });
    }
    bail!("the time is over")
}

impl Looked {
    fn names(&self) -> Vec<&str> {
        let processes = self.processes.iter().map(|one| one.name.as_str());
        processes
            .chain(self.admin.map(|_| "tidegate, in use"))
            .collect()
    }

    async fn memory(&self) -> anyhow::Result<Vec<f64>> {
        let mut bytes = Vec::new();
        for process in &self.processes {
            bytes.push(process.memory_resident()? as f64);
        }
        if let Some(admin) = self.admin {
            bytes.push(Allocations::read(admin).await?.in_use());
        }
        let mebibytes = bytes.into_iter().map(|bytes| bytes / f64::from(1 << 20));
        Ok(mebibytes.collect())
    }
}

fn plot(title: &str, names: &[&str], samples: &[Sample]) -> anyhow::Result<String> {
    let curves = names.iter().enumerate().map(|(at, name)| Curve {
        name,
        points: samples
            .iter()
            .filter_map(|one| Some((one.seconds / 60.0, *one.memory.get(at)?)))
            .collect(),
    });
    let title = format!("memory in MiB over minutes; {title}");
    page::drawing(&title, &curves.collect::<Vec<_>>())
}

/// How memory went.
struct Trend {
    first: f64,
    last: f64,
    most: f64,
    /// MiB more for each hour, by least squares.
    slope: f64,
}

impl Trend {
    /// Of seconds and MiB.
    fn of(points: &[(f64, f64)]) -> Option<Self> {
        let tenth = (points.len() / 10).max(1);
        let median = |points: &[(f64, f64)]| {
            let memory = points.iter().map(|(_, memory)| *memory);
            Spread::of(memory.collect()).map(|spread| spread.median)
        };
        let count = points.len() as f64;
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
        let both = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y));
        let square = points.iter().map(|(x, _)| (x - mean_x).powi(2));
        Some(Self {
            first: median(points.get(..tenth)?)?,
            last: median(points.get(points.len() - tenth..)?)?,
            most: points.iter().map(|(_, memory)| *memory).fold(0.0, f64::max),
            slope: both.sum::<f64>() / square.sum::<f64>().max(1e-9) * 3_600.0,
        })
    }

    /// In percent of what it was.
    fn growth(&self) -> f64 {
        (self.last / self.first.max(1e-9) - 1.0) * 100.0
    }

    fn add(&self, name: &str, run: &mut Run) {
        for (what, figure) in [
            ("memory MiB, first tenth", self.first),
            ("memory MiB, last tenth", self.last),
            ("memory MiB, most", self.most),
            ("memory growth %", self.growth()),
            ("memory MiB/hour", self.slope),
        ] {
            run.add(&format!("{what}, {name}"), figure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_minute(memory: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        let minutes = (0..60).map(|minute| f64::from(minute) * 60.0);
        minutes.map(|at| (at, memory(at))).collect()
    }

    #[test]
    fn what_is_flat_does_not_grow() {
        let trend = Trend::of(&every_minute(|at| if at == 1_800.0 { 90.0 } else { 40.0 })).unwrap();
        assert!(trend.growth().abs() < 1e-9);
        assert!((trend.most - 90.0).abs() < 1e-9);
        assert!(trend.slope.abs() < 1.0, "{}", trend.slope);
    }

    /// A leak of 10 MiB an hour is seen in the slope, and between the tenths.
    #[test]
    fn a_leak_is_told() {
        let trend = Trend::of(&every_minute(|at| 40.0 + at / 360.0)).unwrap();
        assert!((trend.slope - 10.0).abs() < 0.01, "{}", trend.slope);
        assert!(trend.growth() > GROWTH_MAX, "{}", trend.growth());
        assert!(Trend::of(&[]).is_none());
    }
}
