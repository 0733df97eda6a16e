//! The section `receive.tls`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tidegate_tls::{RELOAD_INTERVAL, RELOAD_INTERVAL_LEAST, Settings};

/// The protocols that are offered, the preferred one first.
const PROTOCOLS: &[&[u8]] = &[b"h2", b"http/1.1"];

/// Where the doors are over TLS, and with which files.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// The address of all doors over TLS. Port 0 takes a free one; without an address there is no
    /// TLS.
    pub listen: Option<SocketAddr>,
    /// The server's certificate, followed by those that lead to its authority. PEM.
    pub certificate: Option<PathBuf>,
    /// The key of the certificate. PEM.
    pub key: Option<PathBuf>,
    /// The authorities of client certificates. PEM. Without them no client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists of those authorities, and of others below them. PEM. A list that is out of
    /// date refuses every certificate of its issuer.
    pub revocation_list: Option<PathBuf>,
    /// How often the files are looked at.
    #[serde(with = "humantime_serde")]
    pub reload_interval: Duration,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            listen: None,
            certificate: None,
            key: None,
            client_ca: None,
            revocation_list: None,
            reload_interval: RELOAD_INTERVAL,
        }
    }
}

impl TlsConfig {
    /// Every mistake, as `tls.key: reason`.
    pub(crate) fn validate(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        let files = [
            ("certificate", &self.certificate, true),
            ("key", &self.key, true),
            ("client_ca", &self.client_ca, false),
            ("revocation_list", &self.revocation_list, false),
        ];
        for (key, file, needed) in files {
            match (self.listen, file) {
                (Some(_), None) if needed => {
                    mistakes.push(format!("tls.{key}: must be given with tls.listen"));
                }
                (None, Some(_)) => {
                    mistakes.push(format!("tls.{key}: has no effect without tls.listen"));
                }
                (Some(_) | None, Some(_) | None) => {}
            }
        }
        if self.revocation_list.is_some() && self.client_ca.is_none() {
            mistakes.push("tls.revocation_list: has no effect without tls.client_ca".to_owned());
        }
        if self.reload_interval < RELOAD_INTERVAL_LEAST {
            mistakes.push(format!(
                "tls.reload_interval: must be at least {}ms",
                RELOAD_INTERVAL_LEAST.as_millis()
            ));
        }
        mistakes
    }

    /// The files, for a listener.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            section: "receive.tls",
            certificate: self.certificate.clone().unwrap_or_default(),
            key: self.key.clone().unwrap_or_default(),
            client_ca: self.client_ca.clone(),
            revocation_list: self.revocation_list.clone(),
            reload_interval: self.reload_interval,
            protocols: PROTOCOLS,
        }
    }

    /// Takes relative paths as relative to this folder.
    pub(crate) fn resolve(&mut self, folder: &Path) {
        let files = [
            &mut self.certificate,
            &mut self.key,
            &mut self.client_ca,
            &mut self.revocation_list,
        ];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    /// A listener without its files, and files without a listener, are somebody's oversight.
    #[test]
    fn what_belongs_together_must_be_given_together() {
        let listening = TlsConfig {
            listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
            ..TlsConfig::default()
        };
        assert_eq!(listening.validate().len(), 2);
        let silent = TlsConfig {
            certificate: Some("a".into()),
            key: Some("b".into()),
            client_ca: Some("c".into()),
            revocation_list: Some("d".into()),
            ..TlsConfig::default()
        };
        assert_eq!(silent.validate().len(), 4);
        let complete = TlsConfig {
            listen: listening.listen,
            ..silent
        };
        assert_eq!(complete.validate(), Vec::<String>::new());
        let unused_list = TlsConfig {
            client_ca: None,
            ..complete
        };
        assert_eq!(unused_list.validate().len(), 1);
    }

    /// Looking without a pause would cost a core.
    #[test]
    fn a_very_short_interval_is_a_mistake() {
        let config = TlsConfig {
            reload_interval: RELOAD_INTERVAL_LEAST / 2,
            ..TlsConfig::default()
        };
        assert_eq!(
            config.validate(),
            ["tls.reload_interval: must be at least 100ms"]
        );
    }

    /// A configuration means the same from whichever folder the process is started.
    #[test]
    fn relative_paths_are_relative_to_the_folder() {
        let mut config = TlsConfig {
            certificate: Some("certificate.pem".into()),
            key: Some("/keys/key.pem".into()),
            ..TlsConfig::default()
        };
        config.resolve(Path::new("/etc/gateway"));
        assert_eq!(
            config.certificate.unwrap(),
            Path::new("/etc/gateway/certificate.pem")
        );
        assert_eq!(config.key.unwrap(), Path::new("/keys/key.pem"));
        assert_eq!(config.client_ca, None);
    }
}
