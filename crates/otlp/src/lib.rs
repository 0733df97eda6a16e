//! Spans and metrics to an OpenTelemetry collector, over OTLP.
//!
//! Nobody waits for the collector: spans wait in a bounded queue, one request at a time is under
//! way, and what cannot be sent in time is counted and gone.

mod export;
mod metrics;
mod openmetrics;
mod send;
mod settings;
mod spans;

pub use export::Exporter;
pub use settings::{Settings, SettingsError};
