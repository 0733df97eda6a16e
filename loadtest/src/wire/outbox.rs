//! What waits to be written: appended by many, written by one.

use std::{cell::RefCell, io, mem};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
};

/// A buffer that grew beyond this in a burst is given back.
const KEPT_BYTES_MAX: usize = 8 << 20;

/// Those who append bound how much: each waits for an answer to what it appended.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pending: RefCell<Vec<u8>>,
    wake: Notify,
}

impl Outbox {
    pub(crate) fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.pending.borrow_mut());
        self.wake.notify_one();
    }

    /// Bytes that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.pending.borrow().len()
    }

    /// Writes what is appended, all that is there at once, until that fails.
    pub(crate) async fn drain(&self, mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
        let mut writing = Vec::new();
        loop {
            mem::swap(&mut writing, &mut *self.pending.borrow_mut());
            if writing.is_empty() {
                self.wake.notified().await;
                continue;
            }
            to.write_all(&writing).await?;
            writing.clear();
            writing.shrink_to(KEPT_BYTES_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::io::AsyncReadExt as _;

    use super::*;

    /// What is appended while something is written goes out behind it, in one piece.
    #[tokio::test(flavor = "current_thread")]
    async fn everything_goes_out_in_order() {
        let outbox = Rc::new(Outbox::default());
        let (near, mut far) = tokio::io::duplex(4);
        let mut read = [0; 12];
        let reads = async {
            outbox.append(|bytes| bytes.extend_from_slice(b"first "));
            tokio::task::yield_now().await;
            outbox.append(|bytes| bytes.extend_from_slice(b"second"));
            far.read_exact(&mut read).await.unwrap();
        };
        tokio::select! {
            () = reads => {}
            ended = outbox.drain(near) => panic!("{ended:?}"),
        }
        assert_eq!(&read, b"first second");
        assert_eq!(outbox.waiting(), 0);
    }
}
