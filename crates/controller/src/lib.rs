//! controller: Subscriptions and Applications of a Kubernetes cluster become documents that run, and
//! how they run becomes their status.
//!
//! ```text
//! API server ──watch──► reconcile ─► judge ─► snapshot ═══► register beside the log
//!     ▲                     │                                      ║
//!     └──status, Events─────┴──────────── fleet ◄─── those who run the documents
//! ```
//!
//! One of several controllers is in charge, by a Lease. What a document means is `subscription`'s and
//! `application`'s to say; nothing is delivered here, and while no controller runs, deliveries go on.

mod config;
mod crd;
mod deployed;
mod drift;
mod events;
mod fleet;
mod judge;
mod kinds;
mod kyma;
mod lease;
mod metrics;
mod reconcile;
mod run;
mod services;
mod sinks;
mod status;
mod triggers;

pub use config::{Config, Lease};
pub use crd::definitions;
pub use kyma::Status as KymaStatus;
pub use metrics::Metrics;
pub use run::{Controller, Leading, StartError};
pub use status::Condition;

/// As whom fields are managed (server-side apply), and who reports Events.
const MANAGER: &str = "tidegate";

/// Why something about a resource could not be done now; it is tried again.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The cluster's API.
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
    /// What is to run cannot be written.
    #[error(transparent)]
    Write(#[from] tidegate_snapshot::WriteError),
}
