//! Real servers and scripted sinks for tests.

mod client;
mod nats;
mod sink;

pub use client::{Answer, Client};
pub use nats::{NatsServer, nats_server_binary};
pub use sink::{Manner, Received, Reply, Sink};
