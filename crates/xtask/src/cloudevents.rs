//! The CloudEvents project's own Python package and a Kafka client in Python for the tests: those that
//! are named, or the pinned ones, through the machine's own pip and whatever index that is set to.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context;

use crate::{process::Run, root, target, tools};

/// All packages, also those that others need, with their checksums. pip is not asked what they depend
/// on, so that nothing comes that does not stand there.
const LIST: &str = "crates/testkit/kafka/requirements.txt";

/// The folder of the packages, for `PYTHONPATH`.
pub(crate) fn ensure() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os("TIDEGATE_CLOUDEVENTS_PYTHON").map(PathBuf::from) {
        // The tests run in other folders.
        return folder
            .canonicalize()
            .with_context(|| format!("TIDEGATE_CLOUDEVENTS_PYTHON={}", folder.display()));
    }
    let list = root().join(LIST);
    let name = format!(
        "cloudevents-python-{}",
        tools::digest(&fs::read_to_string(&list)?)
    );
    let folder = target().join("tools").join(name);
    if !folder.is_dir() {
        println!(
            "installing CloudEvents for Python below {}",
            folder.display()
        );
        tools::place(&folder, |part| install(&list, part)).context(
            "no CloudEvents for Python could be had; install Python 3.10 or newer with pip, or name \
             a folder of the packages in TIDEGATE_CLOUDEVENTS_PYTHON",
        )?;
    }
    Ok(folder.canonicalize()?)
}

fn install(list: &Path, part: &Path) -> anyhow::Result<()> {
    Command::new("python3")
        .args(["-m", "pip", "install", "--quiet"])
        .args(["--disable-pip-version-check", "--only-binary=:all:"])
        .args(["--require-hashes", "--no-deps", "--requirement"])
        .arg(list)
        .arg("--target")
        .arg(part)
        // The folder is nobody's but ours, also where root makes it.
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .run()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing is installed whose version or contents are not pinned.
    #[test]
    fn the_list_is_of_versions_with_checksums() {
        let list = fs::read_to_string(root().join(LIST)).unwrap();
        for line in list.lines() {
            let (package, sha256) = line.split_once(" --hash=sha256:").unwrap();
            let (name, version) = package.split_once("==").unwrap();
            let hexadecimal = sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(!name.is_empty() && !version.is_empty(), "{line}");
            assert!(sha256.len() == 64 && hexadecimal, "{line}");
        }
        assert!(list.lines().count() > 0);
    }
}
