//! The TLS door: its section, and its handshakes. What it shows and whom it trusts is `tls`'s.

mod config;
mod handshake;
#[cfg(test)]
mod tests;

use std::{future::Future, sync::Arc};

use rustls::ServerConfig;
pub use tidegate_tls::{FileError, Reload};

pub use self::config::TlsConfig;
pub(crate) use self::handshake::handshake;
use crate::Metrics;

/// What all TLS listeners of the process share: the credentials of the next handshake.
#[derive(Clone, Debug)]
pub struct Tls(tidegate_tls::Tls);

impl Tls {
    /// Reads the files.
    pub(crate) fn new(config: &TlsConfig) -> Result<Self, FileError> {
        tidegate_tls::Tls::new(config.settings()).map(Self)
    }

    /// Reads the files again and uses them for new handshakes if their content is another one.
    /// Blocks on the file system.
    pub fn reload(&self, metrics: &Metrics) -> Reload {
        let reload = self.0.reload();
        metrics.certificate_expires(self.0.not_after());
        reload
    }

    /// Looks at the files again and again until `until`. One such task serves the whole process;
    /// it reads on a thread for blocking work.
    pub async fn watch(self, metrics: Metrics, until: impl Future<Output = ()>) {
        let told = |not_after| metrics.certificate_expires(not_after);
        self.0.watch(told, until).await;
    }

    /// What the next handshake uses.
    fn server_config(&self) -> Arc<ServerConfig> {
        self.0.server_config()
    }
}
