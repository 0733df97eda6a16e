//! Requests in short.

use std::{env, fs, path::PathBuf};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tidegate_event::{Event, Leniency};
use tidegate_normalize::{Error, Format, Input, Normalized, normalize};

/// The folder with the shared vectors. Without it the test says that it was skipped.
pub(crate) fn vectors(folder: &str) -> Option<PathBuf> {
    let Some(root) = env::var_os("TIDEGATE_VECTORS").map(PathBuf::from) else {
        println!("skipped: TIDEGATE_VECTORS is not set");
        return None;
    };
    let folder = root.join(folder);
    assert!(folder.is_dir(), "{} is missing", folder.display());
    Some(folder)
}

/// A file as JSON.
pub(crate) fn json(path: PathBuf) -> serde_json::Value {
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap()
}

/// Headers from pairs.
pub(crate) fn headers<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> HeaderMap {
    pairs
        .into_iter()
        .map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        })
        .collect()
}

/// What a request comes to, with a batch limit of three.
pub(crate) fn request(
    format: Format,
    application: Option<&str>,
    headers: &HeaderMap,
    body: impl Into<Bytes>,
) -> Result<Normalized, Error> {
    normalize(Input {
        format,
        application,
        headers,
        body: body.into(),
        leniency: Leniency::Strict,
        batch_events_max: 3,
    })
}

/// The one event of what is no batch.
pub(crate) fn only(normalized: Normalized) -> Event {
    assert!(!normalized.batch);
    let [event] = <[Event; 1]>::try_from(normalized.events).unwrap();
    event
}
