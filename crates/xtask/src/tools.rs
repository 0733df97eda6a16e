//! Folders below `target/tools` that are there as a whole or not at all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use sha2::{Digest, Sha256};

/// Makes a folder of what `fill` makes in another, which nobody looks at yet. Another run may make the
/// same meanwhile; whoever is first has the same.
pub(crate) fn place(
    folder: &Path,
    fill: impl FnOnce(&Path) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    fs::create_dir_all(folder.parent().context("it is below target")?)?;
    let mut part = folder.to_owned().into_os_string();
    part.push(format!(".{}.part", std::process::id()));
    let part = PathBuf::from(part);
    let placed = fill(&part).and_then(|()| rename(&part, folder));
    if part.exists() {
        fs::remove_dir_all(&part)?;
    }
    placed
}

fn rename(part: &Path, folder: &Path) -> anyhow::Result<()> {
    let Err(error) = fs::rename(part, folder) else {
        return Ok(());
    };
    if folder.is_dir() {
        return Ok(());
    }
    Err(error).with_context(|| folder.display().to_string())
}

/// What a list is named by, so that a change is another folder.
pub(crate) fn digest(list: &str) -> String {
    sha256(list.as_bytes()).chars().take(12).collect()
}

/// In hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target;

    /// Runs beside each other install the same, and a failure leaves nothing that looks installed.
    #[test]
    fn a_folder_is_there_as_a_whole_or_not_at_all() {
        let folder = target().join(format!("tools-place.{}", std::process::id()));
        let fill = |text: &'static str| {
            move |part: &Path| {
                fs::create_dir_all(part)?;
                fs::write(part.join("file"), text)?;
                Ok(())
            }
        };
        let fails = |part: &Path| {
            fill("half")(part)?;
            anyhow::bail!("broke off")
        };
        assert_eq!(place(&folder, fails).unwrap_err().to_string(), "broke off");
        assert!(!folder.exists());
        place(&folder, fill("first")).unwrap();
        place(&folder, fill("second")).unwrap();
        let kept = fs::read_to_string(folder.join("file")).unwrap();
        assert_eq!(kept, "first");
        let part = format!("{}.{}.part", folder.display(), std::process::id());
        assert!(!Path::new(&part).exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
