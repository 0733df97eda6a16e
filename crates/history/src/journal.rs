//! What is noted, until it is kept.

use std::{
    mem,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{Config, Metrics, Record, batch};

/// Most records in memory: some 2 MB, and the words of what failed.
const WAITING_MAX: usize = 16_384;

/// Most records of one message, which stays below half of what a message may be.
const BATCH_MAX: usize = 2_048;

/// How long a message may take.
const KEEP_MAX: Duration = Duration::from_secs(5);

/// Where batches are kept.
pub trait Keep: Sync {
    /// Keeps one; an error is why not.
    fn keep(&self, batch: Bytes) -> impl Future<Output = Result<(), String>> + Send;
}

/// Notes what happens to events. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Journal(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    config: Config,
    metrics: Metrics,
    waiting: Mutex<Vec<Record>>,
    /// There is a first one.
    begun: Notify,
    /// There are enough for a message.
    filled: Notify,
    /// The last one was not kept.
    failed: AtomicBool,
}

impl Journal {
    /// One for each thread that notes much.
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        let inner = || Inner {
            config: config.clone(),
            metrics: metrics.clone(),
            waiting: Mutex::default(),
            begun: Notify::new(),
            filled: Notify::new(),
            failed: AtomicBool::new(false),
        };
        Self(config.enabled.then(|| Arc::new(inner())))
    }

    /// Whether anything is noted.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Notes this, unless it is of no event that is looked at.
    pub fn note(&self, record: Record) {
        let Some(inner) = &self.0 else {
            return;
        };
        if !record.is_failure() && !is_sampled(record.place, inner.config.sample) {
            return;
        }
        let count = {
            let mut waiting = inner.lock();
            if waiting.len() >= WAITING_MAX {
                drop(waiting);
                inner.metrics.dropped.inc();
                return;
            }
            waiting.push(record);
            waiting.len()
        };
        match count {
            1 => inner.begun.notify_one(),
            BATCH_MAX => inner.filled.notify_one(),
            _ => {}
        }
    }

    /// Keeps what is noted, until `stop` is ready, and what waits then.
    pub async fn run(&self, keep: &impl Keep, stop: impl Future<Output = ()> + Send) {
        let Some(inner) = &self.0 else {
            return;
        };
        let mut stop = pin!(stop);
        let mut is_over = false;
        while !is_over {
            let enough = async {
                if inner.lock().is_empty() {
                    inner.begun.notified().await;
                }
                tokio::select! {
                    biased;
                    () = inner.filled.notified() => {}
                    () = sleep(inner.config.flush_interval) => {}
                }
            };
            tokio::select! {
                biased;
                () = &mut stop => is_over = true,
                () = enough => {}
            }
            inner.flush(keep).await;
        }
    }
}

impl Inner {
    /// Keeps what is noted now. What is not kept is forgotten.
    async fn flush(&self, keep: &impl Keep) {
        let records = mem::take(&mut *self.lock());
        for records in records.chunks(BATCH_MAX) {
            let batch = Bytes::from(batch::write(records));
            let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
            let kept = timeout(KEEP_MAX, keep.keep(batch)).await;
            let kept = kept.unwrap_or_else(|_| Err(format!("not within {KEEP_MAX:?}")));
            match kept {
                Ok(()) => {
                    self.metrics.kept.inc_by(count);
                    self.failed.store(false, Ordering::Relaxed);
                }
                Err(error) => {
                    self.metrics.dropped.inc_by(count);
                    if !self.failed.swap(true, Ordering::Relaxed) {
                        tracing::warn!(
                            error,
                            records = count,
                            "what happened to some events is not kept; they are delivered all the same"
                        );
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        // Every change is complete before anything in it can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an event is among this part of all: everybody who notes something of it says the same.
fn is_sampled(place: u64, sample: f64) -> bool {
    // Fibonacci hashing: places that follow each other are spread.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let spread = u32::try_from(place.wrapping_mul(SPREAD) >> 32).unwrap_or(u32::MAX);
    f64::from(spread) < sample * (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, time::SystemTime};

    use super::*;
    use crate::{Outcome, Reason, What};

    #[derive(Default)]
    struct Kept {
        batches: Mutex<Vec<Vec<Record>>>,
        fails: AtomicBool,
        came: Notify,
        calls: AtomicUsize,
    }

    impl Keep for Kept {
        async fn keep(&self, batch: Bytes) -> Result<(), String> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            if self.fails.load(Ordering::Relaxed) {
                return Err("no".to_owned());
            }
            let records = batch::read(&batch).unwrap();
            self.batches.lock().unwrap().push(records);
            self.came.notify_one();
            Ok(())
        }
    }

    fn attempted(place: u64, outcome: Outcome) -> Record {
        Record {
            place,
            at: SystemTime::UNIX_EPOCH,
            what: What::Attempted {
                subscription: "a/b".into(),
                replay: None,
                attempt: 1,
                status: None,
                took: Duration::ZERO,
                outcome,
            },
        }
    }

    fn delivered(place: u64) -> Record {
        attempted(place, Outcome::Delivered)
    }

    /// It has ended before it has begun.
    async fn flush(journal: &Journal, kept: &Kept) {
        journal.run(kept, std::future::ready(())).await;
    }

    fn journal(config: &Config) -> (Journal, Metrics) {
        let metrics = Metrics::default();
        (Journal::new(config, &metrics), metrics)
    }

    /// Together with what comes within the interval, or as soon as there is enough.
    #[tokio::test(start_paused = true)]
    async fn records_are_kept_together() {
        let (journal, metrics) = journal(&Config::default());
        let kept = Arc::new(Kept::default());
        let running = tokio::spawn({
            let (journal, kept) = (journal.clone(), Arc::clone(&kept));
            async move { journal.run(&*kept, std::future::pending()).await }
        });
        let began = tokio::time::Instant::now();
        journal.note(delivered(1));
        sleep(Duration::from_millis(500)).await;
        journal.note(delivered(2));
        kept.came.notified().await;
        assert!(began.elapsed() >= Duration::from_secs(1));
        let sizes = |kept: &Kept| {
            let batches = kept.batches.lock().unwrap();
            batches.iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&kept), [2]);
        for place in 0..3_000 {
            journal.note(delivered(place));
        }
        let began = tokio::time::Instant::now();
        kept.came.notified().await;
        assert!(began.elapsed() < Duration::from_secs(1), "there are enough");
        flush(&journal, &kept).await;
        assert_eq!(sizes(&kept)[..2], [2, 2_048]);
        assert_eq!(sizes(&kept).iter().sum::<usize>(), 3_002);
        assert_eq!(metrics.kept.get(), 3_002);
        running.abort();
    }

    /// What is too much, and what the log does not take, is counted; nobody waits.
    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_kept_is_counted() {
        let (journal, metrics) = journal(&Config::default());
        let kept = Kept::default();
        for place in 0..20_000 {
            journal.note(delivered(place));
        }
        assert_eq!(metrics.dropped.get(), 20_000 - 16_384);
        kept.fails.store(true, Ordering::Relaxed);
        flush(&journal, &kept).await;
        assert_eq!((metrics.dropped.get(), metrics.kept.get()), (20_000, 0));
        journal.note(delivered(1));
        kept.fails.store(false, Ordering::Relaxed);
        flush(&journal, &kept).await;
        assert_eq!(metrics.kept.get(), 1, "it goes on");
    }

    /// A part of the events, the same one for everybody, and all that went wrong.
    #[tokio::test]
    async fn a_sample_has_whole_events_and_all_failures() {
        let config = Config {
            sample: 0.1,
            ..Config::default()
        };
        let (journal, _) = journal(&config);
        let kept = Kept::default();
        let reason = Reason {
            code: "x".into(),
            detail: String::new(),
        };
        for place in 0..1_000 {
            journal.note(delivered(place));
            journal.note(delivered(place));
            let reason = reason.clone();
            journal.note(attempted(place, Outcome::Waits { reason }));
        }
        flush(&journal, &kept).await;
        let batches = kept.batches.lock().unwrap();
        let records: Vec<&Record> = batches.iter().flatten().collect();
        let failures = records.iter().filter(|record| record.is_failure()).count();
        assert_eq!(failures, 1_000);
        let well = records.len() - failures;
        assert!((150..250).contains(&well), "{well}");
        for place in 0..1_000 {
            let of = records.iter().filter(|record| record.place == place);
            assert_ne!(of.count(), 2, "half an event");
        }
    }

    #[test]
    fn none_and_all() {
        for place in [0, 1, 2, u64::MAX, 4_711] {
            assert!(!is_sampled(place, 0.0), "{place}");
            assert!(is_sampled(place, 1.0), "{place}");
        }
    }

    /// Where it is off nothing is noted, and nobody is asked to keep anything.
    #[tokio::test]
    async fn off_is_off() {
        let config = Config {
            enabled: false,
            ..Config::default()
        };
        let (journal, metrics) = journal(&config);
        let kept = Kept::default();
        journal.note(delivered(1));
        flush(&journal, &kept).await;
        assert!(!journal.is_on());
        assert_eq!(kept.calls.load(Ordering::Relaxed), 0);
        assert_eq!((metrics.kept.get(), metrics.dropped.get()), (0, 0));
    }
}
