//! Many Subscriptions on one consumer of the log: nobody who is well costs the server anything.
//!
//! An event of the shared consumer goes to everybody who wants it, and is settled there when each of
//! them is done with it. Who cannot take its events now leaves for a consumer of its own, and comes
//! back when that has nothing left.

mod ledger;

pub use ledger::{Ledger, OwnTaken, Taken};
