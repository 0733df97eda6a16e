//! What a process does of the whole: both halves, unless it is told otherwise.

use clap::ValueEnum;
use tidegate_snapshot::Role;

/// Which halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Roles {
    /// It has doors.
    pub(crate) gateway: bool,
    /// It delivers.
    pub(crate) dispatcher: bool,
}

/// One half, as it is called on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Half {
    /// Takes events at the doors
    Gateway,
    /// Delivers to sinks
    Dispatcher,
}

impl Roles {
    /// Those that are named; both, where none is.
    pub(crate) fn of(halves: &[Half]) -> Self {
        let is_named = |half| halves.is_empty() || halves.contains(&half);
        Self {
            gateway: is_named(Half::Gateway),
            dispatcher: is_named(Half::Dispatcher),
        }
    }

    /// For others.
    pub(super) fn names(self) -> Vec<Role> {
        let gateway = self.gateway.then_some(Role::Gateway);
        let dispatcher = self.dispatcher.then_some(Role::Dispatcher);
        gateway.into_iter().chain(dispatcher).collect()
    }
}
