//! Delivery under faults: the loops of `consume` on the log in memory, in paused time, against
//! sinks by script. All of a run is made of one seed, so that a run that went wrong can be seen
//! again.
//!
//! What is simulated: sinks that fail, hang, slow down, ask to be left alone or are gone; a log
//! that is away, forgets settlements, and delivers again; processes that end, die between any two
//! steps, and lose an ordered Subscription; a wall clock that jumps; Subscriptions that change.
//! Sockets are not: `deliver` has tests of its own on real ones; here it says what statuses mean.

mod crash;
mod log;
mod oracle;
mod plan;
mod process;
mod record;
mod sink;
mod world;

use std::fmt;

use tokio::runtime::Builder;

use self::record::Record;

/// One run.
#[derive(Debug)]
pub struct Run {
    /// What happened, a line each.
    pub trace: Vec<String>,
    /// What must not have happened.
    pub violations: Vec<String>,
    /// How much it was.
    pub count: Count,
}

/// How much was simulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Events.
    pub events: usize,
    /// Attempts.
    pub attempts: usize,
    /// Dead letters.
    pub letters: usize,
    /// Processes that died.
    pub crashes: usize,
}

// === impl Count ===

impl std::ops::AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.attempts += other.attempts;
        self.letters += other.letters;
        self.crashes += other.crashes;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            events,
            attempts,
            letters,
            crashes,
        } = self;
        write!(
            f,
            "{events} events, {attempts} attempts, {letters} dead letters, {crashes} crashes"
        )
    }
}

/// Makes the run of this seed.
pub fn run(seed: u64) -> std::io::Result<Run> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let record = Record::default();
    let ended = runtime.block_on(world::run(seed, &record));
    // Loops that were left behind end here, and say nothing any more.
    drop(runtime);
    let entries = record.entries();
    Ok(Run {
        violations: oracle::judge(&ended, &entries),
        count: oracle::count(&ended, &entries),
        trace: entries.iter().map(ToString::to_string).collect(),
    })
}
