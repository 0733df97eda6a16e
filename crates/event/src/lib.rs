//! CloudEvents 1.0: the event, its rules, and its bindings to HTTP, JSON and NATS.
//!
//! Data is bytes with a content type and is never re-serialised. Nothing here does I/O.

mod attribute;
mod event;

pub use attribute::{Name, Value};
pub use event::{Event, Extensions};
