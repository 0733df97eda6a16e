//! Telemetry: logs, the text of metrics, and trace context from events to sinks.
//!
//! The metrics themselves stand in the rooms that count; no exporter pushes anything from here.

mod config;
pub mod logs;
pub mod metrics;
pub mod trace;

pub use config::{Config, Format, Log};
