//! Secrets that documents name: files and variables of the environment.

use std::{
    env, fs,
    path::{Component, Path, PathBuf},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Largest secret: a list of keys is the largest thing that is one.
const BYTES_MAX: u64 = 64 << 10;

/// Where a secret is: exactly one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Secret {
    /// In a file, relative to the document's folder; read again when it changes.
    File(PathBuf),
    /// In a variable of the process's environment.
    Env(String),
}

impl Secret {
    /// Whether it can be nowhere but below a folder: for documents whose authors may see no more
    /// than that.
    pub fn is_below(&self) -> bool {
        let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
        match self {
            Self::File(file) => file.components().all(is_plain),
            Self::Env(_) => false,
        }
    }

    /// What it is now. `folder` is that of the document.
    pub fn read(&self, folder: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::File(file) => read(&folder.join(file))
                .map_err(|error| format!("secret file {}: {error}", file.display())),
            Self::Env(name) => match env::var_os(name) {
                Some(value) => Ok(Zeroizing::new(value.into_encoded_bytes())),
                None => Err(format!("the environment has no variable {name}")),
            },
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > BYTES_MAX {
        return Err(format!("{bytes} bytes, the limit is {BYTES_MAX}"));
    }
    fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A document of somebody else's must not lead to the keys of the process, or of others.
    #[test]
    fn a_secret_below_a_folder_leads_nowhere_else() {
        let file = |path: &str| Secret::File(path.into());
        assert!(file("billing/token").is_below());
        for other in [
            file("/etc/passwd"),
            file("../other/token"),
            file("a/../../b"),
            Secret::Env("HOME".into()),
        ] {
            assert!(!other.is_below(), "{other:?}");
        }
    }

    /// Whoever mistypes a name learns which, and never what a secret holds.
    #[test]
    fn what_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("long"), vec![b'x'; (64 << 10) + 1]).unwrap();
        for (secret, said) in [
            (Secret::File("none".into()), "secret file none: "),
            (Secret::File("long".into()), "65537 bytes"),
            (Secret::Env("TIDEGATE_NO_SUCH".into()), "TIDEGATE_NO_SUCH"),
        ] {
            let error = secret.read(dir.path()).unwrap_err();
            assert!(error.contains(said), "{error}");
        }
    }
}
