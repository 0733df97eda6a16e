//! Format, clippy, and the project's own rules.

use std::process::Command;

use crate::{
    process::{Run, cargo},
    tidy,
};

pub(crate) fn run() -> anyhow::Result<()> {
    cargo("fmt").args(["--all", "--check"]).run()?;
    // All targets are all that are built without being named.
    for targets in [
        &["--all-targets"][..],
        &["--test", "kubernetes"],
        &["--no-default-features", "--test", "absent"],
    ] {
        cargo("clippy")
            .arg("--workspace")
            .args(targets)
            .args(["--locked", "--quiet", "--", "-D", "warnings"])
            .run()?;
    }
    tidy::run()?;
    let deny = Command::new("cargo-deny").arg("--version").output().is_ok();
    if deny {
        cargo("deny").args(["--locked", "check"]).run()?;
    } else {
        println!("cargo-deny is not installed: licences and advisories were not checked");
    }
    Ok(())
}
