//! snapshot: what runs in a cluster. The controller writes documents into a register beside the log,
//! and the processes that run them say how far they are, and how each document stands.
//!
//! So delivery goes on when the cluster's API is away, and no process that delivers has to ask it.
//! What a document means is not known here, nor what a cluster is.

mod entry;
mod fleet;
mod reader;
mod writer;

pub use entry::{Entry, Key, Kind};
pub use fleet::{
    ASK, Ask, BEAT, BEAT_EVERY, Beat, CALL, CHANNEL, Failure, Page, Role, Standing, State,
};
pub use reader::{Reader, Snapshot};
pub use writer::{WriteError, Writer};

/// What the register is called.
pub const REGISTER: &str = "RESOURCES";

/// The entry that says that all that there is has been written.
const COMPLETE: &str = "complete";
