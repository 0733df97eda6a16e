//! What many Subscriptions cost: sparse, where each has a type of its own, and dense, where each
//! gets every event.

use std::{fmt::Write, net::SocketAddr, time::Duration};

use clap::{Args, value_parser};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    driver::Pace,
    mesh::Binaries,
    payload::Payload,
    process,
    progress::say,
    request::{Mode, Shape, numbered},
    stage::Stage,
};

/// Deliveries of a dense step: few enough that one takes seconds.
const DENSE_DELIVERIES: u64 = 50_000;

#[derive(Clone, Debug, Args)]
pub(crate) struct Subscriptions {
    #[command(flatten)]
    binaries: Binaries,
    /// How many Subscriptions, one step after the other
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
    /// The result as JSON
    #[arg(long)]
    json: bool,
}

/// What one step came to.
struct Step {
    spread: &'static str,
    count: u32,
    figures: Result<Figures, String>,
}

struct Figures {
    ready: Duration,
    published: f64,
    delivered: f64,
    /// Microseconds for each delivery: tidegate, the nats-server, the sink.
    cpu: Vec<f64>,
    /// The most memory of each, in MiB.
    memory: Vec<f64>,
}

pub(crate) async fn run(arguments: &Subscriptions) -> anyhow::Result<()> {
    let mut steps = Vec::new();
    for (spread, is_dense) in [("sparse", false), ("dense", true)] {
        for &count in &arguments.steps {
            say(&format!("{spread}, {count} Subscriptions"));
            let figures = one(arguments, count.max(1), is_dense).await;
            // A step that fails says so, and the next one is tried.
            let figures = figures.map_err(|error| format!("{error:#}"));
            steps.push(Step {
                spread,
                count,
                figures,
            });
        }
    }
    let text = if arguments.json {
        json(&steps)
    } else {
        table(&steps)?
    };
    println!("{text}");
    Ok(())
}

async fn one(arguments: &Subscriptions, count: u32, is_dense: bool) -> anyhow::Result<Figures> {
    let began = Instant::now();
    let documents = |sink| documents(sink, count, is_dense);
    let mut stage = Stage::start(&arguments.binaries, documents).await?;
    let ready = began.elapsed();
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
    let cpu = process::cpu(&processes, &before, &after).into_iter();
    let peaks = processes.iter().map(process::Named::memory_peak);
    Ok(Figures {
        ready,
        published: driven.events as f64 / driven.took.as_secs_f64(),
        delivered: deliveries as f64 / took,
        cpu: cpu
            .map(|(_, micros)| micros as f64 / deliveries.max(1) as f64)
            .collect(),
        memory: peaks
            .map(|peak| Ok(peak? as f64 / f64::from(1 << 20)))
            .collect::<anyhow::Result<_>>()?,
    })
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

fn table(steps: &[Step]) -> anyhow::Result<String> {
    let mut text = String::from(
        "| | Subscriptions | ready s | published/s | delivered/s | CPU µs/delivery: tidegate | \
         nats-server | sink | MiB: tidegate | nats-server |\n|---|---|---|---|---|---|---|---|---|---|",
    );
    for Step {
        spread,
        count,
        figures,
    } in steps
    {
        write!(text, "\n| {spread} | {count} |")?;
        let figures = match figures {
            Ok(figures) => figures,
            Err(error) => {
                write!(
                    text,
                    " failed: {} |",
                    error.lines().next().unwrap_or_default()
                )?;
                continue;
            }
        };
        let (ready, published) = (figures.ready.as_secs_f64(), figures.published);
        write!(
            text,
            " {ready:.2} | {published:.0} | {:.0} |",
            figures.delivered
        )?;
        for micros in &figures.cpu {
            write!(text, " {micros:.1} |")?;
        }
        for mebibytes in figures.memory.iter().take(2) {
            write!(text, " {mebibytes:.0} |")?;
        }
    }
    Ok(text)
}

fn json(steps: &[Step]) -> String {
    let steps = steps.iter().map(|step| {
        let figures = match &step.figures {
            Err(error) => json!({ "error": error }),
            Ok(figures) => json!({
                "ready_s": figures.ready.as_secs_f64(),
                "published_per_s": figures.published,
                "delivered_per_s": figures.delivered,
                "cpu_us_per_delivery": figures.cpu,
                "memory_peak_mib": figures.memory,
            }),
        };
        json!({ "spread": step.spread, "subscriptions": step.count, "figures": figures })
    });
    json!({ "processes": ["tidegate", "nats-server", "sink"], "steps": steps.collect::<Vec<_>>() })
        .to_string()
}

#[cfg(test)]
mod tests {
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
        let figures = Figures {
            ready: Duration::from_millis(250),
            published: 10_000.0,
            delivered: 9_000.0,
            cpu: vec![10.0, 8.0, 4.0],
            memory: vec![30.0, 60.0, 5.0],
        };
        let steps = [
            Step {
                spread: "sparse",
                count: 1,
                figures: Ok(figures),
            },
            Step {
                spread: "dense",
                count: 5,
                figures: Err("not ready\nlog".to_owned()),
            },
        ];
        let table = table(&steps).unwrap();
        assert!(
            table.contains("| sparse | 1 | 0.25 | 10000 | 9000 | 10.0 | 8.0 | 4.0 | 30 | 60 |")
        );
        assert!(table.ends_with("| dense | 5 | failed: not ready |"));
        assert!(json(&steps).contains("\"error\":\"not ready"));
    }
}
