//! CloudEvents 1.0: the event, its rules, and its bindings to HTTP, JSON and NATS.
//!
//! Data is bytes with a content type and is never re-serialised. Nothing here does I/O.

mod attribute;
mod draft;
mod error;
mod event;
mod header;
pub mod http;
pub mod json;
mod leniency;
mod media_type;
pub mod nats;
mod validate;

pub use attribute::{Name, Value};
pub use error::Error;
pub use event::{Event, Extensions};
pub use leniency::Leniency;
pub use validate::{EXTENSIONS_MAX, validate};
