//! A NATS credentials file: who we are, and the key that proves it.

use std::{fmt, fs, io, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;

use super::super::ConnectError;

/// A user's JWT and key.
pub(super) struct Credentials {
    jwt: String,
    key: KeyPair,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    pub(super) fn read(file: &Path) -> Result<Self, ConnectError> {
        let credentials = |source| ConnectError::Credentials {
            file: file.to_owned(),
            source,
        };
        let text = fs::read_to_string(file).map_err(credentials)?;
        Self::parse(&text).map_err(credentials)
    }

    fn parse(text: &str) -> io::Result<Self> {
        let missing = |what| io::Error::other(format!("it holds no {what}"));
        let jwt = section(text, "JWT").ok_or_else(|| missing("JWT"))?;
        let seed = section(text, "SEED").ok_or_else(|| missing("seed"))?;
        Ok(Self {
            jwt: jwt.to_owned(),
            key: KeyPair::from_seed(seed).map_err(io::Error::other)?,
        })
    }

    pub(super) fn jwt(&self) -> &str {
        &self.jwt
    }

    /// Proves to a server that asked with `nonce` that the key is here.
    pub(super) fn sign(&self, nonce: &str) -> io::Result<String> {
        let signature = self.key.sign(nonce.as_bytes()).map_err(io::Error::other)?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The line below `-----BEGIN … <ends>-----`.
fn section<'a>(text: &'a str, ends: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| {
        let title = line.trim_matches('-').trim();
        line.starts_with("---") && title.starts_with("BEGIN ") && title.ends_with(ends)
    })?;
    lines.find(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts are found wherever they stand, and what is none is said.
    #[test]
    fn a_file_is_read() {
        let key = KeyPair::new_user();
        let seed = key.seed().unwrap();
        let text = format!(
            "-----BEGIN NATS USER JWT-----\r\nabc.def\r\n------END NATS USER JWT------\r\n\r\n\
             *** IMPORTANT ***\r\n-----BEGIN USER NKEY SEED-----\r\n{seed}\r\n------END USER NKEY SEED------\r\n"
        );
        let credentials = Credentials::parse(&text).unwrap();
        assert_eq!(credentials.jwt(), "abc.def");
        let signature = URL_SAFE_NO_PAD
            .decode(credentials.sign("n").unwrap())
            .unwrap();
        key.verify(b"n", &signature).unwrap();
        assert!(!format!("{credentials:?}").contains(&seed));
        for wrong in [
            "",
            "abc",
            &text.replace("JWT", "JWX"),
            &text.replace(&seed, "SU"),
        ] {
            assert!(Credentials::parse(wrong).is_err(), "{wrong}");
        }
    }
}
