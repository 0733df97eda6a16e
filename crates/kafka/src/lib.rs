//! Kafka: one more door and one more sink, and the only home of librdkafka.
//!
//! ```text
//! topic ─► Source ─► Intake (normalize ─► publish) ─► JetStream   an offset is committed after this
//! JetStream ─► consume ─► Sink ─► topic                           acknowledged after the brokers'
//! ```

mod batch;
mod client;
mod config;
mod metrics;
mod producers;
mod record;
mod sink;
mod source;

pub use config::Config;
pub use metrics::Metrics;
pub use producers::Producers;
pub use record::Record;
pub use sink::{CODES, Failure, Outcome, Sink, Trouble};
pub use source::{Begin, Intake, Settings, Source, State, Topics};
