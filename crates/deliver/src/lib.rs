//! One attempt at one sink: the request, its time, and what the answer means.
//!
//! Whether there is another attempt, and when, is not decided here.

mod answer;
mod client;
mod config;
mod metrics;
mod outcome;
mod retry_after;
mod sink;

pub use client::Client;
pub use config::Config;
pub use metrics::Metrics;
pub use outcome::{Answer, Failure, GONE, Outcome, classify};
pub use sink::{Seen, Sink, SinkError};
