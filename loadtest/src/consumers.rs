//! Where the events of Subscriptions come from: a consumer for each, or one that they share.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Consumers {
    Own,
    Shared,
}

impl Consumers {
    /// Keys of Tidegate's configuration, as variables.
    pub(crate) fn variables(self) -> [(&'static str, &'static str); 1] {
        let enabled = match self {
            Self::Own => "false",
            Self::Shared => "true",
        };
        [("TIDEGATE__CONSUME__SHARED__ENABLED", enabled)]
    }

    /// As a column is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Own => "own consumers",
            Self::Shared => "a shared one",
        }
    }
}
