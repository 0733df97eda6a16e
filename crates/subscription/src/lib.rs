//! Subscription documents: parsing, validation, matching. Pure.
//!
//! A document of any supported kind becomes one internal model, [`Subscription`]. Where documents
//! come from, and what is delivered how, is not decided here.

mod kyma;
mod matching;
mod subscribed;
mod subscription;

pub use matching::Matched;
pub use subscribed::subscribed_types;
pub use subscription::{Flavour, Interest, MAX_IN_FLIGHT_DEFAULT, Matching, Subscription};
