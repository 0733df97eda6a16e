//! Real servers and scripted sinks for tests.

mod client;

pub use client::{Answer, Client};
