//! The JSON format, of one event and of batches.
//!
//! The envelope is borrowed and data stays raw: its numbers, key order and white space come out as
//! they went in. Nothing is ever parsed into a tree.

mod decode;
mod encode;
mod envelope;

pub use decode::{decode, decode_batch};
pub use encode::{encode, encode_batch};

use bytes::Bytes;

/// Whether the body looks like one structured event: a JSON object with the required attributes
/// among its members. It may still be no legal one.
///
/// Reads as far as the last of the four, which stand before the data as a rule.
pub fn is_event(body: &Bytes) -> bool {
    envelope::has_required(body)
}
