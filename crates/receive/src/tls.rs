//! The TLS door: what it shows, whom it trusts, and how both change while it is open.

mod config;
mod credentials;
mod files;
mod handshake;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    future::Future,
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::ServerConfig;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

pub use self::config::TlsConfig;
pub(crate) use self::handshake::handshake;
use self::{
    credentials::Credentials,
    files::{Files, Fingerprint},
};
use crate::Metrics;

/// What all TLS listeners of the process share: the credentials of the next handshake.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

struct Inner {
    config: TlsConfig,
    serving: watch::Sender<Serving>,
    /// What was wrong with the files at the last look; held while somebody looks.
    trouble: Mutex<Option<String>>,
}

/// The credentials in use, and the content that they come from.
struct Serving {
    credentials: Credentials,
    fingerprint: Fingerprint,
}

/// What a look at the files brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// They hold what is in use.
    Unchanged,
    /// They held something new, which is in use now.
    Changed,
    /// They cannot be used; what was in use still is.
    Failed,
}

/// A file of the TLS listener that cannot be used. Never tells what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("receive.tls.{key}: {}: {reason}", file.display())]
pub struct FileError {
    key: &'static str,
    file: PathBuf,
    reason: String,
}

// === impl Tls ===

impl Tls {
    /// Reads the files.
    pub(crate) fn new(config: &TlsConfig) -> Result<Self, FileError> {
        let files = Files::read(config)?;
        let serving = Serving {
            credentials: Credentials::new(&files)?,
            fingerprint: files.fingerprint(),
        };
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            serving: watch::Sender::new(serving),
            trouble: Mutex::default(),
        })))
    }

    /// Reads the files again and uses them for new handshakes if their content is another one.
    /// Blocks on the file system.
    pub fn reload(&self, metrics: &Metrics) -> Reload {
        let mut trouble = self
            .0
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let reload = match self.read_again() {
            Ok(changed) => {
                *trouble = None;
                if changed {
                    tracing::info!("receive.tls: the files changed and are in use");
                    Reload::Changed
                } else {
                    Reload::Unchanged
                }
            }
            Err(error) => {
                let told = error.to_string();
                // The same trouble is told once, not at every look.
                if trouble.as_ref() != Some(&told) {
                    tracing::error!(%error, "the files of before stay in use");
                    *trouble = Some(told);
                }
                Reload::Failed
            }
        };
        metrics.certificate_expires(self.0.serving.borrow().credentials.not_after);
        reload
    }

    /// Looks at the files again and again until `until`. One such task serves the whole process;
    /// it reads on a thread for blocking work.
    pub async fn watch(self, metrics: Metrics, until: impl Future<Output = ()>) {
        let mut until = pin!(until);
        let mut ticks = interval(self.0.config.reload_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut until => return,
                _ = ticks.tick() => {}
            }
            let (tls, metrics) = (self.clone(), metrics.clone());
            let look = tokio::task::spawn_blocking(move || tls.reload(&metrics));
            if let Err(error) = look.await {
                tracing::error!(%error, "the files of receive.tls were not looked at");
            }
        }
    }

    /// What the next handshake uses.
    fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.serving.borrow().credentials.server)
    }

    fn read_again(&self) -> Result<bool, FileError> {
        let files = Files::read(&self.0.config)?;
        let fingerprint = files.fingerprint();
        if self.0.serving.borrow().fingerprint == fingerprint {
            return Ok(false);
        }
        let credentials = Credentials::new(&files)?;
        self.0.serving.send_replace(Serving {
            credentials,
            fingerprint,
        });
        Ok(true)
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
