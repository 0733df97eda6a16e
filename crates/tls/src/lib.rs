//! What a TLS listener shows and whom it trusts, from files that may change while it is open.
//!
//! Accepts nothing and shakes no hands: a door takes what its next handshake needs from here.

mod credentials;
mod files;

use std::{
    fmt,
    future::Future,
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{
    credentials::Credentials,
    files::{Files, Fingerprint},
};

/// Shortest time between two looks at the files; each look reads all of them.
pub const RELOAD_INTERVAL_LEAST: Duration = Duration::from_millis(100);

/// How often the files are looked at, where nothing else is said.
pub const RELOAD_INTERVAL: Duration = Duration::from_secs(10);

/// Which files, and what is offered with them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The section of the configuration that names them, for what is told of them.
    pub section: &'static str,
    /// The server's certificate, followed by those that lead to its authority. PEM.
    pub certificate: PathBuf,
    /// The key of the certificate. PEM.
    pub key: PathBuf,
    /// The authorities of client certificates. PEM. Without them no client is asked for one.
    pub client_ca: Option<PathBuf>,
    /// Revocation lists of those authorities, and of others below them. PEM.
    pub revocation_list: Option<PathBuf>,
    /// How often the files are looked at.
    pub reload_interval: Duration,
    /// The protocols that are offered, the preferred one first.
    pub protocols: &'static [&'static [u8]],
}

/// What all listeners of one section share: the credentials of the next handshake.
#[derive(Clone, Debug)]
pub struct Tls(Arc<Inner>);

struct Inner {
    settings: Settings,
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

/// A file of a TLS listener that cannot be used. Never tells what is in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{section}.{key}: {}: {reason}", file.display())]
pub struct FileError {
    section: &'static str,
    key: &'static str,
    file: PathBuf,
    reason: String,
}

// === impl Tls ===

impl Tls {
    /// Reads the files.
    pub fn new(settings: Settings) -> Result<Self, FileError> {
        let files = Files::read(&settings)?;
        let serving = Serving {
            credentials: Credentials::new(&files, &settings)?,
            fingerprint: files.fingerprint(),
        };
        Ok(Self(Arc::new(Inner {
            settings,
            serving: watch::Sender::new(serving),
            trouble: Mutex::default(),
        })))
    }

    /// Reads the files again and uses them for new handshakes if their content is another one.
    /// Blocks on the file system.
    pub fn reload(&self) -> Reload {
        let section = self.0.settings.section;
        let mut trouble = self
            .0
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match self.read_again() {
            Ok(changed) => {
                *trouble = None;
                if changed {
                    tracing::info!(section, "the files of TLS changed and are in use");
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
        }
    }

    /// When the certificate in use ends, in seconds of Unix time.
    pub fn not_after(&self) -> i64 {
        self.0.serving.borrow().credentials.not_after
    }

    /// Looks at the files again and again until `until`, and tells each time when the certificate
    /// in use ends. One such task serves the whole process; it reads on a thread for blocking work.
    pub async fn watch(self, told: impl Fn(i64), until: impl Future<Output = ()>) {
        let mut until = pin!(until);
        let mut ticks = interval(self.0.settings.reload_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut until => return,
                _ = ticks.tick() => {}
            }
            let tls = self.clone();
            let look = tokio::task::spawn_blocking(move || tls.reload());
            if let Err(error) = look.await {
                let section = self.0.settings.section;
                tracing::error!(section, %error, "the files of TLS were not looked at");
            }
            told(self.not_after());
        }
    }

    /// What the next handshake uses.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0.serving.borrow().credentials.server)
    }

    fn read_again(&self) -> Result<bool, FileError> {
        let files = Files::read(&self.0.settings)?;
        let fingerprint = files.fingerprint();
        if self.0.serving.borrow().fingerprint == fingerprint {
            return Ok(false);
        }
        let credentials = Credentials::new(&files, &self.0.settings)?;
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
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
