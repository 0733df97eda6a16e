//! What is around a resource's own words: `apiVersion`, `kind`, `metadata`, `status`.

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use crate::{Metadata, Mistake, Mistakes, of_yaml};

/// A document whose `spec` was read, and the mistakes that are found in it from here on.
#[derive(Debug)]
pub struct Envelope<S> {
    /// Its namespace, `default` unless it says so.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its own words.
    pub spec: S,
    /// What is wrong so far.
    pub mistakes: Mistakes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<S> {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    metadata: Option<Metadata>,
    spec: Option<S>,
    #[serde(rename = "status")]
    _status: Option<IgnoredAny>,
}

impl<S: DeserializeOwned> Envelope<S> {
    /// Reads a document that begins at this line. `named` makes of namespace and name what mistakes
    /// are told of.
    pub fn open(
        document: &str,
        first_line: usize,
        named: fn(&str, &str) -> String,
    ) -> Result<Self, Vec<Mistake>> {
        let document: Document<S> =
            serde_saphyr::from_str(document).map_err(|error| vec![of_yaml(&error, first_line)])?;
        let mut mistakes = Mistakes::new(first_line);
        let metadata = document.metadata.unwrap_or_default();
        let (namespace, name) = metadata.identity(&mut mistakes);
        mistakes.object = Some(named(&namespace, &name));
        let Some(spec) = document.spec else {
            mistakes.add(None, "spec", "must be set");
            return Err(mistakes.found);
        };
        Ok(Self {
            namespace,
            name,
            spec,
            mistakes,
        })
    }
}
