//! Secrets in the form in which they are used, read again when they may have changed.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidegate_subscription::Secret;
use tokio::time::Instant;
use zeroize::Zeroizing;

/// How long a rotated secret may stay unnoticed.
pub(crate) const FRESH_FOR: Duration = Duration::from_secs(5);

/// A secret as what it is used for.
pub(crate) struct Live<T> {
    secret: Secret,
    folder: PathBuf,
    parse: Box<Parse<T>>,
    known: Mutex<Option<Known<T>>>,
}

type Parse<T> = dyn Fn(&[u8]) -> Result<T, String> + Send + Sync;

struct Known<T> {
    read_at: Instant,
    content: Zeroizing<Vec<u8>>,
    value: Result<Arc<T>, String>,
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("secret", &self.secret)
            .finish_non_exhaustive()
    }
}

impl<T> Live<T> {
    pub(crate) fn new(
        secret: &Secret,
        folder: &Path,
        parse: impl Fn(&[u8]) -> Result<T, String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            secret: secret.clone(),
            folder: folder.to_owned(),
            parse: Box::new(parse),
            known: Mutex::new(None),
        }
    }

    /// What it is, as of a moment ago.
    pub(crate) fn get(&self) -> Result<Arc<T>, String> {
        self.read(FRESH_FOR)
    }

    /// What it is now.
    pub(crate) fn now(&self) -> Result<Arc<T>, String> {
        self.read(Duration::ZERO)
    }

    fn read(&self, fresh_for: Duration) -> Result<Arc<T>, String> {
        // Every change is complete before anything in it can panic.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known
            && known.read_at.elapsed() < fresh_for
        {
            return known.value.clone();
        }
        let content = self.secret.read(&self.folder)?;
        let read_at = Instant::now();
        let value = match known.take() {
            Some(known) if known.content == content => known.value,
            Some(_) | None => self.parsed(&content).map(Arc::new),
        };
        *known = Some(Known {
            read_at,
            content,
            value: value.clone(),
        });
        value
    }

    fn parsed(&self, content: &[u8]) -> Result<T, String> {
        (self.parse)(content).map_err(|reason| match &self.secret {
            Secret::File(file) => format!("secret file {}: {reason}", file.display()),
            Secret::Env(name) => format!("variable {name}: {reason}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Rotation needs no restart, and what is wrong is told without the secret.
    #[tokio::test(start_paused = true)]
    async fn a_rotated_secret_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("n");
        let live = Live::new(&Secret::File("n".into()), dir.path(), |content| {
            let text = str::from_utf8(content).map_err(|_| "not text".to_owned())?;
            text.parse::<u8>().map_err(|_| "no number".to_owned())
        });
        assert!(live.get().unwrap_err().contains("secret file n: "));
        fs::write(&file, "1").unwrap();
        assert_eq!(*live.get().unwrap(), 1);
        fs::write(&file, "2").unwrap();
        assert_eq!(*live.get().unwrap(), 1, "a file is not read for each event");
        assert_eq!(*live.now().unwrap(), 2);
        fs::write(&file, "s3cret").unwrap();
        tokio::time::advance(FRESH_FOR).await;
        assert_eq!(live.get().unwrap_err(), "secret file n: no number");
    }
}
