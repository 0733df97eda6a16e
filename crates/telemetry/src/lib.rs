//! Telemetry: logs, the text of metrics, trace context and spans.
//!
//! The metrics themselves stand in the rooms that count. What is pushed to a collector is, from the
//! room `otlp`.

mod config;
pub mod logs;
pub mod metrics;
pub mod spans;
pub mod trace;

pub use config::{Config, Format, Log, Otlp, Protocol, Traces};
