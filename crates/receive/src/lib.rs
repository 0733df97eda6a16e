//! receive: the HTTP doors. Server, limits, status codes.
//!
//! Reads requests within their limits, hands them to an [`Intake`], and turns what comes back into
//! answers. Knows nothing of events and formats: what a body means is `normalize`'s to say, and
//! only the one behind the seam says that something is stored. No TLS and no authentication yet.

mod answer;
mod body;
mod config;
mod connection;
mod error;
mod intake;
mod limits;
mod listen;
mod metrics;
mod path;
mod routes;
mod serve;

pub use config::Config;
pub use intake::{Accepted, Arrival, Door, EventOutcome, Intake, Refusal, SubscribedType};
pub use limits::SharedLimits;
pub use listen::Server;
pub use metrics::Metrics;
pub use serve::serve;
