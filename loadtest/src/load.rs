//! What is sent, how long and how often: the arguments that every driver of a door shares.

use std::{num::NonZeroUsize, time::Duration};

use clap::{Args, value_parser};

use crate::{
    driver::Pace,
    payload::Payload,
    request::{Mode, Shape},
};

#[derive(Clone, Debug, Args)]
pub(crate) struct Load {
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 256, value_parser = within(1..=4_096))]
    pub(crate) connections: u64,
    /// Seconds of each run that count
    #[arg(long, default_value_t = 5, value_parser = within(1..=86_400))]
    pub(crate) seconds: u64,
    /// Seconds before them
    #[arg(long, default_value_t = 2)]
    pub(crate) warmup: u64,
    /// Runs; the median counts
    #[arg(long, default_value = "3")]
    pub(crate) repeat: NonZeroUsize,
    /// How an event travels
    #[arg(long, value_enum, default_value_t = Mode::Binary)]
    pub(crate) mode: Mode,
    /// The sizes of the data
    #[arg(long, value_enum, default_value_t = Payload::Uniform)]
    pub(crate) payload: Payload,
    /// Bytes of each event's data, where they are uniform
    #[arg(long, default_value_t = 1_024, value_parser = within(16..=4_194_304))]
    pub(crate) bytes: u64,
    /// Events in a batch
    #[arg(long, default_value_t = 100, value_parser = within(1..=10_000))]
    pub(crate) batch: u64,
    /// Events a second, each at its time and latency counted from it; without, each connection
    /// sends when it was answered
    #[arg(long, value_parser = value_parser!(u32).range(1..))]
    pub(crate) rate: Option<u32>,
}

fn within(range: std::ops::RangeInclusive<u64>) -> clap::builder::RangedU64ValueParser {
    value_parser!(u64).range(range)
}

impl Load {
    pub(crate) fn shape(&self) -> Shape {
        Shape {
            mode: self.mode,
            payload: self.payload,
            bytes: self.bytes as usize,
            batch: self.batch as usize,
            types: 1,
            is_timed: false,
        }
    }

    pub(crate) fn pace(&self, seconds: u64) -> Pace {
        Pace {
            connections: self.connections as usize,
            time: Duration::from_secs(seconds),
            rate: self.rate,
            events: None,
        }
    }

    /// In one line, for those who read the result.
    pub(crate) fn title(&self) -> String {
        let data = match self.payload {
            Payload::Uniform => format!("{} bytes of data", self.bytes),
            Payload::Mix => "256 B, 1, 4 and 16 KiB of data, 40:40:17:3".to_owned(),
        };
        let mode = match self.mode {
            Mode::Batch => format!("batches of {}", self.batch),
            mode @ (Mode::Binary | Mode::Structured | Mode::Legacy | Mode::Sap) => mode.name(),
        };
        let rate = self
            .rate
            .map_or("closed loop".to_owned(), |rate| format!("{rate} events/s"));
        format!(
            "{mode}, {data}, {} connections, {rate}, {} runs of {} s",
            self.connections, self.repeat, self.seconds
        )
    }
}
