//! One attempt at one sink: the request, its time, and what the answer means.
//!
//! Whether there is another attempt, and when, is not decided here.

mod answer;
mod batch;
mod body;
mod client;
mod config;
mod connections;
mod credentials;
mod egress;
mod hosts;
mod live;
mod metrics;
mod outcome;
mod permission;
mod reply;
mod retry_after;
mod signing;
mod sink;

pub use batch::Batches;
pub use client::Client;
pub use config::Config;
pub use egress::Config as Egress;
pub use metrics::Metrics;
pub use outcome::{Answer, Failure, GONE, Outcome, classify};
pub use permission::Granted;
pub use sink::{Seen, Sink, SinkError};
