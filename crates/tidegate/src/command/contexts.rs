//! Contexts: meshes by name, so that nobody types addresses and files of tokens.
//!
//! `contexts.yaml` is written by people and only read here; which one is in use stands in the file
//! `context` beside it.

use std::{env, fs, io, path::PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

/// A mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Context {
    pub(super) name: String,
    /// The address of its admin door.
    pub(super) admin: String,
    /// The file of the token that lets in there, relative to the folder of contexts.
    #[serde(default)]
    pub(super) token_file: Option<PathBuf>,
    /// The file of the authorities of its certificate, relative to the folder as all of these.
    #[serde(default)]
    pub(super) ca: Option<PathBuf>,
    /// That of the certificate to show there.
    #[serde(default)]
    pub(super) certificate: Option<PathBuf>,
    /// That of its key.
    #[serde(default)]
    pub(super) key: Option<PathBuf>,
}

impl Context {
    /// The same, with what it does not say itself from another one.
    pub(super) fn or(self, other: Self) -> Self {
        // A certificate and a key of two places would not belong together.
        let (certificate, key) = match (self.certificate, self.key) {
            (None, None) => (other.certificate, other.key),
            given => given,
        };
        Self {
            name: self.name,
            admin: self.admin,
            token_file: self.token_file.or(other.token_file),
            ca: self.ca.or(other.ca),
            certificate,
            key,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    contexts: Vec<Context>,
}

/// Those of the person at the keyboard.
#[derive(Debug)]
pub(super) struct Contexts {
    folder: PathBuf,
    all: Vec<Context>,
    /// The name of the one in use.
    pub(super) used: Option<String>,
}

impl Contexts {
    /// Reads them; where there is no file, there are none.
    pub(super) fn load(folder: Option<PathBuf>) -> anyhow::Result<Self> {
        let home = || env::home_dir().map(|home| home.join(".config/tidegate"));
        let folder = folder.or_else(home).unwrap_or_default();
        let file = folder.join("contexts.yaml");
        let about = || format!("{}", file.display());
        let document = match fs::read_to_string(&file) {
            Ok(text) => serde_saphyr::from_str::<Document>(&text).map_err(|error| {
                let text = error.without_snippet().to_string();
                anyhow::anyhow!("{}: {text}", about())
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Document::default(),
            Err(error) => return Err(error).with_context(about),
        };
        let used = fs::read_to_string(folder.join("context")).ok();
        let used = used.map(|name| name.trim().to_owned());
        let mut all = document.contexts;
        for one in &mut all {
            let files = [
                &mut one.token_file,
                &mut one.ca,
                &mut one.certificate,
                &mut one.key,
            ];
            for file in files.into_iter().flatten() {
                *file = folder.join(&*file);
            }
        }
        Ok(Self { folder, all, used })
    }

    pub(super) fn all(&self) -> &[Context] {
        &self.all
    }

    /// The one of this name.
    pub(super) fn named(&self, name: &str) -> anyhow::Result<&Context> {
        let mut all = self.all.iter();
        match all.find(|one| one.name == name) {
            Some(found) => Ok(found),
            None => {
                let names: Vec<&str> = self.all.iter().map(|one| one.name.as_str()).collect();
                let file = self.folder.join("contexts.yaml");
                if names.is_empty() {
                    let example = format!("{{ name: {name}, admin: 'http://127.0.0.1:8081' }}");
                    bail!(
                        "no context {name:?}: {} names none; write it, such as contexts: [{example}]",
                        file.display()
                    );
                }
                bail!(
                    "no context {name:?} in {}; there are: {}",
                    file.display(),
                    names.join(", ")
                );
            }
        }
    }

    /// Uses this one from now on.
    pub(super) fn use_from_now_on(&self, name: &str) -> anyhow::Result<()> {
        let name = &self.named(name)?.name;
        let file = self.folder.join("context");
        fs::write(&file, format!("{name}\n")).with_context(|| format!("{}", file.display()))
    }
}
