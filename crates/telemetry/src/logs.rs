//! Logs on standard error.
//!
//! Writing is synchronous: what is logged per event is at `debug` or below, and off by default.

use std::io::{self, IsTerminal};

use crate::{Config, Format};

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

/// Sets up logs for the whole process; to be called once.
pub fn init(config: &Config) -> Result<(), Error> {
    let filter = config.log.filter().map_err(Error::Level)?;
    let terminal = io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(terminal);
    let set = match (config.log.format, terminal) {
        (Format::Text, _) | (Format::Auto, true) => lines.try_init(),
        (Format::Json, _) | (Format::Auto, false) => {
            lines.json().flatten_event(true).with_ansi(false).try_init()
        }
    };
    set.map_err(|_| Error::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Log;

    /// A second set-up is an error, not a panic; a bad level never becomes a filter.
    #[test]
    fn a_second_set_up_and_a_bad_level_are_errors() {
        let bad = Config {
            log: Log {
                level: "a=b=c".to_owned(),
                format: Format::Json,
            },
            ..Config::default()
        };
        assert!(matches!(init(&bad), Err(Error::Level(_))));
        let good = Config {
            log: Log {
                level: "error".to_owned(),
                format: Format::Json,
            },
            ..Config::default()
        };
        assert!(init(&good).is_ok());
        assert!(matches!(init(&good), Err(Error::Twice)));
    }
}
