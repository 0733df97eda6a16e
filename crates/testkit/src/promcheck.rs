//! Prometheus' own judgement of metrics and queries.

use std::{env, path::PathBuf};

/// What passes it, `TIDEGATE_PROMCHECK`: the program of `crates/testkit/promcheck`. Without it, which
/// `cargo xtask test` never is, what needs it says that it was skipped.
pub fn promcheck_binary() -> Option<PathBuf> {
    env::var_os("TIDEGATE_PROMCHECK").map(PathBuf::from)
}
