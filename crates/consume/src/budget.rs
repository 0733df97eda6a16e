//! What all Subscriptions of a process may hold in memory together.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytesize::ByteSize;

/// Bytes for all who share it. Clones are the same budget.
///
/// Each may have as much as is free: the more have, the less each can get, some is always left for
/// whoever comes next, and nobody has to be asked for anything back. One alone gets half of it.
/// (Dynamic thresholds, as in the buffers of network switches: Choudhury and Hahne, 1998.)
#[derive(Clone, Debug)]
pub struct Budget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bytes_max: usize,
    used: AtomicUsize,
}

impl Budget {
    /// So many bytes in all.
    pub fn new(bytes_max: ByteSize) -> Self {
        Self(Arc::new(Shared {
            bytes_max: usize::try_from(bytes_max.as_u64()).unwrap_or(usize::MAX),
            used: AtomicUsize::new(0),
        }))
    }

    /// What is used now, and what was asked for.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }
}

/// The part of it that one has.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: usize,
}

impl Share {
    pub(crate) fn of(budget: Budget) -> Self {
        Self { budget, bytes: 0 }
    }

    /// How much it may be.
    pub(crate) fn max(&self) -> usize {
        let of_others = self.budget.used().saturating_sub(self.bytes);
        // As much as would be free then.
        self.budget.0.bytes_max.saturating_sub(of_others) / 2
    }

    pub(crate) fn set(&mut self, bytes: usize) {
        let used = &self.budget.0.used;
        if bytes >= self.bytes {
            used.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else {
            used.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However many want all they can get: the bound holds, one that comes last gets something, and
    /// what was given back is there for others.
    #[test]
    fn all_get_something_and_nobody_all() {
        let budget = Budget::new(ByteSize::mib(1));
        let mut shares = Vec::new();
        for _ in 0..10 {
            let mut share = Share::of(budget.clone());
            share.set(share.max());
            assert!(share.bytes > 0, "after {}", shares.len());
            shares.push(share);
        }
        assert!(budget.used() <= 1 << 20);
        for _ in 0..100 {
            for share in &mut shares {
                share.set(share.max());
            }
        }
        let each = (1 << 20) / 11;
        for share in &shares {
            assert!(
                share.bytes.abs_diff(each) < each / 10,
                "{} of {each}",
                share.bytes
            );
        }
        shares.truncate(1);
        let half = shares[0].max();
        shares[0].set(half);
        assert_eq!(shares[0].bytes, 1 << 19);
        drop(shares);
        assert_eq!(budget.used(), 0);
    }
}
