//! Topics of a real Kafka, read and written by the real program.

#[cfg(test)]
mod broker;
#[cfg(test)]
#[path = "../it/harness.rs"]
mod harness;
#[cfg(test)]
mod source;

/// As in the other runs of the harness.
#[cfg(test)]
const IS_SHARED: bool = true;
