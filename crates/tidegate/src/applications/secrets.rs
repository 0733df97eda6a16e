//! Secrets of Applications: files below the documents' folder, and the environment.

use std::{
    cell::RefCell,
    collections::HashMap,
    env, fs,
    hash::{BuildHasher, RandomState},
    path::{Path, PathBuf},
};

use tidegate_application::authentication::Secret;
use tidegate_identity::Secrets;
use zeroize::Zeroizing;

/// Largest secret: a list of keys is the largest thing that is one.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Reads secrets, and remembers which files they came from.
#[derive(Default)]
pub(crate) struct Files {
    folder: PathBuf,
    /// A keyed hash of each file's content; the content itself is not kept.
    seen: RefCell<HashMap<PathBuf, Option<u64>>>,
    hasher: RandomState,
}

impl Files {
    pub(crate) fn below(folder: PathBuf) -> Self {
        Self {
            folder,
            ..Self::default()
        }
    }

    /// Forgets which files were read.
    pub(crate) fn forget(&self) {
        self.seen.borrow_mut().clear();
    }

    /// Whether a file that was read holds something else now.
    pub(crate) fn have_changed(&self) -> bool {
        self.seen
            .borrow()
            .iter()
            .any(|(path, before)| self.hash(read(path).ok().as_deref()) != *before)
    }

    fn hash(&self, content: Option<&Vec<u8>>) -> Option<u64> {
        content.map(|content| self.hasher.hash_one(content))
    }
}

impl Secrets for Files {
    fn read(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
        match secret {
            Secret::File(file) => {
                let path = self.folder.join(file);
                let content = read(&path);
                let hash = self.hash(content.as_ref().ok().map(|content| &**content));
                self.seen.borrow_mut().insert(path, hash);
                content.map_err(|error| format!("{}: {error}", file.display()))
            }
            Secret::Env(name) => match env::var_os(name) {
                Some(value) => Ok(Zeroizing::new(value.into_encoded_bytes())),
                None => Err(format!("the environment has no variable {name}")),
            },
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let bytes = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if bytes > SECRET_BYTES_MAX {
        return Err(format!("{bytes} bytes, the limit is {SECRET_BYTES_MAX}"));
    }
    fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret that is rotated is taken without a restart.
    #[test]
    fn a_changed_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("key"), "one").unwrap();
        let files = Files::below(dir.path().to_owned());
        let secret = |name: &str| files.read(&Secret::File(name.into()));
        assert_eq!(**secret("key").unwrap(), *b"one");
        assert!(secret("later").is_err());
        assert!(!files.have_changed());
        fs::write(dir.path().join("later"), "x").unwrap();
        assert!(files.have_changed());
        assert!(secret("later").is_ok());
        fs::write(dir.path().join("key"), "two").unwrap();
        assert!(files.have_changed());
    }
}
