//! The folder of a gateway's certificates.

use std::{fs, net::Ipv4Addr, path::PathBuf};

use tempfile::TempDir;
use tidegate_receive::{Config, TlsConfig};
use tidegate_testkit::{Authority, Identity};

use crate::support::config;

/// The files of a gateway's TLS, and their authority.
pub(crate) struct Files {
    folder: TempDir,
    pub(crate) authority: Authority,
}

impl Files {
    /// A server's certificate, and the authority of it and of the clients.
    pub(crate) fn new() -> Self {
        let authority = Authority::new("authority");
        let files = Self {
            folder: TempDir::new().unwrap(),
            authority,
        };
        files.show(&files.authority.identity("gateway", 2));
        files.write("authority.pem", &files.authority.pem());
        files
    }

    /// Puts this certificate in the place of the server's.
    pub(crate) fn show(&self, identity: &Identity) {
        self.write("certificate.pem", identity.certificate_pem());
        self.write("key.pem", &identity.key_pem());
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// A gateway with these files, and with a revocation list where one lies here.
    pub(crate) fn config(&self) -> Config {
        let list = self.folder.path().join("revoked.pem");
        let mut config = Config {
            tls: TlsConfig {
                listen: Some((Ipv4Addr::LOCALHOST, 0).into()),
                certificate: Some(PathBuf::from("certificate.pem")),
                key: Some(PathBuf::from("key.pem")),
                client_ca: Some(PathBuf::from("authority.pem")),
                revocation_list: list.exists().then(|| PathBuf::from("revoked.pem")),
                ..TlsConfig::default()
            },
            ..config()
        };
        config.resolve(self.folder.path());
        config
    }
}
