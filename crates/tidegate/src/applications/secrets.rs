//! Secrets of Applications: files below the documents' folder, and the environment.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    path::PathBuf,
};

use tidegate_application::authentication::Secret;
use tidegate_identity::Secrets;
use zeroize::Zeroizing;

/// Reads secrets, and remembers which files they came from.
#[derive(Default)]
pub(crate) struct Files {
    folder: PathBuf,
    /// A keyed hash of each file's content; the content itself is not kept.
    seen: RefCell<HashMap<Secret, Option<u64>>>,
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
            .any(|(secret, before)| self.hash(secret.read(&self.folder).as_deref().ok()) != *before)
    }

    fn hash(&self, content: Option<&Vec<u8>>) -> Option<u64> {
        content.map(|content| self.hasher.hash_one(content))
    }
}

impl Secrets for Files {
    fn read(&self, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, String> {
        let content = secret.read(&self.folder);
        if matches!(secret, Secret::File(_)) {
            let hash = self.hash(content.as_deref().ok());
            self.seen.borrow_mut().insert(secret.clone(), hash);
        }
        content
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

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
