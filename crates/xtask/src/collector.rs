//! An OpenTelemetry collector for the tests, from source.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::{process::Run, root, target};

/// What it is made of.
const FILES: [&str; 3] = ["main.go", "go.mod", "go.sum"];

/// The binary.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    if let Some(binary) = env::var_os("TIDEGATE_OTEL_COLLECTOR").map(PathBuf::from) {
        return Ok(binary);
    }
    let source = root().join("crates/testkit/collector");
    let folder = target()
        .join("tools")
        .join(format!("otel-collector-{}", digest(&source)?));
    let binary = folder.join("collector");
    if binary.is_file() {
        return Ok(binary);
    }
    println!(
        "building an OpenTelemetry collector below {}, which takes minutes",
        folder.display()
    );
    fs::create_dir_all(&folder)?;
    let part = folder.canonicalize()?.join("part");
    // The module proxy's checksums stand in go.sum.
    Command::new("go")
        .args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
        .arg(&part)
        .arg(".")
        .current_dir(&source)
        .run()
        .context(
            "no OpenTelemetry collector could be built; install Go, or name one with otlp and \
             file in TIDEGATE_OTEL_COLLECTOR",
        )?;
    fs::rename(part, &binary)?;
    Ok(binary)
}

/// Of its source, so that a change is another binary.
fn digest(source: &Path) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    for file in FILES {
        digest.update(fs::read(source.join(file))?);
    }
    let digest = digest.finalize();
    Ok(digest
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
