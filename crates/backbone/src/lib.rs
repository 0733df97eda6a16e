//! The durable log as a port: append, pull, settle, dead letters.
//!
//! Two adapters keep the same promises (one conformance suite judges both): [`jetstream`] for
//! every running system, [`memory`] for tests and simulation only. What the events mean, and who
//! wants them, is not known here.

pub mod jetstream;
pub mod memory;
pub mod subject;

mod config;
mod port;
mod register;

pub use config::{Config, DeadLetters, Durability, Events, Storage};
pub use port::{
    Append, AppendError, ConsumerSpec, ControlError, DeadLetter, Delivery, Former, LettersOf, Log,
    MessageId, Pending, Receipt, Settle, SettleError, Sharer, SinkAnswer, Source, SourceError,
    Start, Stored, Unreadable, numbered,
};
pub use register::{Presence, Register, RegisterError, Registered, Shard};
