//! How fast records pass, and what that costs, as a count that rises tells it.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::{Instant, sleep};

use crate::process::{self, Named};

/// Between two looks at the count, which cost something themselves.
const LOOK: Duration = Duration::from_millis(20);

/// How long nothing may come: a group is formed, connections are made.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long all may take.
const TIME_MAX: Duration = Duration::from_secs(600);

/// One of so many records does not count: caches and windows are small at first.
pub(super) const SKIPPED: u64 = 20;

/// What records passed with.
#[derive(Clone, Debug)]
pub(super) struct Passed {
    /// Records a second.
    pub(super) rate: f64,
    /// Microseconds of each process for a record.
    pub(super) cpu: Vec<(String, f64)>,
}

/// Where it begins to count.
struct Mark {
    count: u64,
    at: Instant,
    usage: Vec<u64>,
}

/// Waits until the count is all of the records, and says how those behind the first twentieth passed.
pub(super) async fn passed(
    records: u64,
    processes: &[Named],
    mut count: impl AsyncFnMut() -> anyhow::Result<u64>,
) -> anyhow::Result<Passed> {
    let began = Instant::now();
    let (mut last, mut mark) = ((0, began), None);
    loop {
        let now = count().await?;
        let at = Instant::now();
        ensure!(
            now <= records,
            "the run is void: {now} of {records} records"
        );
        if mark.is_none() && now >= records / SKIPPED {
            let usage = process::usage(processes)?;
            mark = Some(Mark {
                count: now,
                at,
                usage,
            });
        }
        if now == records {
            break;
        }
        if now > last.0 {
            last = (now, at);
        }
        ensure!(
            last.1.elapsed() < PATIENCE && began.elapsed() < TIME_MAX,
            "the run is void: {now} of {records} records after {:?}, the last of them {:?} ago",
            began.elapsed(),
            last.1.elapsed()
        );
        sleep(LOOK).await;
    }
    let after = process::usage(processes)?;
    let mark = mark.filter(|mark| mark.count < records / 2);
    let Some(Mark { count, at, usage }) = mark else {
        anyhow::bail!("too few records to tell how fast they passed");
    };
    let passed = records - count;
    Ok(Passed {
        rate: passed as f64 / at.elapsed().as_secs_f64(),
        cpu: for_each(passed, process::cpu(processes, &usage, &after)),
    })
}

/// What each used, for a record.
pub(super) fn for_each(records: u64, cpu: Vec<(String, u64)>) -> Vec<(String, f64)> {
    cpu.into_iter()
        .map(|(name, micros)| (name, micros as f64 / records as f64))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn of(counts: &[u64]) -> anyhow::Result<Passed> {
        let mut counts = counts.iter().copied();
        passed(1_000, &[Named::own()], async || {
            Ok(counts.next().unwrap_or(1_000))
        })
        .await
    }

    /// The first twentieth does not count, and a count that is wrong is no rate.
    #[tokio::test]
    async fn what_passes_behind_the_first_twentieth_counts() {
        let passed = of(&[0, 10, 100, 600]).await.unwrap();
        // 900 in the time of two looks at least.
        let most = 900.0 / (2 * LOOK).as_secs_f64();
        assert!(passed.rate > 0.0 && passed.rate <= most, "{passed:?}");
        assert_eq!(passed.cpu.len(), 1);
        for void in [&[0, 1_001][..], &[0, 700]] {
            assert!(of(void).await.is_err(), "{void:?}");
        }
    }
}
