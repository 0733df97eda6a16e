//! Events into the durable log: subject, message id, backpressure, the durable acknowledgement.
//!
//! `Ok` means stored. A log that is away for a moment is retried inside the request, under the
//! same message id, so that the sender need not; nothing waits past the deadline, and nothing is
//! queued here. Who may publish what is not decided here.

mod admission;
mod config;
mod error;
mod message_id;
mod metrics;
mod publisher;

pub use admission::Admission;
pub use config::Config;
pub use error::Error;
pub use message_id::message_id;
pub use metrics::Metrics;
pub use publisher::Publisher;
