//! What happened, in order.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_backbone::Settle;
use tokio::time::Instant;

/// Which loop: its Subscription, which of the processes, and how many there were before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loop {
    pub(crate) subscription: usize,
    pub(crate) process: usize,
    pub(crate) number: usize,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Delivered,
    /// It may pass, and tells nothing of the sink.
    Later,
    /// The sink failed.
    Failed,
    /// The sink asks to be left alone.
    Hold(Duration),
    Rejected,
    Gone,
    /// Its process died.
    Cut,
}

/// What became of a settlement on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    Lost,
    Refused,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Published(u64),
    Runs(Loop, u32),
    /// Its Subscription gets what is stored from now on.
    Opened(Loop),
    /// Attempts of a Subscription a second, from now on.
    Paced(usize, Option<u32>),
    Died(Loop),
    Stopped(Loop),
    Pulled(Loop, u64, u32),
    /// Its events come from elsewhere now.
    Lost(Loop),
    Began(Loop, u64),
    Ended(Loop, u64, End),
    Settled(Loop, u64, Settle, Fate),
    Buried(Loop, u64, Fate),
    /// The dead letter of a Subscription's event was taken away.
    Discarded(usize, u64),
    Sink(usize, &'static str),
    /// Everything unsettled of a Subscription comes again.
    Redelivered(usize),
    Unpinned(usize),
    Clock,
    /// The log was killed, and has forgotten what was settled in the last moment.
    LogDied,
    /// So many consumers are shared from now on.
    Shards(u32),
    /// Sinks that were gone are asked again.
    AskedAgain,
    Calm,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Arc<Mutex<Option<Noted>>>);

#[derive(Debug)]
struct Noted {
    began: Instant,
    entries: Vec<Entry>,
}

impl Record {
    pub(crate) fn note(&self, what: What) {
        let mut noted = self.lock();
        let noted = noted.get_or_insert_with(|| Noted {
            began: Instant::now(),
            entries: Vec::new(),
        });
        noted.entries.push(Entry {
            at: noted.began.elapsed(),
            what,
        });
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        let noted = self.lock().take();
        noted.map(|noted| noted.entries).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Entry ===

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12.3} {:?}", self.at.as_secs_f64(), self.what)
    }
}
