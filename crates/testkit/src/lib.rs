//! Real servers and scripted sinks for tests.

mod authority;
mod client;
mod collector;
mod issuer;
mod kafka;
mod kubernetes;
mod nats;
mod process;
mod promcheck;
mod sink;
mod tether;

pub use authority::{Authority, Identity};
pub use client::{Answer, Client};
pub use collector::Collector;
pub use issuer::Issuer;
pub use kafka::Kafka;
pub use kubernetes::Kubernetes;
pub use nats::{NatsServer, fsync_nats_server_binary, nats_server_binary};
pub use process::signal;
pub use promcheck::promcheck_binary;
pub use sink::{Manner, Received, Reply, Sink};
pub use tether::Tethered;
