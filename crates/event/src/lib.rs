//! CloudEvents 1.0: the event, its rules, and its bindings to HTTP, JSON, Kafka and NATS.
//!
//! Data is bytes with a content type and is never re-serialised. Nothing here does I/O.

mod attribute;
mod draft;
mod error;
mod event;
mod headers;
mod mode;
mod percent;
#[cfg(feature = "cloudevents-sdk")]
mod sdk;
mod trace;
mod validate;

pub mod http;
pub mod json;
pub mod kafka;
pub mod nats;

pub use attribute::{Name, Value};
pub use draft::{Data, Draft, Leniency, Loose, is_json};
pub use error::{Error, Shown};
pub use event::{Event, Extensions};
pub use trace::TraceContext;
pub use validate::{is_timestamp, validate};
