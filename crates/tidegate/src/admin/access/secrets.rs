//! `admin.tokens`: secrets in files, read again when they change. No secret is kept, only its digest.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::config::{self, Mistakes, Role};

/// A shorter secret could be guessed: 16 bytes, as of `openssl rand -hex 16` twice that.
const SECRET_BYTES_MIN: usize = 16;

/// A header with a longer one would be refused by many a proxy.
const SECRET_BYTES_MAX: u64 = 4096;

/// How soon a changed file counts. Whoever asks without a token makes no more files be read.
const LOOK_EVERY: Duration = Duration::from_secs(1);

type Digest = [u8; 32];

/// All of them.
pub(super) struct Tokens {
    all: Vec<Token>,
    looked_at: Instant,
}

struct Token {
    name: Arc<str>,
    role: Role,
    file: PathBuf,
    /// `None` while its file is no use: then it lets nobody in.
    digest: Option<Digest>,
}

impl Tokens {
    /// Reads the secrets; every file that is no use is a mistake.
    pub(super) fn new(tokens: &[config::Token]) -> Result<Self, Mistakes> {
        let mut mistakes = Vec::new();
        let mut all: Vec<Token> = Vec::new();
        for token in tokens {
            let mut mistake = |what: &str| {
                mistakes.push(format!("admin.tokens: the file of {:?} {what}", token.name));
            };
            let digest = match read(&token.file) {
                Ok(digest) => digest,
                Err(reason) => {
                    mistake(&reason);
                    continue;
                }
            };
            if all.iter().any(|other| other.digest == Some(digest)) {
                mistake("holds the secret of another token");
            }
            all.push(Token {
                name: token.name.as_str().into(),
                role: token.role,
                file: token.file.clone(),
                digest: Some(digest),
            });
        }
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        Ok(Self {
            all,
            looked_at: Instant::now(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whose secret it is, and what it allows.
    pub(super) fn find(&mut self, secret: &[u8]) -> Option<(Arc<str>, Role)> {
        self.look_again();
        let presented: Digest = Sha256::digest(secret).into();
        let mut found = None;
        // All of them, so that how long it takes tells nothing.
        for token in &self.all {
            let digest = token.digest.as_ref();
            if digest.is_some_and(|digest| digest.ct_eq(&presented).into()) {
                found = Some(token);
            }
        }
        found.map(|token| (Arc::clone(&token.name), token.role))
    }

    fn look_again(&mut self) {
        if self.looked_at.elapsed() < LOOK_EVERY {
            return;
        }
        self.looked_at = Instant::now();
        for token in &mut self.all {
            let name = &*token.name;
            let now = read(&token.file);
            match &now {
                Ok(digest) if token.digest.as_ref() == Some(digest) => {}
                Ok(_) => tracing::info!(token = name, "a token of the admin door changed"),
                Err(reason) if token.digest.is_some() => {
                    tracing::error!(
                        token = name,
                        file = %token.file.display(),
                        reason,
                        "a token of the admin door lets nobody in until its file is mended"
                    );
                }
                Err(_) => {}
            }
            token.digest = now.ok();
        }
    }
}

/// The digest of what a file holds, without the line's end that an editor puts there.
fn read(file: &Path) -> Result<Digest, String> {
    let mut secret = Zeroizing::new(Vec::new());
    fs::File::open(file)
        .and_then(|file| file.take(SECRET_BYTES_MAX + 1).read_to_end(&mut secret))
        .map_err(|error| format!("cannot be read: {error}"))?;
    let secret = secret.trim_ascii();
    let is_long = u64::try_from(secret.len()).is_ok_and(|length| length > SECRET_BYTES_MAX);
    if secret.len() < SECRET_BYTES_MIN || is_long {
        return Err(format!(
            "must hold {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes"
        ));
    }
    if !secret.iter().all(u8::is_ascii_graphic) {
        return Err("must hold letters, digits and signs of ASCII alone".to_owned());
    }
    Ok(Sha256::digest(secret).into())
}
