//! What many Subscriptions cost: sparse, where each has a type of its own, and dense, where each
//! gets every event; with a consumer for each of them, and with one that they share.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use anyhow::Context;
use clap::{Args, value_parser};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    consumers::Consumers,
    driver::Pace,
    mesh::Binaries,
    payload::Payload,
    process,
    progress::say,
    report::{Run, Summary},
    request::{Mode, Shape, numbered},
    stage::Stage,
};

/// Deliveries of a dense step: few enough that one takes seconds.
const DENSE_DELIVERIES: u64 = 50_000;

/// How long a step may take: the start of thousands of consumers is most of it.
const STEP_MAX: Duration = Duration::from_secs(180);

/// After a start, before its memory is looked at.
const CALM: Duration = Duration::from_secs(1);

/// Fewer take less memory than differs from start to start.
const MEMORY_FROM: u32 = 100;

#[derive(Clone, Debug, Args)]
pub(crate) struct Subscriptions {
    #[command(flatten)]
    binaries: Binaries,
    /// How many Subscriptions, one step after the other; a step takes three minutes at most
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 100, 1_000, 5_000])]
    steps: Vec<u32>,
    /// Seconds that each step publishes
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u16).range(1..))]
    connections: u16,
    /// Bytes of each event's data
    #[arg(long, default_value_t = 1_024)]
    bytes: usize,
    /// Rounds of all steps; the median counts
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..))]
    repeat: u32,
    /// Consumers to measure with: one for each, or one that is shared
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Consumers::Own, Consumers::Shared])]
    consumers: Vec<Consumers>,
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// What one step came to.
struct Step {
    count: u32,
    is_dense: bool,
    consumers: Consumers,
    runs: Vec<Run>,
    error: Option<String>,
}

impl Step {
    fn name(&self) -> String {
        let spread = if self.is_dense { "dense" } else { "sparse" };
        let shared = match self.consumers {
            Consumers::Own => "",
            Consumers::Shared => ", shared",
        };
        format!("{spread}, {}{shared}", self.count)
    }
}

pub(crate) async fn run(arguments: &Subscriptions) -> anyhow::Result<()> {
    let empty = Stage::start(&arguments.binaries, |_| String::new()).await?;
    sleep(CALM).await;
    let empty = resident(&empty)?;
    let mut steps = Vec::new();
    for is_dense in [false, true] {
        for count in &arguments.steps {
            // One beside the other: both meet the same machine.
            steps.extend(arguments.consumers.iter().map(|&consumers| Step {
                count: (*count).max(1),
                is_dense,
                consumers,
                runs: Vec::new(),
                error: None,
            }));
        }
    }
    for round in 1..=arguments.repeat {
        for step in &mut steps {
            // One that fails says so, and the next one is tried.
            if step.error.is_some() {
                continue;
            }
            let repeat = arguments.repeat;
            say(&format!("round {round} of {repeat}: {}", step.name()));
            let run = timeout(STEP_MAX, one(arguments, step, empty)).await;
            let run = run.context("it takes more than three minutes").flatten();
            match run {
                Ok(run) => step.runs.push(run),
                Err(error) => step.error = Some(format!("{error:#}")),
            }
        }
    }
    let text = if arguments.json {
        json(arguments, &steps).to_string()
    } else {
        table(&steps)?
    };
    println!("{text}");
    Ok(())
}

/// What Tidegate has in memory now, in KiB.
fn resident(stage: &Stage) -> anyhow::Result<f64> {
    let processes = stage.processes();
    let tidegate = processes.first().context("no tidegate")?;
    Ok(tidegate.memory_resident()? as f64 / 1_024.0)
}

async fn one(arguments: &Subscriptions, step: &Step, empty: f64) -> anyhow::Result<Run> {
    let &Step {
        count,
        is_dense,
        consumers,
        ..
    } = step;
    let began = Instant::now();
    let documents = |sink| documents(sink, count, is_dense);
    let variables = consumers.variables();
    let mut stage = Stage::start_with(&arguments.binaries, &variables, documents).await?;
    let mut run = Run::default();
    run.add("ready s", began.elapsed().as_secs_f64());
    sleep(CALM).await;
    let each = (resident(&stage)? - empty) / f64::from(count);
    let shape = Shape {
        mode: Mode::Binary,
        payload: Payload::Uniform,
        bytes: arguments.bytes,
        batch: 1,
        types: if is_dense { 1 } else { count },
        is_timed: false,
    };
    let pace = Pace {
        connections: arguments.connections.into(),
        time: Duration::from_secs(arguments.seconds),
        rate: None,
        events: is_dense.then_some((DENSE_DELIVERIES / u64::from(count)).max(1)),
    };
    let fan_out = if is_dense { u64::from(count) } else { 1 };
    let processes = stage.processes();
    let before = process::usage(&processes)?;
    let began = Instant::now();
    let driven = stage.publish(&shape, &pace, "publishing").await?;
    let deliveries = driven.events * fan_out;
    stage.settled(deliveries).await?;
    let took = began.elapsed().as_secs_f64();
    let after = process::usage(&processes)?;
    let published = driven.events as f64 / driven.took.as_secs_f64();
    run.add("published/s", published);
    run.add("delivered/s", deliveries as f64 / took);
    let cpu = process::cpu(&processes, &before, &after);
    for (name, micros) in cpu.iter().take(2) {
        let each = *micros as f64 / deliveries.max(1) as f64;
        run.add(&format!("CPU µs/delivery, {name}"), each);
    }
    if let Some((name, micros)) = cpu.get(1) {
        let each = *micros as f64 / driven.events.max(1) as f64;
        run.add(&format!("CPU µs/event, {name}"), each);
    }
    run.add_memory(processes.get(..2).unwrap_or_default())?;
    if count >= MEMORY_FROM {
        run.add("KiB for each Subscription", each);
    }
    Ok(run)
}

fn documents(sink: SocketAddr, count: u32, is_dense: bool) -> String {
    let mut text = String::new();
    for number in 0..count {
        let filters = if is_dense || count == 1 {
            String::new()
        } else {
            format!(
                "  filters: [{{ exact: {{ type: {} }} }}]\n",
                numbered(number)
            )
        };
        // Writing to a String cannot fail.
        write!(
            text,
            "---\napiVersion: eventing.tidegate.dev/v1alpha1\nkind: Subscription\n\
             metadata: {{ name: s{number} }}\nspec:\n  sink: {{ uri: 'http://{sink}/' }}\n{filters}"
        )
        .ok();
    }
    text
}

fn summary(step: &Step) -> Summary {
    Summary::of(step.name(), &step.runs)
}

/// A row for each step.
fn table(steps: &[Step]) -> anyhow::Result<String> {
    // The largest one has all columns.
    let columns = steps.iter().map(|step| summary(step).rows);
    let columns = columns.max_by_key(Vec::len).unwrap_or_default();
    let mut text = String::from("| Subscriptions |");
    for (name, _) in &columns {
        write!(text, " {name} |")?;
    }
    write!(text, "\n|{}", "---|".repeat(columns.len() + 1))?;
    for step in steps {
        write!(text, "\n| {} |", step.name())?;
        if let Some(error) = &step.error {
            let line = error.lines().next().unwrap_or_default();
            write!(text, " failed: {line} |")?;
            continue;
        }
        for (_, spreads) in summary(step).rows {
            let median = spreads.first().map_or(f64::NAN, |spread| spread.median);
            let digits = if median >= 100.0 { 0 } else { 2 };
            write!(text, " {median:.digits$} |")?;
        }
    }
    Ok(text)
}

/// As other results are: each figure with its step's name before it.
fn json(arguments: &Subscriptions, steps: &[Step]) -> Value {
    let rows = steps.iter().filter(|step| step.error.is_none());
    let rows = rows.flat_map(|step| {
        let rows = summary(step).rows.into_iter();
        rows.map(|(name, spreads)| (format!("{}: {name}", step.name()), spreads))
    });
    let all = Summary {
        title: format!(
            "{} Subscriptions, {} rounds of {} s each",
            arguments
                .steps
                .iter()
                .map(u32::to_string)
                .collect::<Vec<_>>()
                .join(", "),
            arguments.repeat,
            arguments.seconds
        ),
        runs: arguments.repeat as usize,
        columns: vec![String::new()],
        rows: rows.collect(),
    };
    let failed = steps.iter().filter_map(|step| {
        let line = step.error.as_ref()?.lines().next()?;
        Some((step.name(), line.into()))
    });
    let failed: Map<String, Value> = failed.collect();
    let mut json = all.json();
    if let Some(object) = json.as_object_mut() {
        object.insert("failed".to_owned(), failed.into());
    }
    json
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// Sparse Subscriptions want the very types that are published.
    #[test]
    fn each_sparse_subscription_has_a_type_of_its_own() {
        let sink = SocketAddr::from(([127, 0, 0, 1], 9_000));
        let text = documents(sink, 3, false);
        for number in 0..3 {
            assert_eq!(text.matches(&numbered(number)).count(), 1);
        }
        assert!(!documents(sink, 3, true).contains("filters"));
        assert!(!documents(sink, 1, false).contains("filters"));
    }

    /// A step that failed is a row, and the others stay.
    #[test]
    fn a_failed_step_is_told() {
        let mut run = Run::default();
        run.add("ready s", 0.25);
        run.add("published/s", 10_000.0);
        let steps = [
            Step {
                count: 1,
                is_dense: false,
                consumers: Consumers::Own,
                runs: vec![run],
                error: None,
            },
            Step {
                count: 5,
                is_dense: true,
                consumers: Consumers::Own,
                runs: Vec::new(),
                error: Some("not ready\nlog".to_owned()),
            },
        ];
        let table = table(&steps).unwrap();
        assert!(table.contains("| sparse, 1 | 0.25 | 10000 |"), "{table}");
        assert!(
            table.ends_with("| dense, 5 | failed: not ready |"),
            "{table}"
        );
    }

    /// The page of figures reads steps by these names.
    #[test]
    fn a_step_is_named_before_its_figures() {
        let words = [
            "loadtest",
            "--tidegate",
            "t",
            "--nats-server",
            "n",
            "--json",
        ];
        let arguments = Arguments::try_parse_from(words).unwrap().subscriptions;
        let mut run = Run::default();
        run.add("ready s", 0.25);
        let steps = [
            Step {
                count: 1,
                is_dense: false,
                consumers: Consumers::Own,
                runs: vec![run],
                error: None,
            },
            Step {
                count: 5_000,
                is_dense: true,
                consumers: Consumers::Own,
                runs: Vec::new(),
                error: Some("not ready".to_owned()),
            },
        ];
        let json = json(&arguments, &steps);
        assert_eq!(json["figures"]["sparse, 1: ready s"]["median"], 0.25);
        assert_eq!(json["failed"]["dense, 5000"], "not ready");
    }

    #[derive(clap::Parser)]
    struct Arguments {
        #[command(flatten)]
        subscriptions: Subscriptions,
    }
}
