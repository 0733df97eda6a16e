//! The load driver on the real binary: events per second and CPU per event, and what bad sinks do.

use std::{fs, path::PathBuf, process::Command};

use anyhow::Context;

use crate::{
    demo::gateway::Gateway,
    nats,
    process::{Run, address, cargo},
    target,
};

/// A scenario of deliveries, which starts what it needs.
pub(crate) fn delivery(scenario: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let nats_server = nats::ensure()?;
    let release = build()?;
    Command::new(release.join("loadtest"))
        .arg(scenario)
        .arg("--tidegate")
        .arg(release.join("tidegate"))
        .arg("--nats-server")
        .arg(nats_server)
        .args(arguments)
        .run()
}

/// Where the binaries are.
fn build() -> anyhow::Result<PathBuf> {
    cargo("build")
        .args([
            "--release",
            "--locked",
            "--package",
            "tidegate",
            "--package",
            "tidegate-loadtest",
        ])
        .run()?;
    Ok(target().canonicalize()?.join("release"))
}

/// Into the doors.
pub(crate) fn publish(arguments: &[&str]) -> anyhow::Result<()> {
    let nats_server = nats::ensure()?;
    let release = build()?;
    let folder = target().canonicalize()?.join("bench");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder)?;
    let gateway = Gateway::start(
        &release.join("tidegate"),
        &nats_server,
        &folder,
        address(0)?,
        true,
    )?;
    let nats =
        fs::read_to_string(gateway.data().join("nats/url")).context("the nats-server's address")?;
    let nats_pid = fs::read_to_string(gateway.data().join("nats/nats-server.pid"))?;
    let driver: PathBuf = release.join("loadtest");
    let result = Command::new(driver)
        .args(["publish", "--url", &format!("{}/publish", gateway.url())])
        .args(["--nats", nats.trim()])
        .args(["--pid", &format!("tidegate={}", gateway.pid())])
        .args(["--pid", &format!("nats-server={}", nats_pid.trim())])
        .args(arguments)
        .run();
    gateway.terminate()?;
    result
}
