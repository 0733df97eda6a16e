//! The breaker: from failures to leaving a sink alone, and back by probes.
//!
//! Time is given to it, and nothing here waits.

use std::{collections::BTreeSet, time::Duration};

use tokio::time::Instant;

use super::Wait;
use crate::{Health, config};

/// Attempts at once beyond which a recovering sink is taken for recovered.
const ALLOWED_MAX: u32 = 64;

/// Failures in a row that show that a recovering sink has not recovered: one may be the event's.
const RELAPSE: u32 = 2;

/// What is concluded from the outcomes of attempts.
#[derive(Debug)]
pub(super) struct Breaker {
    config: config::Breaker,
    phase: Phase,
    /// Counts the phases: what was begun in an earlier one says nothing of this one.
    number: u64,
    /// Attempts under way that were begun in this phase; not counted while it is closed.
    under_way: u32,
}

#[derive(Debug)]
enum Phase {
    /// Everybody passes.
    Closed {
        /// Attempts in a row that nobody answered.
        away: u32,
        /// The events that failed meanwhile. One that fails again and again is its own fault.
        failing: BTreeSet<u64>,
    },
    /// One passes, not before this.
    Open { until: Instant, delay: Duration },
    /// So many pass at once, and more with each success.
    Closing {
        allowed: u32,
        successes: u32,
        failures: u32,
        delay: Duration,
    },
}

const CLOSED: Phase = Phase::Closed {
    away: 0,
    failing: BTreeSet::new(),
};

impl Breaker {
    pub(super) fn new(config: config::Breaker) -> Self {
        Self {
            config,
            phase: CLOSED,
            number: 0,
            under_way: 0,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }

    /// Whether the last that is known of it is that it fails: not any more after a probe that
    /// succeeded, however few pass at once, since nothing else may come that tells more.
    pub(super) fn is_failing(&self) -> bool {
        match self.phase {
            Phase::Closed { .. } => false,
            Phase::Open { .. } => true,
            Phase::Closing { failures, .. } => failures > 0,
        }
    }

    /// How many attempts there may be at once, now or when the time has come.
    pub(super) fn allowed(&self) -> usize {
        match self.phase {
            Phase::Closed { .. } => usize::MAX,
            Phase::Open { .. } => 1,
            Phase::Closing { allowed, .. } => usize::try_from(allowed).unwrap_or(usize::MAX),
        }
    }

    /// Leave for one attempt: the number of the phase that it is begun in.
    pub(super) fn begin(&mut self, now: Instant) -> Result<u64, Wait> {
        let allowed = match self.phase {
            Phase::Closed { .. } => return Ok(self.number),
            Phase::Open { until, .. } if now < until => return Err(Wait::Until(until)),
            Phase::Open { .. } => 1,
            Phase::Closing { allowed, .. } => allowed,
        };
        if self.under_way >= allowed {
            return Err(Wait::Change);
        }
        self.under_way += 1;
        Ok(self.number)
    }

    /// An attempt has ended and told nothing.
    pub(super) fn forget(&mut self, number: u64) {
        if number == self.number {
            self.under_way = self.under_way.saturating_sub(1);
        }
    }

    /// An attempt has ended. `true` when it failed because the sink does.
    pub(super) fn ended(&mut self, number: u64, health: Health, event: u64, now: Instant) -> bool {
        if number != self.number {
            return health.is_ill() && !self.is_closed();
        }
        self.under_way = self.under_way.saturating_sub(1);
        match (&mut self.phase, health.is_ill()) {
            (Phase::Closed { away, failing }, true) => {
                if health == Health::Away {
                    *away += 1;
                } else {
                    failing.insert(event);
                }
                let failures = failing.len() + usize::try_from(*away).unwrap_or(usize::MAX);
                let most = usize::try_from(self.config.failures.get()).unwrap_or(usize::MAX);
                let is_down = failures >= most;
                if is_down {
                    self.open(now, self.config.probe_delay);
                }
                is_down
            }
            (phase @ Phase::Closed { .. }, false) => {
                *phase = CLOSED;
                false
            }
            (Phase::Open { delay, .. }, true) => {
                let delay = delay.saturating_mul(2);
                self.open(now, delay.min(self.config.probe_delay_max));
                true
            }
            (&mut Phase::Open { delay, .. }, false) => {
                let (allowed, successes, failures) = (2, 0, 0);
                self.enter(Phase::Closing {
                    allowed,
                    successes,
                    failures,
                    delay,
                });
                false
            }
            (
                Phase::Closing {
                    failures, delay, ..
                },
                true,
            ) => {
                *failures += 1;
                let has_relapsed = *failures >= RELAPSE;
                if has_relapsed {
                    let delay = delay.saturating_mul(2);
                    self.open(now, delay.min(self.config.probe_delay_max));
                }
                has_relapsed
            }
            (Phase::Closing { .. }, false) => {
                self.recovers();
                false
            }
        }
    }

    fn recovers(&mut self) {
        let Phase::Closing {
            allowed,
            successes,
            failures,
            ..
        } = &mut self.phase
        else {
            return;
        };
        *failures = 0;
        *successes += 1;
        if successes >= allowed {
            *successes = 0;
            *allowed *= 2;
        }
        if *allowed > ALLOWED_MAX {
            self.enter(CLOSED);
        }
    }

    fn open(&mut self, now: Instant, delay: Duration) {
        let until = now + delay;
        self.enter(Phase::Open { until, delay });
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.number += 1;
        self.under_way = 0;
    }
}
