//! The same path, where Subscriptions share a consumer.

#[cfg(test)]
mod catalog;
#[cfg(test)]
#[path = "../it/dead_letters.rs"]
mod dead_letters;
#[cfg(test)]
#[path = "../it/events.rs"]
mod events;
#[cfg(test)]
#[path = "../it/failures.rs"]
mod failures;
#[cfg(test)]
#[path = "../it/harness.rs"]
mod harness;
#[cfg(test)]
#[path = "../it/kyma.rs"]
mod kyma;
#[cfg(test)]
#[path = "../it/lifecycle.rs"]
mod lifecycle;
#[cfg(test)]
#[path = "../it/metrics.rs"]
mod metrics;
#[cfg(test)]
#[path = "../it/operation.rs"]
mod operation;
#[cfg(test)]
#[path = "../it/order.rs"]
mod order;
#[cfg(test)]
#[path = "../it/path.rs"]
mod path;
#[cfg(test)]
#[path = "../it/pausing.rs"]
mod pausing;
#[cfg(test)]
#[path = "../it/replay.rs"]
mod replay;
#[cfg(test)]
#[path = "../it/replies.rs"]
mod replies;
#[cfg(test)]
#[path = "../it/sap.rs"]
mod sap;
#[cfg(test)]
#[path = "../it/sinks.rs"]
mod sinks;
#[cfg(test)]
#[path = "../it/subscriptions.rs"]
mod subscriptions;
#[cfg(test)]
#[path = "../it/traps.rs"]
mod traps;

/// Whether Subscriptions share a consumer.
#[cfg(test)]
const IS_SHARED: bool = true;
