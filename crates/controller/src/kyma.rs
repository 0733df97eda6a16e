//! Kyma's kind: its rules as a cluster has them, and its status, in Kyma's words.

mod rules;
mod status;

pub use self::status::Status;
pub(crate) use self::{
    rules::{Sink, mistakes},
    status::Spec,
};

/// What stands before what is wrong.
const FAILED: &str = "Subscription validation failed: ";

/// The condition's message for these mistakes.
fn message(mistakes: &[String]) -> String {
    match mistakes {
        [] => String::new(),
        [one] => format!("{FAILED}{one}"),
        several => format!("{FAILED}[{}]", several.join(", ")),
    }
}
