//! The content of the files, read within bounds.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::{FileError, TlsConfig};

/// Most bytes of a file of certificates or a key; some hundred certificates.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Most bytes of the file of revocation lists; some hundred thousand revoked certificates.
const REVOCATION_LIST_BYTES_MAX: usize = 32 << 20;

/// Tells contents apart, without keeping them.
pub(super) type Fingerprint = [u8; 32];

/// One file's content.
pub(super) struct Content {
    key: &'static str,
    file: PathBuf,
    /// Wiped when dropped, as one of the files is a secret.
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// The content of all files at one time.
pub(super) struct Files {
    pub(super) certificate: Content,
    pub(super) key: Content,
    pub(super) client_ca: Option<Content>,
    pub(super) revocation_list: Option<Content>,
}

// === impl Files ===

impl Files {
    pub(super) fn read(config: &TlsConfig) -> Result<Self, FileError> {
        let needed = |key, file: &Option<PathBuf>| {
            let file = file.clone().unwrap_or_default();
            Content::read(key, &file, FILE_BYTES_MAX)
        };
        let optional = |key, file: &Option<PathBuf>, bytes_max| {
            file.as_deref()
                .map(|file| Content::read(key, file, bytes_max))
                .transpose()
        };
        Ok(Self {
            certificate: needed("certificate", &config.certificate)?,
            key: needed("key", &config.key)?,
            client_ca: optional("client_ca", &config.client_ca, FILE_BYTES_MAX)?,
            revocation_list: optional(
                "revocation_list",
                &config.revocation_list,
                REVOCATION_LIST_BYTES_MAX,
            )?,
        })
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
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
    fn read(key: &'static str, file: &Path, bytes_max: usize) -> Result<Self, FileError> {
        let mut content = Self {
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
    pub(super) fn refused(&self, reason: impl Into<String>) -> FileError {
        FileError {
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
        let error = Content::read("key", Path::new("/dev/zero"), 10)
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "receive.tls.key: /dev/zero: is larger than 10 bytes"
        );
    }
}
