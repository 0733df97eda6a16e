//! Real servers and scripted sinks for tests.

mod client;
mod nats;

pub use client::{Answer, Client};
pub use nats::{NatsServer, nats_server_binary};
