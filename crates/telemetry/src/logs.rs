//! Logs on standard error.
//!
//! Writing is synchronous: what is logged per event is at `debug` or below, and off by default.

use std::{
    fmt,
    io::{self, IsTerminal},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tracing_subscriber::{EnvFilter, reload};

use crate::{Config, Format, Log};

/// The target of what operators change. It is logged at any level, unless the configuration says
/// otherwise of this target itself.
pub const AUDIT: &str = "tidegate::audit";

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The level is no filter.
    #[error("log.level: {0}")]
    Level(String),
    /// Somebody set up logs before.
    #[error("logs are set up already")]
    Twice,
}

/// What is logged, to be changed while the process runs. Clones are the same.
#[derive(Clone)]
pub struct Level(Arc<Shared>);

struct Shared {
    configured: Log,
    now: Mutex<String>,
    put: Put,
}

type Put = Box<dyn Fn(EnvFilter) -> Result<(), reload::Error> + Send + Sync>;

/// Sets up logs for the whole process; to be called once.
pub fn init(config: &Config) -> Result<Level, Error> {
    let filter = config.log.filter().map_err(Error::Level)?;
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(terminal);
    let (set, put) = match (config.log.format, terminal) {
        (Format::Text, _) | (Format::Auto, true) => {
            let lines = lines.with_filter_reloading();
            let put = putting(lines.reload_handle());
            (lines.try_init(), put)
        }
        (Format::Json, _) | (Format::Auto, false) => {
            let lines = lines.json().flatten_event(true).with_ansi(false);
            let lines = lines.with_filter_reloading();
            let put = putting(lines.reload_handle());
            (lines.try_init(), put)
        }
    };
    set.map_err(|_| Error::Twice)?;
    Ok(Level(Arc::new(Shared {
        configured: config.log.clone(),
        now: Mutex::new(config.log.level.clone()),
        put,
    })))
}

/// The form of lines is part of a handle's type, and is nobody else's business.
fn putting<S: 'static>(handle: reload::Handle<EnvFilter, S>) -> Put {
    Box::new(move |filter| handle.reload(filter))
}

impl Level {
    /// What is logged now.
    pub fn now(&self) -> String {
        self.lock().clone()
    }

    /// What is logged after a start.
    pub fn configured(&self) -> &str {
        &self.0.configured.level
    }

    /// Logs this from now on, until the process ends. What operators change is logged as before.
    pub fn set(&self, level: &str) -> Result<(), Error> {
        if level.contains(AUDIT) {
            let detail = format!("{AUDIT} is a matter of the configuration alone");
            return Err(Error::Level(detail));
        }
        let filter = self.0.configured.filter_at(level).map_err(Error::Level)?;
        let mut now = self.lock();
        (self.0.put)(filter).map_err(|error| Error::Level(error.to_string()))?;
        level.clone_into(&mut now);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Level").field(&self.now()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(level: &str) -> Config {
        Config {
            log: Log {
                level: level.to_owned(),
                format: Format::Json,
            },
            ..Config::default()
        }
    }

    /// A second set-up is an error, not a panic; a bad level never becomes a filter, neither at
    /// the start nor later, and changes nothing.
    #[test]
    fn a_second_set_up_and_a_bad_level_are_errors() {
        assert!(matches!(init(&config("a=b=c")), Err(Error::Level(_))));
        let level = init(&config("error")).unwrap();
        assert!(matches!(init(&config("error")), Err(Error::Twice)));
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        level.set("debug").unwrap();
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        for bad in ["a=b=c", "", "loud", "tidegate::audit=off"] {
            assert!(matches!(level.set(bad), Err(Error::Level(_))), "{bad}");
        }
        assert_eq!((&*level.now(), level.configured()), ("debug", "error"));
        level.set("off").unwrap();
        assert!(!tracing::enabled!(tracing::Level::ERROR));
        assert!(tracing::enabled!(target: AUDIT, tracing::Level::INFO));
    }
}
