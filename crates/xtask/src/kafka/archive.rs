//! What Java has found out of Kafka's classes, kept beside the jars: with it, a broker starts in 5
//! seconds in the place of 8 on two busy cores. One that another Java made is not looked at.

use std::{
    env,
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::process::{Running, address};

/// The tests' Java looks for it under this name.
pub(super) const NAME: &str = "classes.jsa";

/// Longer than a broker takes to start on a loaded machine; only ever reached by a failure.
const START_MAX: Duration = Duration::from_secs(120);

/// What a broker says when it has done all that it does for its start.
const STARTED: &str = "Kafka Server started";

/// Starts a broker from these jars, and ends it: what it has loaded until then is what is kept.
pub(super) fn make(jars: &Path) -> anyhow::Result<()> {
    // Another run may make the same meanwhile.
    let folder = jars.join(format!("start.{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let made = start_and_end(jars, &folder);
    fs::remove_dir_all(&folder)?;
    made
}

fn start_and_end(jars: &Path, folder: &Path) -> anyhow::Result<()> {
    let properties = folder.join("server.properties");
    // Ports that nobody prefers.
    let (clients, controller) = (address(0)?, address(0)?);
    fs::write(
        &properties,
        format!(
            "process.roles=broker,controller\nnode.id=1\nlog.dirs={}\n\
             listeners=PLAINTEXT://{clients},CONTROLLER://{controller}\n\
             controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@{controller}\n",
            folder.join("data").display()
        ),
    )?;
    let log = folder.join("log");
    let output = || File::options().create(true).append(true).open(&log);
    let said = || fs::read_to_string(&log).unwrap_or_default();
    let classes = classes(jars)?;
    let java = || -> anyhow::Result<Command> {
        let mut java = java();
        java.stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?);
        Ok(java)
    };
    let formatted = java()?
        .args(["-cp", &classes, "kafka.tools.StorageTool"])
        .args(["format", "-t", "dGlkZWdhdGUtdGVzdGtpdA", "-c"])
        .arg(&properties)
        .status()
        .context("cannot run java")?;
    if !formatted.success() {
        bail!("Kafka does not format a folder: {}", said());
    }
    let part = jars.join(format!("{NAME}.{}.part", std::process::id()));
    let mut archive = std::ffi::OsString::from("-XX:ArchiveClassesAtExit=");
    archive.push(&part);
    let mut command = java()?;
    command.arg(archive).args(["-cp", &classes, "kafka.Kafka"]);
    let mut broker = Running::start(command.arg(&properties))?;
    let began = Instant::now();
    while !said().contains(STARTED) {
        if broker.child().try_wait()?.is_some() || began.elapsed() > START_MAX {
            bail!("Kafka does not start: {}", said());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    broker.terminate()?;
    fs::rename(part, jars.join(NAME)).context("java has kept nothing")
}

/// All jars, in the order of their names, in which the tests' Java has them too.
fn classes(jars: &Path) -> anyhow::Result<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(jars)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jar") {
            names.push(path.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names.join(":"))
}

/// That of `JAVA_HOME`, else of `PATH`.
fn java() -> Command {
    let home = env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin/java"));
    Command::new(
        home.filter(|binary| binary.is_file())
            .unwrap_or_else(|| "java".into()),
    )
}
