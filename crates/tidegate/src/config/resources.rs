//! `resources`: where Subscriptions and Applications come from.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where they come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Resources {
    /// Files, or a cluster.
    pub(crate) from: From,
    /// In a cluster: the folder of the secrets that they name, relative to the configuration file.
    /// Those of a Subscription are below its namespace.
    pub(crate) secrets: PathBuf,
}

/// Where resources come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum From {
    /// The folders `subscriptions.folder` and `applications.folder`.
    Files,
    /// What `tidegate controller` has written beside the log.
    Kubernetes,
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            from: From::Files,
            secrets: "secrets".into(),
        }
    }
}

impl Resources {
    /// Whether they are those of a cluster.
    pub(crate) fn are_in_a_cluster(&self) -> bool {
        self.from == From::Kubernetes
    }
}
