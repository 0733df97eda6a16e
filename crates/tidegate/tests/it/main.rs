//! The whole path with the real binary: a tidegate process, its nats-server, sinks on loopback.

#[cfg(test)]
mod admin_tls;
#[cfg(test)]
mod administration;
#[cfg(test)]
mod attacks;
#[cfg(test)]
mod connect;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod dead_letters;
#[cfg(test)]
mod events;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod isolation;
#[cfg(test)]
mod kyma;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod metrics;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod operation;
#[cfg(test)]
mod order;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod path;
#[cfg(test)]
mod pausing;
#[cfg(test)]
mod people;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod replies;
#[cfg(test)]
mod sap;
#[cfg(test)]
mod sent;
#[cfg(test)]
mod sinks;
#[cfg(test)]
mod status;
#[cfg(test)]
mod subscriptions;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod traps;
#[cfg(test)]
mod wire;

/// Whether Subscriptions share a consumer.
#[cfg(test)]
const IS_SHARED: bool = false;
