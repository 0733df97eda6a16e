//! Which process reads how many shards: whoever reads more than its share gives some up.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

/// How many shards a process reads, of all that it might. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Load(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    read: AtomicU32,
    /// One of them asks for a shard that another process reads.
    asks: AtomicBool,
}

/// A shard is read, until this is dropped.
#[derive(Debug)]
pub(super) struct Read {
    load: Load,
    is_given: bool,
}

/// A shard is asked for, until this is dropped.
#[derive(Debug)]
pub(super) struct Ask(Load);

impl Load {
    pub(super) fn read(&self) -> Read {
        self.0.read.fetch_add(1, Ordering::Relaxed);
        Read {
            load: self.clone(),
            is_given: false,
        }
    }

    /// `None` while another one is asked for: what that comes to decides about this one.
    pub(super) fn ask(&self) -> Option<Ask> {
        let is_asked = self.0.asks.swap(true, Ordering::Relaxed);
        (!is_asked).then(|| Ask(self.clone()))
    }
}

impl Read {
    /// Whether it is better read by a process that reads so many.
    pub(super) fn give(&mut self, reads: u32) -> bool {
        let less = |count: u32| (count > reads.saturating_add(1)).then(|| count - 1);
        let order = Ordering::Relaxed;
        let given = self.load.0.read.fetch_update(order, order, less);
        self.is_given = given.is_ok();
        self.is_given
    }
}

impl Drop for Read {
    fn drop(&mut self) {
        if !self.is_given {
            self.load.0.read.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Ask {
    /// How many this process reads.
    pub(super) fn reads(&self) -> u32 {
        self.0.0.read.load(Ordering::Relaxed)
    }
}

impl Drop for Ask {
    fn drop(&mut self) {
        self.0.0.asks.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever has more than one more than the other gives, and never so much that it asks back.
    #[test]
    fn shards_are_spread_evenly() {
        for shards in 1..10_u32 {
            let (mine, other) = (Load::default(), Load::default());
            let mut read: Vec<Read> = (0..shards).map(|_| mine.read()).collect();
            let mut theirs = Vec::new();
            while let Some(at) = {
                let reads = other.ask().unwrap().reads();
                read.iter_mut().position(|one| one.give(reads))
            } {
                drop(read.swap_remove(at));
                theirs.push(other.read());
            }
            assert!(read.len() - theirs.len() <= 1, "{shards}");
            let reads = mine.ask().unwrap().reads();
            assert_eq!(reads as usize, read.len());
            assert!(!theirs.iter_mut().any(|one| one.give(reads)));
        }
    }

    #[test]
    fn one_is_asked_for_at_a_time() {
        let load = Load::default();
        let ask = load.ask();
        assert!(ask.is_some() && load.clone().ask().is_none());
        drop(ask);
        assert!(load.ask().is_some());
    }
}
