//! The whole path with the real binary: a tidegate process, its nats-server, sinks on loopback.

mod failures;
mod harness;
mod isolation;
mod kyma;
mod operation;
mod path;
