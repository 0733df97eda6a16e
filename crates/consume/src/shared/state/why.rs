//! Why somebody has a consumer of its own, in the words that are told.

/// Why a member has a consumer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::shared) enum Why {
    /// It has not caught up since it began.
    New,
    /// Too many events waited for it.
    Slow,
    /// All waited for it.
    Slowest,
    /// It wants something else now.
    Changed,
    /// What it wants is not understood.
    Unknown,
    /// It had one when this process took over.
    Before,
}

impl Why {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::New => "it is new, and has not caught up yet",
            Self::Slow => "it takes fewer events than come, and has not caught up yet",
            Self::Slowest => "it held all others up, and has not caught up yet",
            Self::Changed => "it was changed, and has not caught up yet",
            Self::Unknown => "what it wants is not understood by this version",
            Self::Before => "it has not caught up yet",
        }
    }
}
