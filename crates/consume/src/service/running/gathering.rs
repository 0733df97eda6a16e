//! Before an ordered Subscription goes on where another process left it: all that is not settled
//! has to be known here, or an event might pass an earlier one of its key.

use std::time::Duration;

use tokio::time::Instant;

/// How often it is asked whether all is known.
const EVERY: Duration = Duration::from_millis(250);

/// So long before, nothing is asked for: what is on its way would not be known.
const QUIET: Duration = Duration::from_millis(50);

/// Until all is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathering {
    check: Instant,
}

impl Gathering {
    pub(super) fn new() -> Self {
        Self {
            check: Instant::now(),
        }
    }

    pub(super) fn is_due(self) -> bool {
        self.check <= Instant::now()
    }

    pub(super) fn again(self) -> Self {
        Self {
            check: Instant::now() + EVERY,
        }
    }

    pub(super) fn is_quiet(self) -> bool {
        self.check - QUIET <= Instant::now()
    }

    /// When anything of this changes.
    pub(super) fn next(self) -> Instant {
        if self.is_quiet() {
            self.check
        } else {
            self.check - QUIET
        }
    }
}
