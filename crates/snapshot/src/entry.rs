//! A resource of the cluster, as it stands in the register.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What kind of resource it is, for those who run it. Kinds whose names may not meet are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Who gets what.
    Subscription,
    /// A connected system.
    Application,
    /// Topics that are read.
    Source,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Subscription => "subscription",
            Self::Application => "application",
            Self::Source => "source",
        }
    }
}

/// What no two entries share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// What it is.
    pub kind: Kind,
    /// Its namespace, where it has one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

impl Key {
    /// That of a Subscription.
    pub fn subscription(namespace: &str, name: &str) -> Self {
        Self {
            kind: Kind::Subscription,
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        }
    }

    /// That of an Application.
    pub fn application(name: &str) -> Self {
        Self {
            kind: Kind::Application,
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// That of a source.
    pub fn source(name: &str) -> Self {
        Self {
            kind: Kind::Source,
            namespace: None,
            name: name.to_owned(),
        }
    }

    /// As a name in the register, which has no dots; a resource's name has no `_` and no `=`.
    pub(crate) fn entry(&self) -> String {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        format!("{}_{namespace}_{}", self.kind.word(), self.name).replace('.', "=")
    }

    pub(crate) fn of_entry(entry: &str) -> Option<Self> {
        let text = entry.replace('=', ".");
        let mut parts = text.splitn(3, '_');
        let word = parts.next()?;
        let kinds = [Kind::Subscription, Kind::Application, Kind::Source];
        let kind = kinds.into_iter().find(|kind| kind.word() == word)?;
        let namespace = parts.next()?;
        Some(Self {
            kind,
            namespace: (!namespace.is_empty()).then(|| namespace.to_owned()),
            name: parts.next()?.to_owned(),
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Subscription => "Subscription",
            Kind::Application => "Application",
            Kind::Source => "KafkaSource",
        };
        match &self.namespace {
            Some(namespace) => write!(f, "{kind} {namespace}/{}", self.name),
            None => write!(f, "{kind} {}", self.name),
        }
    }
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The document, with all that only the cluster knows put in: `apiVersion`, `kind`, `metadata`,
    /// `spec`.
    pub document: Value,
    /// Why nothing is delivered for now, where that is so: what it wants is kept for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

impl Entry {
    /// What was registered.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two resources that shared an entry would overwrite each other.
    #[test]
    fn a_name_in_the_register_leads_back_to_its_resource() {
        let keys = [
            Key::subscription("a", "b"),
            Key::subscription("a-b", "c.d-e.f"),
            Key::application("s4.hana"),
        ];
        for key in keys {
            let entry = key.entry();
            assert!(!entry.contains('.'), "{entry}");
            assert_eq!(Key::of_entry(&entry), Some(key), "{entry}");
        }
        for other in ["complete", "subscription_a", "service_a_b", ""] {
            assert_eq!(Key::of_entry(other), None, "{other}");
        }
    }
}
