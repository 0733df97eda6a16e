//! History: what happened to each event, from whom it came to who has it.
//!
//! ```text
//!  receive, consume ─► Journal::note ─► records in memory ─► a batch ─► the log (a stream of its own)
//!                                       (bounded)                        │
//!                             who asks ◄── batch::read ◄─────────────────┘
//! ```
//!
//! It never holds anything up: what cannot be kept is counted and forgotten. So nothing may be
//! decided by what is found here.

pub mod batch;
mod config;
mod journal;
mod metrics;
mod record;

pub use config::Config;
pub use journal::{Journal, Keep};
pub use metrics::Metrics;
pub use record::{Outcome, Reason, Record, What};
