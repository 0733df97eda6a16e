//! How fast a topic comes in and how fast events go out to one, beside what Kafka's own consumer and
//! producer make of the same broker in the same run.
//!
//! Records are CloudEvents in binary mode. Each run has a new Tidegate and a new nats-server: for the
//! one before, the events would have come already.

mod broker;
mod passage;
mod way;

use anyhow::ensure;
use clap::{Args, value_parser};

use self::{broker::Broker, passage::Passage, way::Passed};
use crate::{
    mesh::Binaries,
    output::Output,
    progress::say,
    report::{Run, Summary},
};

/// Of Kafka's own rate, for each way: what is durable in two logs is written twice.
const GOAL: f64 = 0.5;

/// What the ways are called.
const IN: &str = "topic to JetStream";
const OUT: &str = "JetStream to topic";

/// Where the records are that come in.
const SOURCE: &str = "in";

/// Bytes of headers that a stored event has at most beside its data.
const HEADERS: u64 = 1_024;

/// Tidegate makes room in its log above 3.2 GiB.
const STORED_MAX: u64 = 3 << 30;

#[derive(Clone, Debug, Args)]
pub(crate) struct Kafka {
    #[command(flatten)]
    binaries: Binaries,
    /// Records of each run; with few of them the start of Kafka's own tools is most of what is measured
    #[arg(long, default_value_t = 200_000, value_parser = value_parser!(u64).range(10_000..=1_000_000))]
    records: u64,
    /// Bytes of each record's value
    #[arg(long, default_value_t = 1_024, value_parser = value_parser!(u64).range(256..=65_536))]
    size: u64,
    /// Partitions of each topic
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u32).range(1..=100))]
    partitions: u32,
    /// Runs, each of both ways and of Kafka's own tools; the median counts
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    repeat: u32,
    #[command(flatten)]
    output: Output,
}

pub(crate) async fn run(arguments: &Kafka) -> anyhow::Result<()> {
    let Kafka { records, size, .. } = *arguments;
    ensure!(
        records * (size + HEADERS) <= STORED_MAX,
        "{records} records of {size} bytes are more than {STORED_MAX} bytes in JetStream"
    );
    let broker = Broker::start(arguments.partitions).await;
    say(&format!("filling a topic with {records} records"));
    broker.create(SOURCE).await?;
    broker.fill(SOURCE, records, size).await?;
    let (mut pairs, mut costs) = (Vec::new(), Vec::new());
    for number in 1..=arguments.repeat {
        let by_kafka = by_kafka(arguments, &broker, number).await?;
        let (by_tidegate, cost) = by_tidegate(arguments, &broker, number).await?;
        let rates: Vec<String> = [rate_of(IN), rate_of(OUT)]
            .iter()
            .map(|name| {
                let [own, theirs] = [&by_tidegate, &by_kafka].map(|run| figure(run, name));
                format!("{name} {own:.0} and {theirs:.0}")
            })
            .collect();
        say(&format!(
            "run {number} of {}: {}",
            arguments.repeat,
            rates.join(", ")
        ));
        pairs.push((by_tidegate, by_kafka));
        costs.push(cost);
    }
    let title = format!(
        "a topic in and a topic out beside Kafka's own tools: {records} records of {size} bytes, {} \
         partitions, {} runs",
        arguments.partitions, arguments.repeat
    );
    let mut summary = Summary::of_pairs(title, ["tidegate", "kafka"], &pairs);
    summary.rows.extend(Summary::of(String::new(), &costs).rows);
    arguments.output.write(&summary, &[])?;
    for way in [IN, OUT] {
        say(&judged(&summary, way));
    }
    Ok(())
}

/// Kafka's own consumer on what comes in, and its producer into a topic that goes again.
async fn by_kafka(arguments: &Kafka, broker: &Broker, number: u32) -> anyhow::Result<Run> {
    let Kafka { records, size, .. } = *arguments;
    let mut run = Run::default();
    let passed = broker.consumed(SOURCE, records).await?;
    add(&mut run, IN, size, &passed);
    let topic = format!("plain-{number}");
    broker.create(&topic).await?;
    let passed = broker.produced(&topic, records, size).await?;
    add(&mut run, OUT, size, &passed);
    broker.delete(&topic).await?;
    Ok(run)
}

/// Both ways; and what that cost others than the broker.
async fn by_tidegate(
    arguments: &Kafka,
    broker: &Broker,
    number: u32,
) -> anyhow::Result<(Run, Run)> {
    let Kafka { records, size, .. } = *arguments;
    let (mut run, mut cost) = (Run::default(), Run::default());
    let passage = Passage::start(&arguments.binaries, broker).await?;
    let topic = format!("out-{number}");
    broker.create(&topic).await?;
    let taken = passage.take(SOURCE, records).await?;
    add(&mut run, IN, size, &taken);
    let given = passage.give(&topic, records).await?;
    broker.holds(&topic, records).await?;
    add(&mut run, OUT, size, &given);
    for (way, passed) in [(IN, taken), (OUT, given)] {
        for (name, micros) in passed.cpu.iter().filter(|(name, _)| name != broker::NAME) {
            cost.add(&format!("{way}: CPU µs/record, {name}"), *micros);
        }
    }
    cost.add_memory(&passage.processes())?;
    drop(passage);
    broker.delete(&topic).await?;
    Ok((run, cost))
}

fn rate_of(way: &str) -> String {
    format!("{way}: records/s")
}

/// What is paired. Headers count in no MiB, as Kafka's own tools have it.
fn add(run: &mut Run, way: &str, size: u64, passed: &Passed) {
    let bytes = passed.rate * size as f64;
    run.add(&rate_of(way), passed.rate);
    run.add(&format!("{way}: MiB/s"), bytes / f64::from(1 << 20));
    for (name, micros) in passed.cpu.iter().filter(|(name, _)| name == broker::NAME) {
        run.add(&format!("{way}: CPU µs/record, {name}"), *micros);
    }
}

fn figure(run: &Run, name: &str) -> f64 {
    let mut figures = run.figures.iter();
    figures
        .find(|(have, _)| have == name)
        .map_or(f64::NAN, |(_, figure)| *figure)
}

/// Whether the median of a way's ratios is what it should be.
fn judged(summary: &Summary, way: &str) -> String {
    let rate = rate_of(way);
    let row = summary.rows.iter().find(|(name, _)| *name == rate);
    let ratio = row
        .and_then(|(_, spreads)| spreads.get(2))
        .map_or(f64::NAN, |ratio| ratio.median);
    // What is no number is no success.
    let judged = if ratio >= GOAL {
        "met".to_owned()
    } else {
        format!("missed by {:.2}", GOAL - ratio)
    };
    format!("{way}: ratio {ratio:.2}, goal ≥ {GOAL:.2}: {judged}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(into: f64, out: f64) -> Run {
        let mut run = Run::default();
        for (way, rate) in [(IN, into), (OUT, out)] {
            let cpu = vec![(broker::NAME.to_owned(), 2.0)];
            add(&mut run, way, 1_024, &Passed { rate, cpu });
        }
        run
    }

    /// Costs of one side alone stand below, and the goal is of the ratio.
    #[test]
    fn a_goal_is_met_or_missed_by_so_much() {
        let pairs = [(run(30_720.0, 40_000.0), run(61_440.0, 100_000.0))];
        let mut summary = Summary::of_pairs(String::new(), ["tidegate", "kafka"], &pairs);
        let mut cost = Run::default();
        cost.add("CPU", 7.0);
        summary
            .rows
            .extend(Summary::of(String::new(), &[cost]).rows);
        assert_eq!(
            judged(&summary, IN),
            "topic to JetStream: ratio 0.50, goal ≥ 0.50: met"
        );
        assert_eq!(
            judged(&summary, OUT),
            "JetStream to topic: ratio 0.40, goal ≥ 0.50: missed by 0.10"
        );
        assert_eq!(
            judged(&summary, "neither"),
            "neither: ratio NaN, goal ≥ 0.50: missed by NaN"
        );
        let figures = &summary.json()["figures"];
        assert_eq!(
            figures["topic to JetStream: MiB/s"]["tidegate"]["median"],
            30.0
        );
        assert_eq!(figures["CPU"]["median"], 7.0);
    }
}
