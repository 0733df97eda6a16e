//! A piece of work that is counted.

use std::hint::black_box;

/// A piece of work.
pub(crate) struct Case {
    /// Its name: the room, then what is done.
    pub(crate) name: &'static str,
    /// How often it is done, and twice that: often enough that what differs from process to process
    /// (hash seeds, the clock) is far below a percent, and a few seconds under the counter.
    pub(crate) times: u32,
    /// Prepares it, then does it so many times.
    pub(crate) work: fn(u32),
}

/// Does it so many times; nothing of it is left out because nobody looks.
pub(crate) fn repeat<T>(times: u32, mut work: impl FnMut() -> T) {
    for _ in 0..times {
        black_box(work());
    }
}
