//! One module per source format: bytes and headers to CloudEvents. Pure.
//!
//! What is wrong with an input is said as an [`Error`] with a stable code; nothing here reads a
//! socket, knows a door or writes an answer. An event leaves as its sender named it: `id`,
//! `source`, `type`, `subject`, `time` and data are never rewritten.

mod cloudevent;
mod error;
mod go_json;
mod identity;
mod input;
pub mod kyma;
pub mod legacy;
mod trace;

pub use error::Error;
pub use input::{Format, Input, Normalized, normalize};
