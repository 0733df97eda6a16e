//! The program that says what Prometheus thinks of metrics and queries, made of Prometheus' own code.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::{process::Run, root, target};

const SOURCE: &str = "crates/testkit/promcheck";

/// The binary. Go builds it anew only where something has changed; the module proxy's checksums
/// stand beside the source.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    if let Some(binary) = env::var_os("TIDEGATE_PROMCHECK").map(PathBuf::from) {
        return Ok(binary);
    }
    let folder = target().join("tools").join("promcheck");
    fs::create_dir_all(&folder)?;
    let binary = folder.canonicalize()?.join("promcheck");
    if !binary.exists() {
        println!(
            "building promcheck below {}, which takes a minute",
            folder.display()
        );
    }
    build(&binary)
        .context("promcheck could not be built; install Go, or name one in TIDEGATE_PROMCHECK")?;
    Ok(binary)
}

fn build(binary: &Path) -> anyhow::Result<()> {
    Command::new("go")
        .args(["build", "-mod=readonly", "-trimpath", "-o"])
        .arg(binary)
        .arg(".")
        .current_dir(root().join(SOURCE))
        .run()
}
