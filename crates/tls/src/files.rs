//! The content of the files, read within bounds.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{FileError, Settings};

/// Most bytes of a file of certificates or a key; some hundred certificates.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Most bytes of the file of revocation lists; some hundred thousand revoked certificates.
const REVOCATION_LIST_BYTES_MAX: usize = 32 << 20;

/// Tells contents apart, without keeping them.
pub(crate) type Fingerprint = [u8; 32];

/// One file's content.
pub(crate) struct Content {
    section: &'static str,
    key: &'static str,
    file: PathBuf,
    /// Wiped when dropped, as one of the files is a secret.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
}

/// The content of all files at one time.
pub(crate) struct Files {
    pub(crate) certificate: Content,
    pub(crate) key: Content,
    pub(crate) client_ca: Option<Content>,
    pub(crate) revocation_list: Option<Content>,
}

// === impl Files ===

impl Files {
    pub(crate) fn read(settings: &Settings) -> Result<Self, FileError> {
        let read =
            |key, file: &Path, bytes_max| Content::read((settings.section, key), file, bytes_max);
        let optional = |key, file: &Option<PathBuf>, bytes_max| {
            let file = file.as_deref();
            file.map(|file| read(key, file, bytes_max)).transpose()
        };
        Ok(Self {
            certificate: read("certificate", &settings.certificate, FILE_BYTES_MAX)?,
            key: read("key", &settings.key, FILE_BYTES_MAX)?,
            client_ca: optional("client_ca", &settings.client_ca, FILE_BYTES_MAX)?,
            revocation_list: optional(
                "revocation_list",
                &settings.revocation_list,
                REVOCATION_LIST_BYTES_MAX,
            )?,
        })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut digest = Sha256::new();
        let optional = [&self.client_ca, &self.revocation_list];
        let needed = [&self.certificate, &self.key];
        for content in needed.into_iter().chain(optional.into_iter().flatten()) {
            // With its length, so that bytes cannot move from one file to the next unseen.
            digest.update((content.bytes.len() as u64).to_le_bytes());
            digest.update(content.bytes.as_slice());
        }
        digest.finalize().into()
    }
}

// === impl Content ===

impl Content {
    fn read(
        (section, key): (&'static str, &'static str),
        file: &Path,
        bytes_max: usize,
    ) -> Result<Self, FileError> {
        let mut content = Self {
            section,
            key,
            file: file.to_owned(),
            bytes: Zeroizing::default(),
        };
        match read_bounded(file, bytes_max) {
            Ok(Some(bytes)) => {
                content.bytes = bytes;
                Ok(content)
            }
            Ok(None) => Err(content.refused(format!("is larger than {bytes_max} bytes"))),
            Err(error) => Err(content.refused(error.to_string())),
        }
    }

    /// This content cannot be used.
    pub(crate) fn refused(&self, reason: impl Into<String>) -> FileError {
        FileError {
            section: self.section,
            key: self.key,
            file: self.file.clone(),
            reason: reason.into(),
        }
    }
}

/// `None` when there is more than that.
fn read_bounded(file: &Path, bytes_max: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let file = File::open(file)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    // Room for all of it at once: a buffer that grows leaves copies behind that nobody wipes.
    let room = length.min(bytes_max).saturating_add(1);
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take((bytes_max as u64).saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok((bytes.len() <= bytes_max).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path that leads to something endless must not fill the memory.
    #[test]
    fn a_file_that_is_too_large_is_refused() {
        let error = Content::read(("receive.tls", "key"), Path::new("/dev/zero"), 10)
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "receive.tls.key: /dev/zero: is larger than 10 bytes"
        );
    }
}
