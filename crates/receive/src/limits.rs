//! What all threads of the process share: how many connections, how many bytes of bodies.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Config;

/// Limits that hold for all threads together.
#[derive(Clone, Debug)]
pub struct SharedLimits {
    connections: Arc<Semaphore>,
    buffer: Arc<Buffer>,
}

#[derive(Debug)]
struct Buffer {
    bytes: AtomicU64,
    bytes_max: u64,
}

/// Room for a body; given back when dropped.
#[derive(Debug)]
pub(crate) struct Reservation {
    buffer: Arc<Buffer>,
    bytes: u64,
}

impl SharedLimits {
    /// The limits of this configuration.
    pub fn new(config: &Config) -> Self {
        let connections = config.connections_max.min(Semaphore::MAX_PERMITS);
        Self {
            connections: Arc::new(Semaphore::new(connections)),
            buffer: Arc::new(Buffer {
                bytes: AtomicU64::new(0),
                bytes_max: config.buffer_bytes_max.as_u64(),
            }),
        }
    }

    /// A place for one more connection.
    pub(crate) fn connection(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.connections).try_acquire_owned().ok()
    }

    /// A reservation of nothing yet.
    pub(crate) fn reservation(&self) -> Reservation {
        Reservation {
            buffer: Arc::clone(&self.buffer),
            bytes: 0,
        }
    }
}

// === impl Reservation ===

impl Reservation {
    /// Takes room for what has come. Room is taken as bytes come in, not as a sender announces
    /// them, so announcing costs the others nothing.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), u64> {
        let bytes = bytes as u64;
        let buffer = &self.buffer;
        let before = buffer.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > buffer.bytes_max {
            buffer.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(buffer.bytes_max);
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.buffer.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;

    /// What does not fit takes no room, and what is answered gives its room back.
    #[test]
    fn room_is_bounded_and_given_back() {
        let config = Config {
            buffer_bytes_max: ByteSize::b(10),
            ..Config::default()
        };
        let limits = SharedLimits::new(&config);
        let mut first = limits.reservation();
        assert_eq!(first.grow(6), Ok(()));
        let mut second = limits.reservation();
        assert_eq!(second.grow(5), Err(10));
        assert_eq!(second.grow(4), Ok(()));
        drop(first);
        assert_eq!(second.grow(6), Ok(()));
        drop(second);
        assert_eq!(limits.buffer.bytes.load(Ordering::Relaxed), 0);
    }
}
