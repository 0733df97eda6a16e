//! receive: the HTTP doors. Server, limits, status codes.
//!
//! Reads requests within their limits, hands them to an [`Intake`], and turns what comes back into
//! answers. Knows nothing of events and formats: what a body means is `normalize`'s to say, and
//! only the one behind the seam says that something is stored. Each request carries its [`Peer`];
//! who that is, and what it may send, is not judged here.

mod answer;
mod body;
mod config;
mod connection;
mod door;
mod error;
mod handshake;
mod intake;
mod limits;
mod listen;
mod metrics;
mod path;
mod peer;
mod routes;
mod serve;
mod tls;

pub use config::Config;
pub use door::{Door, WebHook};
pub use intake::{Accepted, Admitted, EventOutcome, Head, Intake, Refusal, SubscribedType};
pub use limits::SharedLimits;
pub use listen::{BindError, Listeners, Server};
pub use metrics::Metrics;
pub use peer::Peer;
pub use serve::serve;
pub use tls::{FileError, Reload, Tls, TlsConfig};
