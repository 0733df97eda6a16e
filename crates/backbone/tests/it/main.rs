//! What the log promises, judged on both of its adapters, and what JetStream alone has to hold.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests, though most of their code stands outside of functions marked as such"
)]

mod conformance;
mod fixture;
mod jetstream;
mod memory;
