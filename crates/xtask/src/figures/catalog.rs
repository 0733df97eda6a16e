//! What a table of docs/performance.md is made of.

use super::goal::Goal;

/// One table, between the marks of its name.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// Measured only where it is asked for by name.
    pub(crate) is_long: bool,
    pub(crate) scenarios: &'static [Scenario],
}

/// One command and what is shown of it.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// What its result is kept as.
    pub(crate) name: &'static str,
    /// Behind `cargo xtask bench`.
    pub(crate) command: &'static str,
    /// What is added where only the way is tried.
    pub(crate) quick: &'static str,
    /// Too long to be repeated.
    pub(crate) is_single: bool,
    pub(crate) shows: Shows,
}

#[derive(Debug)]
pub(crate) enum Shows {
    Rows(&'static [Row]),
    /// A row for each step, whose figures are called `STEP: COLUMN`.
    Steps {
        steps: &'static [&'static str],
        columns: &'static [&'static str],
    },
}

#[derive(Debug)]
pub(crate) struct Row {
    /// Unlike any other of its table: what limits it is found by this.
    pub(crate) what: &'static str,
    /// Its name in the result.
    pub(crate) figure: &'static str,
    pub(crate) goal: Option<Goal>,
}

pub(super) const fn row(what: &'static str, figure: &'static str, goal: Option<Goal>) -> Row {
    Row { what, figure, goal }
}

pub(super) const fn scenario(
    name: &'static str,
    command: &'static str,
    quick: &'static str,
    rows: &'static [Row],
) -> Scenario {
    Scenario {
        name,
        command,
        quick,
        is_single: false,
        shows: Shows::Rows(rows),
    }
}
