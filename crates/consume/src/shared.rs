//! Many Subscriptions on one consumer of the log: nobody who is well costs the server anything.
//!
//! An event of the shared consumer goes to everybody who wants it, and is settled there when each of
//! them is done with it. Who cannot take its events now leaves for a consumer of its own, and comes
//! back when that has nothing left.
//!
//! ```text
//!  takeover ─► hub ── reads the shared consumer ─► state: ledger, what waits for whom
//!               │                                        │
//!               └─ moves: to a consumer of one's own,    ▼
//!                  and back; registered by writing   feed ─► a Subscription's loop
//! ```

mod behind;
mod entry;
mod feed;
mod hub;
mod ledger;
mod load;
mod log;
mod moves;
mod opening;
mod serving;
mod state;
mod takeover;
mod wanted;
mod watched;
mod writing;

pub use behind::{Behind, BehindAll, Unread};
pub use feed::{Feed, FeedReceipt};
pub use hub::Hub;
use ledger::{Ledger, OwnTaken, Taken, Way};
pub use load::Load;
pub use log::{Shape, SharedLog, shard_of};
