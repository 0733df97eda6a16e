//! One Subscription's loop: room, attempts, retries, dead letters, settling.
//!
//! It takes its events from a source and does not know what feeds it; it asks for attempts and
//! does not know how they are made.

mod attempt;
mod budget;
mod config;
mod gate;
mod held;
mod metrics;
mod pace;
mod policy;
mod replay;
mod service;
pub mod shared;
mod waiting;
mod window;

pub use attempt::{Attempt, Ended, Failure, Follows, Health, Verdict};
pub use budget::Budget;
pub use config::{Breaker, Config, Retry, SHARDS_MAX, Shared};
pub use gate::{Gate, Gates, Standing};
pub use metrics::{Counted, Metrics};
pub use pace::Pace;
pub use replay::{Replay, ReplayCounts};
pub use service::{Service, filters};
