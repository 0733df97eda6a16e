//! A Kafka on loopback, and what its own tools make of it.

use std::{fmt::Write, time::Duration};

use anyhow::{Context, ensure};
use tidegate_testkit::Kafka;
use tokio::time::timeout;

use super::way::{Passed, SKIPPED, for_each};
use crate::{
    payload::sales_order,
    process::{self, Named},
};

/// What its process is called among others.
pub(super) const NAME: &str = "broker";

/// Whose tools.
const TOOLS: &str = "org.apache.kafka.tools";

/// What is deleted is away from the disk soon after.
const PROPERTIES: &str = "log.segment.delete.delay.ms=1000\n";

/// How long a tool may take: a million records at a few thousand a second.
const TOOL_MAX: Duration = Duration::from_secs(300);

/// Bytes of values that a producer with headers is given at once.
const CHUNK: u64 = 64 << 20;

pub(super) struct Broker {
    kafka: Kafka,
    partitions: String,
}

impl Broker {
    /// Starts it; it ends with this. Whoever has no Kafka is told so by a panic, as in the tests.
    pub(super) async fn start(partitions: u32) -> Self {
        Self {
            kafka: Kafka::start_for_load(PROPERTIES).await,
            partitions: partitions.to_string(),
        }
    }

    pub(super) fn bootstrap(&self) -> String {
        self.kafka.bootstrap()
    }

    /// Its process.
    pub(super) fn process(&self) -> anyhow::Result<Named> {
        let pid = self.kafka.pid().context("the broker does not run")?;
        Ok(Named::new(NAME, pid))
    }

    pub(super) async fn create(&self, topic: &str) -> anyhow::Result<()> {
        let arguments = [
            "--create",
            "--topic",
            topic,
            "--partitions",
            &self.partitions,
        ];
        self.tool("TopicCommand", &arguments, "").await?;
        Ok(())
    }

    pub(super) async fn delete(&self, topic: &str) -> anyhow::Result<()> {
        let arguments = ["--delete", "--topic", topic];
        self.tool("TopicCommand", &arguments, "").await?;
        Ok(())
    }

    /// Fills a topic with CloudEvents in binary mode, each with an id of its own.
    pub(super) async fn fill(&self, topic: &str, records: u64, size: u64) -> anyhow::Result<()> {
        let value = sales_order(usize::try_from(size)?);
        let arguments = [
            "--topic",
            topic,
            "--reader-property",
            "parse.headers=true",
            "--batch-size",
            "131072",
        ];
        let (mut number, each) = (0, CHUNK / size);
        while number < records {
            let end = records.min(number + each);
            let lines = lines(number..end, &value);
            self.tool("ConsoleProducer", &arguments, &lines).await?;
            number = end;
        }
        self.holds(topic, records).await
    }

    /// Fails where a topic has more or less than that.
    pub(super) async fn holds(&self, topic: &str, records: u64) -> anyhow::Result<()> {
        let said = self.tool("GetOffsetShell", &["--topic", topic], "").await?;
        let found = end_offsets(&said, topic);
        ensure!(
            found == records,
            "the run is void: {found} of {records} records in {topic}"
        );
        Ok(())
    }

    /// What Kafka's own producer makes of it, as durably and idempotently as Tidegate's; its first
    /// records do not count either.
    pub(super) async fn produced(
        &self,
        topic: &str,
        records: u64,
        size: u64,
    ) -> anyhow::Result<Passed> {
        let [count, skipped, size] = [records, records / SKIPPED, size].map(|one| one.to_string());
        let arguments = [
            "--topic",
            topic,
            "--num-records",
            &count,
            "--record-size",
            &size,
            "--throughput",
            "-1",
            "--warmup-records",
            &skipped,
            "--command-property",
            "acks=all",
            "enable.idempotence=true",
        ];
        let passed = self.passed("ProducerPerformance", &arguments, records, steady_rate);
        let passed = passed.await?;
        self.holds(topic, records).await?;
        Ok(passed)
    }

    /// What Kafka's own consumer makes of it, without the time in which its group is formed.
    pub(super) async fn consumed(&self, topic: &str, records: u64) -> anyhow::Result<Passed> {
        let count = records.to_string();
        let arguments = [
            "--topic",
            topic,
            "--num-records",
            &count,
            "--timeout",
            "30000",
            "--hide-header",
        ];
        let rate = |said: &str| fetch_rate(said, records);
        self.passed("ConsumerPerformance", &arguments, records, rate)
            .await
    }

    /// The rate that a tool tells, and the broker's CPU meanwhile.
    async fn passed(
        &self,
        class: &str,
        arguments: &[&str],
        records: u64,
        rate: impl Fn(&str) -> Option<f64>,
    ) -> anyhow::Result<Passed> {
        let broker = [self.process()?];
        let before = process::usage(&broker)?;
        let said = self.tool(class, arguments, "").await?;
        let after = process::usage(&broker)?;
        let rate = rate(&said).with_context(|| format!("{class} tells no rate: {said}"))?;
        let cpu = for_each(records, process::cpu(&broker, &before, &after));
        Ok(Passed { rate, cpu })
    }

    /// Runs one of Kafka's tools to its end.
    async fn tool(&self, class: &str, arguments: &[&str], input: &str) -> anyhow::Result<String> {
        let (class, bootstrap) = (format!("{TOOLS}.{class}"), self.bootstrap());
        let all = [&["--bootstrap-server", &bootstrap], arguments].concat();
        let running = self.kafka.run_with_input(&class, &all, input);
        let output = timeout(TOOL_MAX, running).await;
        let output = output.with_context(|| format!("{class} does not end"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{class}: {said}{error}");
        Ok(said)
    }
}

/// A record a line: headers, a tab, the value.
fn lines(numbers: std::ops::Range<u64>, value: &str) -> String {
    let mut lines = String::new();
    for number in numbers {
        // Writing to a String cannot fail.
        writeln!(
            lines,
            "ce_specversion:1.0,ce_id:{number},ce_source:/loadtest,ce_type:loadtest.record.v1,\
             content-type:application/json\t{value}"
        )
        .ok();
    }
    lines
}

/// The sum of lines such as `in:0:33333`.
fn end_offsets(said: &str, topic: &str) -> u64 {
    said.lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(topic)?.strip_prefix(':')?;
            rest.split_once(':')?.1.parse::<u64>().ok()
        })
        .sum()
}

/// What the producer says of all but its first records.
fn steady_rate(said: &str) -> Option<f64> {
    let mut lines = said.lines();
    let rest = lines.find_map(|line| Some(line.split_once(" steady state records sent, ")?.1))?;
    rest.split_once(" records/sec")?.0.parse().ok()
}

/// The last field of the consumer's line, where the fifth is that it had all.
fn fetch_rate(said: &str, records: u64) -> Option<f64> {
    let line = said.trim_end().lines().next_back()?;
    let fields: Vec<&str> = line.split(", ").collect();
    let had: u64 = fields.get(4)?.parse().ok()?;
    (fields.len() == 10 && had == records).then(|| fields.last()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tools of Kafka 4.4 say.
    #[test]
    fn what_the_tools_say_is_read() {
        let produced = "\
Warmup first 2000 records. Steady state results will print after the complete test summary.
In steady state.
40000 records sent, 5884.949242 records/sec (5.75 MB/sec), 2162.25 ms avg latency
38000 steady state records sent, 6838.222062 records/sec (6.68 MB/sec), 2257.45 ms avg latency
";
        assert_eq!(steady_rate(produced), Some(6838.222062));
        assert_eq!(steady_rate("40000 records sent, 5884.9 records/sec"), None);
        let consumed = "2026-07-01 23:40:57:514, 2026-07-01 23:40:59:096, 39.0625, 24.6918, 40000, \
                        25284.4501, 857, 725, 53.8793, 55172.4138\n";
        assert_eq!(fetch_rate(consumed, 40_000), Some(55172.4138));
        assert_eq!(fetch_rate(consumed, 40_001), None);
        assert_eq!(end_offsets("in:0:3248\nin:1:3375\nin-2:0:1\n", "in"), 6_623);
    }

    #[test]
    fn a_record_is_a_line_with_its_headers() {
        let lines = lines(7..9, "{}");
        assert_eq!(lines.lines().count(), 2);
        let (headers, value) = lines.lines().next().unwrap().split_once('\t').unwrap();
        assert!(headers.contains(",ce_id:7,") && value == "{}");
    }
}
