//! The section `admin.tls`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tidegate_tls::{RELOAD_INTERVAL, RELOAD_INTERVAL_LEAST, Settings};

/// What the door speaks.
const PROTOCOLS: &[&[u8]] = &[b"http/1.1"];

/// The files of a door that speaks TLS only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    /// The door's certificate, followed by those that lead to its authority. PEM. Without one, the
    /// door speaks no TLS.
    certificate: Option<PathBuf>,
    /// The key of the certificate. PEM.
    key: Option<PathBuf>,
    /// The authorities of client certificates. PEM. With them, whoever asks needs such a
    /// certificate beside the token.
    pub(crate) client_ca: Option<PathBuf>,
    /// How often the files are looked at.
    #[serde(with = "humantime_serde")]
    reload_interval: Duration,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            reload_interval: RELOAD_INTERVAL,
        }
    }
}

impl Tls {
    /// Every mistake, as `tls.key: reason`.
    pub(super) fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        match (&self.certificate, &self.key) {
            (Some(_), None) => {
                mistakes.push("tls.key: must be given with tls.certificate".to_owned());
            }
            (None, Some(_)) => {
                mistakes.push("tls.certificate: must be given with tls.key".to_owned());
            }
            (None, None) if self.client_ca.is_some() => {
                mistakes.push("tls.client_ca: has no effect without tls.certificate".to_owned());
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if self.reload_interval < RELOAD_INTERVAL_LEAST {
            mistakes.push(format!(
                "tls.reload_interval: must be at least {}ms",
                RELOAD_INTERVAL_LEAST.as_millis()
            ));
        }
        mistakes
    }

    /// Takes relative paths as relative to this folder.
    pub(super) fn resolve(&mut self, folder: &Path) {
        let files = [&mut self.certificate, &mut self.key, &mut self.client_ca];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }

    /// The files, for a listener; none where there is no TLS.
    pub(crate) fn settings(&self) -> Option<Settings> {
        let (certificate, key) = self.certificate.clone().zip(self.key.clone())?;
        Some(Settings {
            section: "admin.tls",
            certificate,
            key,
            client_ca: self.client_ca.clone(),
            revocation_list: None,
            reload_interval: self.reload_interval,
            protocols: PROTOCOLS,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half of what TLS needs must not leave the door without it.
    #[test]
    fn what_belongs_together_must_be_given_together() {
        let (certificate, key) = (Some("a".into()), Some("b".into()));
        let client_ca = Some("c".into());
        for (tls, mistake) in [
            (
                Tls {
                    certificate: certificate.clone(),
                    ..Tls::default()
                },
                "tls.key: ",
            ),
            (
                Tls {
                    key: key.clone(),
                    ..Tls::default()
                },
                "tls.certificate: ",
            ),
            (
                Tls {
                    client_ca,
                    ..Tls::default()
                },
                "tls.client_ca: ",
            ),
            (
                Tls {
                    reload_interval: Duration::ZERO,
                    ..Tls::default()
                },
                "tls.reload_interval: ",
            ),
        ] {
            let mistakes = tls.validate();
            assert_eq!(mistakes.len(), 1, "{mistakes:?}");
            assert!(mistakes[0].starts_with(mistake), "{mistakes:?}");
            assert!(tls.settings().is_none());
        }
        let whole = Tls {
            certificate,
            key,
            ..Tls::default()
        };
        assert_eq!(whole.validate(), Vec::<String>::new());
        assert!(whole.settings().is_some());
        assert_eq!(Tls::default().validate(), Vec::<String>::new());
    }
}
