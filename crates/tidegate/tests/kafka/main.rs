//! Topics of a real Kafka, read and written by the real program.

#[cfg(test)]
mod broker;
#[cfg(test)]
mod credentials;
#[cfg(test)]
mod failures;
#[cfg(test)]
#[path = "../it/harness.rs"]
#[expect(dead_code, reason = "most of it is for doors")]
mod harness;
#[cfg(test)]
#[path = "../../../event/tests/it/scenarios.rs"]
mod scenarios;
#[cfg(test)]
mod sink;
#[cfg(test)]
mod source;

/// As in the other runs of the harness.
#[cfg(test)]
const IS_SHARED: bool = true;

/// A folder of the vectors, where they are.
#[cfg(test)]
fn vectors(folder: &str) -> Option<std::path::PathBuf> {
    let vectors = std::env::var_os("TIDEGATE_VECTORS")?;
    Some(std::path::Path::new(&vectors).join("vectors").join(folder))
}
