//! The codec against the public conformance cases, its own properties, and an independent peer.

#![expect(clippy::print_stdout, reason = "a skipped test says so")]

#[cfg(test)]
mod format_cases;
#[cfg(test)]
mod http_scenarios;
#[cfg(test)]
mod kafka;
#[cfg(test)]
mod kafka_scenarios;
#[cfg(test)]
mod lenience;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod sdk_java;

use std::{env, path::PathBuf};

/// The folder of the vectors; without it a test says that it was skipped.
fn vectors(folder: &str) -> Option<PathBuf> {
    let Some(root) = env::var_os("TIDEGATE_VECTORS") else {
        println!("skipped: TIDEGATE_VECTORS is not set");
        return None;
    };
    let folder = PathBuf::from(root).join("vectors").join(folder);
    assert!(folder.is_dir(), "{} is missing", folder.display());
    Some(folder)
}
