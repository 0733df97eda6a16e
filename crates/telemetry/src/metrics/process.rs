//! What the process takes of its machine, under the names that every dashboard knows.
//!
//! Read at each scrape, from `/proc`: where there is none, nothing is shown.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::Registry,
};
use rustix::{
    param::{clock_ticks_per_second, page_size},
    process::{Resource, getrlimit},
};

/// Registers the figures of this process.
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Process));
}

#[derive(Debug)]
struct Process;

/// The figures at one moment.
#[derive(Debug, PartialEq)]
struct Figures {
    cpu_seconds: f64,
    resident_bytes: f64,
    virtual_bytes: f64,
    threads: f64,
    /// Seconds of Unix time.
    started: f64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(figures) = Figures::now() else {
            return Ok(());
        };
        let cpu = encoder.encode_descriptor(
            "process_cpu_seconds",
            "CPU time that the process has taken.",
            None,
            MetricType::Counter,
        )?;
        ConstCounter::new(figures.cpu_seconds).encode(cpu)?;
        for (name, meaning, value) in [
            (
                "process_resident_memory_bytes",
                "Memory of the process that is in RAM.",
                Some(figures.resident_bytes),
            ),
            (
                "process_virtual_memory_bytes",
                "Addresses that the process has taken, used or not.",
                Some(figures.virtual_bytes),
            ),
            (
                "process_threads",
                "Threads of the process.",
                Some(figures.threads),
            ),
            (
                "process_start_time_seconds",
                "When the process began, in Unix time.",
                Some(figures.started),
            ),
            (
                "process_open_fds",
                "Files and connections that are open.",
                open_files(),
            ),
            (
                "process_max_fds",
                "Files and connections that may be open.",
                files_max(),
            ),
        ] {
            if let Some(value) = value {
                let gauge = encoder.encode_descriptor(name, meaning, None, MetricType::Gauge)?;
                ConstGauge::new(value).encode(gauge)?;
            }
        }
        Ok(())
    }
}

impl Figures {
    fn now() -> Option<Self> {
        let (process, machine) = ("/proc/self/stat", "/proc/stat");
        let (process, machine) = (fs::read_to_string(process), fs::read_to_string(machine));
        Self::read(&process.ok()?, &machine.ok()?)
    }

    /// From `/proc/self/stat` and `/proc/stat`, see proc(5).
    fn read(process: &str, machine: &str) -> Option<Self> {
        // The name of the program, in brackets, may hold anything.
        let (_, fields) = process.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split(' ').collect();
        // The third is the first behind the name.
        let field = |number: usize| fields.get(number - 3)?.trim().parse::<f64>().ok();
        let booted = machine
            .lines()
            .find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok())?;
        let ticks = number(clock_ticks_per_second());
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / ticks,
            threads: field(20)?,
            started: booted + field(22)? / ticks,
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * number(page_size() as u64),
        })
    }
}

fn open_files() -> Option<f64> {
    let open = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them reads the others.
    Some(number(open.saturating_sub(1) as u64))
}

fn files_max() -> Option<f64> {
    getrlimit(Resource::Nofile).current.map(number)
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::render;

    /// A program may be called as it likes, and the fields behind its name stay where they are.
    #[test]
    fn the_fields_are_found_behind_any_name() {
        let process = "7 (a) R 1 (b)) S 1 7 7 0 -1 4194560 9 0 0 0 150 50 0 0 20 0 3 0 1000 4096000 25 \
                       18446744073709551615 1 1\n";
        let figures = Figures::read(process, "cpu 1 2\nbtime 1700000000\n").unwrap();
        let ticks = number(clock_ticks_per_second());
        let expected = Figures {
            cpu_seconds: 200.0 / ticks,
            resident_bytes: 25.0 * number(page_size() as u64),
            virtual_bytes: 4_096_000.0,
            threads: 3.0,
            started: 1_700_000_000.0 + 1_000.0 / ticks,
        };
        assert_eq!(figures, expected);
        assert_eq!(Figures::read("7 (a) S", "btime 1\n"), None);
    }

    /// The names are those that every dashboard of processes asks for.
    #[test]
    fn this_process_has_figures() {
        let mut registry = Registry::default();
        register(&mut registry);
        let text = render(&registry);
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_open_fds",
            "process_max_fds",
            "process_start_time_seconds",
        ] {
            let line = text
                .lines()
                .find(|line| line.starts_with(&format!("{name} ")));
            let value: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
            assert!(value >= 0.0, "{text}");
        }
    }
}
