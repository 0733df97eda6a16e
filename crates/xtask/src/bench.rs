//! The load driver on the real binary: events per second and CPU per event, and what bad sinks do.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::Context;

use crate::{
    demo::gateway::Gateway,
    kafka, nats,
    process::{Run, Running, address, cargo},
    target,
};

/// A scenario of deliveries, which starts what it needs.
pub(crate) fn delivery(scenario: &str, arguments: &[&str]) -> anyhow::Result<()> {
    driver(scenario, arguments)?.run()
}

/// A topic in and a topic out, on a Kafka of its own.
pub(crate) fn topics(arguments: &[&str]) -> anyhow::Result<()> {
    let jars = kafka::ensure()?;
    driver("kafka", arguments)?
        .env("TIDEGATE_KAFKA", jars)
        .run()
}

/// What runs a scenario.
fn driver(scenario: &str, arguments: &[&str]) -> anyhow::Result<Command> {
    let nats_server = nats::ensure()?;
    let release = build(arguments)?;
    let mut command = Command::new(release.join("loadtest"));
    command
        .arg(scenario)
        .arg("--tidegate")
        .arg(release.join("tidegate"))
        .arg("--nats-server")
        .arg(nats_server)
        .args(arguments);
    Ok(command)
}

/// The log alone, without doors.
pub(crate) fn fsync(arguments: &[&str]) -> anyhow::Result<()> {
    let nats_server = nats::ensure_fsync()?;
    cargo("bench")
        .args(["--locked", "--package", "tidegate-backbone"])
        .args(["--bench", "fsync", "--"])
        .args(arguments)
        .env("TIDEGATE_NATS_SERVER_FSYNC", nats_server)
        .run()
}

/// Batch requests as fast batches of JetStream, on both servers.
pub(crate) fn batches(arguments: &[&str]) -> anyhow::Result<()> {
    let (nats_server, newer) = (nats::ensure()?, nats::ensure_fsync()?);
    cargo("bench")
        .args(["--locked", "--package", "tidegate-backbone"])
        .args(["--bench", "batches", "--"])
        .args(arguments)
        .env("TIDEGATE_NATS_SERVER", nats_server)
        .env("TIDEGATE_NATS_SERVER_FSYNC", newer)
        .run()
}

/// Where the binaries are. A Tidegate that counts what it allocates is another build.
fn build(arguments: &[&str]) -> anyhow::Result<PathBuf> {
    let counts = arguments.contains(&"--allocations");
    cargo("build")
        .args([
            "--release",
            "--locked",
            "--package",
            "tidegate",
            "--package",
            "tidegate-loadtest",
        ])
        .args(counts.then_some("--features=tidegate/count-allocations"))
        .run()?;
    Ok(target().canonicalize()?.join("release"))
}

/// Into the doors.
pub(crate) fn publish(arguments: &[&str]) -> anyhow::Result<()> {
    let bench = Bench::start(arguments)?;
    let result = Command::new(&bench.driver)
        .args(["publish", "--purge", "--url", &bench.door()])
        .args(["--nats", &bench.nats])
        .args(["--pid", &format!("tidegate={}", bench.gateway.pid())])
        .args(["--pid", &format!("nats-server={}", bench.nats_pid)])
        .args([
            "--admin",
            bench.gateway.admin().trim_start_matches("http://"),
        ])
        .args(arguments)
        .run();
    bench.gateway.terminate()?;
    result
}

/// Into the doors and those of the reference, in turn.
pub(crate) fn compare(arguments: &[&str]) -> anyhow::Result<()> {
    let bench = Bench::start(arguments)?;
    let mut reference = Running::start(
        Command::new(&bench.driver)
            .args(["reference", "--listen", "127.0.0.1:0", "--attached"])
            .args(["--nats", &bench.nats])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped()),
    )?;
    let mut said = String::new();
    let output = reference.child().stdout.take().context("its output")?;
    BufReader::new(output).read_line(&mut said)?;
    let listens = said.strip_prefix("listens on ");
    let listens = listens.and_then(|rest| rest.split(',').next());
    let listens = listens.context("the reference did not start")?;
    let nats_pid = format!("nats-server={}", bench.nats_pid);
    let compared = Command::new(&bench.driver)
        .args(["compare", "--purge", "--a", &bench.door()])
        .args(["--b", &format!("http://{listens}/publish")])
        .args(["--nats", &bench.nats])
        .args(["--pid-a", &format!("tidegate={}", bench.gateway.pid())])
        .args(["--pid-a", &nats_pid])
        .args(["--pid-b", &format!("reference={}", reference.pid())])
        .args(["--pid-b", &nats_pid])
        .args(arguments)
        .run();
    drop(reference);
    bench.gateway.terminate()?;
    compared
}

/// Into the doors in structured and in binary mode, in turn.
pub(crate) fn modes(arguments: &[&str]) -> anyhow::Result<()> {
    let bench = Bench::start(arguments)?;
    let (door, stream) = (bench.door(), "TIDEGATE_EVENTS");
    let tidegate = format!("tidegate={}", bench.gateway.pid());
    let nats_server = format!("nats-server={}", bench.nats_pid);
    let compared = Command::new(&bench.driver)
        .args(["compare", "--purge", "--a", &door, "--b", &door])
        .args(["--mode", "structured", "--mode-b", "binary"])
        .args(["--nats", &bench.nats, "--stream-b", stream])
        .args(["--pid-a", &tidegate, "--pid-a", &nats_server])
        .args(["--pid-b", &tidegate, "--pid-b", &nats_server])
        .args(arguments)
        .run();
    bench.gateway.terminate()?;
    compared
}

/// A tidegate with a nats-server of its own.
struct Bench {
    gateway: Gateway,
    nats: String,
    nats_pid: String,
    driver: PathBuf,
}

impl Bench {
    fn start(arguments: &[&str]) -> anyhow::Result<Self> {
        let nats_server = nats::ensure()?;
        let release = build(arguments)?;
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
        let said = |name: &str| {
            let file = gateway.data().join("nats").join(name);
            let text = fs::read_to_string(file).context("what the nats-server is")?;
            anyhow::Ok(text.trim().to_owned())
        };
        Ok(Self {
            nats: said("url")?,
            nats_pid: said("nats-server.pid")?,
            driver: release.join("loadtest"),
            gateway,
        })
    }

    fn door(&self) -> String {
        format!("{}/publish", self.gateway.url())
    }
}
