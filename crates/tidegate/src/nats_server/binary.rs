//! Which nats-server, and whether it is new enough.

use std::{
    env,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail};
use tokio::{process::Command, time::timeout};

/// The oldest version with everything that is used: consumers with several filter subjects.
const VERSION_MIN: (u32, u32) = (2, 10);

/// The oldest version that syncs once for a batch and not once for each of its events.
const VERSION_FSYNC_MIN: (u32, u32) = (2, 15);

/// How long it may take to say its version.
const VERSION_TIMEOUT: Duration = Duration::from_secs(10);

const HOW_TO_GET_IT: &str = "get nats-server 2.10 or newer: `cargo xtask demo` installs one for \
     this project, https://nats.io/download has packages; put it on PATH, or name it in \
     server.binary (TIDEGATE__SERVER__BINARY), or give a running one with --nats";

/// The binary and its version; one that can do `fsync`, if asked for.
pub(super) async fn find(
    configured: Option<&Path>,
    fsync: bool,
) -> anyhow::Result<(PathBuf, String)> {
    let binary = match configured {
        Some(binary) => binary.to_owned(),
        None => on_path().with_context(|| format!("no nats-server on PATH; {HOW_TO_GET_IT}"))?,
    };
    let asked = Command::new(&binary)
        .arg("--version")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let said = timeout(VERSION_TIMEOUT, asked)
        .await
        .with_context(|| format!("{} --version does not end", binary.display()))?
        .with_context(|| format!("cannot run {}; {HOW_TO_GET_IT}", binary.display()))?;
    let said = String::from_utf8_lossy(&said.stdout);
    let Some((version, number)) = version_of(&said) else {
        bail!(
            "{} is no nats-server: --version says {said:?}; {HOW_TO_GET_IT}",
            binary.display()
        );
    };
    if number < VERSION_MIN {
        bail!(
            "{} is version {version}, too old; {HOW_TO_GET_IT}",
            binary.display()
        );
    }
    if fsync && number < VERSION_FSYNC_MIN {
        let (major, minor) = VERSION_FSYNC_MIN;
        bail!(
            "{} is version {version}; backbone.durability: fsync needs nats-server {major}.{minor} \
             or newer: put one on PATH, or name it in server.binary \
             (TIDEGATE__SERVER__BINARY); https://nats.io/download has packages",
            binary.display()
        );
    }
    Ok((binary, version))
}

fn on_path() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join("nats-server"))
        .find(|file| file.is_file())
}

/// The version in `nats-server: v2.14.0`, as text and as numbers to compare.
fn version_of(said: &str) -> Option<(String, (u32, u32))> {
    let version = said.trim().strip_prefix("nats-server: v")?;
    let mut numbers = version.split(['.', '-']).map(str::parse);
    let number = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((version.to_owned(), number))
}
