//! Medians and ranges of several runs.
#![expect(clippy::cast_precision_loss, reason = "rates and shares")]

use std::fmt::Write;

use serde_json::json;

use crate::{Publish, driver::Driven};

/// The figures of one run.
pub(crate) struct Run {
    events_per_second: f64,
    baseline: Option<f64>,
    /// Microseconds of CPU for each event, by process.
    cpu: Vec<(String, f64)>,
    /// Milliseconds: half, 99 %, 99.9 % of the requests.
    latency: [f64; 3],
}

impl Run {
    pub(crate) fn of(driven: &Driven, baseline: Option<f64>, cpu: &[(String, u64)]) -> Self {
        let events = driven.events.max(1) as f64;
        let mut latencies = driven.latencies.clone();
        latencies.sort_unstable();
        let at = |share: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index within the list"
            )]
            let index = (latencies.len() as f64 * share) as usize;
            let index = index.min(latencies.len().saturating_sub(1));
            latencies
                .get(index)
                .map_or(0.0, |micros| f64::from(*micros) / 1_000.0)
        };
        Self {
            events_per_second: events / driven.took.as_secs_f64(),
            baseline,
            cpu: cpu
                .iter()
                .map(|(name, micros)| (name.clone(), *micros as f64 / events))
                .collect(),
            latency: [at(0.5), at(0.99), at(0.999)],
        }
    }
}

/// Each figure's name, median, least and most.
pub(crate) struct Summary {
    title: String,
    rows: Vec<(String, [f64; 3])>,
}

pub(crate) fn summarize(arguments: &Publish, runs: &[Run]) -> Summary {
    let mut rows = Vec::new();
    let mut row = |name: String, figures: Vec<f64>| {
        if let Some(spread) = spread(figures) {
            rows.push((name, spread));
        }
    };
    row(
        "events/s, durable".to_owned(),
        runs.iter().map(|run| run.events_per_second).collect(),
    );
    row(
        "JetStream alone, messages/s".to_owned(),
        runs.iter().filter_map(|run| run.baseline).collect(),
    );
    row(
        "events/s over JetStream alone".to_owned(),
        runs.iter()
            .filter_map(|run| Some(run.events_per_second / run.baseline?))
            .collect(),
    );
    for (at, (name, _)) in runs
        .first()
        .into_iter()
        .flat_map(|run| run.cpu.iter().enumerate())
    {
        let figures = runs
            .iter()
            .filter_map(|run| run.cpu.get(at))
            .map(|(_, micros)| *micros);
        row(format!("CPU µs/event, {name}"), figures.collect());
    }
    for (at, name) in ["p50", "p99", "p99.9"].iter().enumerate() {
        let figures = runs.iter().filter_map(|run| run.latency.get(at).copied());
        row(format!("latency ms, {name}"), figures.collect());
    }
    let title = format!(
        "{:?}, {} bytes of data, {} connections, {} runs of {} s",
        arguments.mode, arguments.bytes, arguments.connections, arguments.repeat, arguments.seconds
    );
    Summary { title, rows }
}

fn spread(mut figures: Vec<f64>) -> Option<[f64; 3]> {
    figures.sort_by(f64::total_cmp);
    Some([
        *figures.get(figures.len() / 2)?,
        *figures.first()?,
        *figures.last()?,
    ])
}

impl Summary {
    pub(crate) fn table(&self) -> String {
        let mut table = format!(
            "{}\n{:<32}{:>12}{:>12}{:>12}\n",
            self.title, "", "median", "least", "most"
        );
        for (name, [median, least, most]) in &self.rows {
            let digits = if *median > 1_000.0 { 0 } else { 2 };
            // Writing to a String cannot fail.
            writeln!(
                table,
                "{name:<32}{median:>12.digits$}{least:>12.digits$}{most:>12.digits$}"
            )
            .ok();
        }
        table
    }

    pub(crate) fn json(&self) -> String {
        let rows: serde_json::Map<String, serde_json::Value> = self
            .rows
            .iter()
            .map(|(name, [median, least, most])| {
                (
                    name.clone(),
                    json!({ "median": median, "least": least, "most": most }),
                )
            })
            .collect();
        json!({ "run": self.title, "figures": rows }).to_string()
    }
}
