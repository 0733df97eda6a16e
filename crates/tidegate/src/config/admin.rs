//! The section `admin`.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

/// The operator's door.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// Its address: `/healthz`, `/readyz`, `/metrics`, `/api/v1`.
    pub(crate) listen: SocketAddr,
    /// Who may come in. Without any, whoever reaches the address.
    pub(crate) tokens: Vec<Token>,
    /// Whether `/metrics` is open to those without a token, too.
    pub(crate) metrics_open: bool,
}

/// A bearer token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    /// Who it is for; stands in the audit log.
    pub(crate) name: String,
    /// The file of its secret, relative to the configuration file; read again when it changes.
    pub(crate) file: PathBuf,
    /// What it allows.
    pub(crate) role: Role,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Look.
    Viewer,
    /// Look and change.
    Operator,
}

impl Default for Admin {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            tokens: Vec::new(),
            metrics_open: false,
        }
    }
}

impl Admin {
    pub(super) fn validate(&self) -> Vec<String> {
        let mut names = BTreeSet::new();
        let mut mistakes = Vec::new();
        for (index, token) in self.tokens.iter().enumerate() {
            let name = &token.name;
            if name.is_empty() || name.chars().any(char::is_control) {
                mistakes.push(format!(
                    "tokens[{index}].name: must be text of one line, got {name:?}"
                ));
            }
            if !names.insert(name) {
                mistakes.push(format!(
                    "tokens[{index}].name: another token has the name {name:?}"
                ));
            }
        }
        mistakes
    }

    pub(super) fn resolve(&mut self, folder: &Path) {
        for token in &mut self.tokens {
            token.file = folder.join(&token.file);
        }
    }
}
