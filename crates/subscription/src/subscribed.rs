//! Which types of an application are subscribed, as the legacy door lists them.

use std::collections::BTreeSet;

use crate::{Matching, Subscription, kyma};

/// Name and version of each type that is subscribed of the application: each once, in the order
/// in which the Subscriptions name them.
///
/// A type without a dot, on which Kyma's publisher crashes, is all name, and its version is empty.
pub fn subscribed_types<'a>(
    subscriptions: impl Iterator<Item = &'a Subscription>,
    application: &str,
) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let mut listed = Vec::new();
    for subscription in subscriptions {
        for r#type in types_of(subscription, application) {
            let (name, version) = r#type.rsplit_once('.').unwrap_or((r#type, ""));
            if seen.insert((name, version)) {
                listed.push((name.to_owned(), version.to_owned()));
            }
        }
    }
    listed
}

/// The types that the Subscription wants of the application, as the application names them.
fn types_of<'a>(subscription: &'a Subscription, application: &str) -> Vec<&'a str> {
    match &subscription.matching {
        Matching::Standard { source, types } if source == application => {
            types.iter().map(String::as_str).collect()
        }
        Matching::Standard { .. } => Vec::new(),
        Matching::Exact { types } => {
            let prefix = format!("{}.{application}.", kyma::TYPE_PREFIX);
            types
                .iter()
                .filter_map(|r#type| r#type.strip_prefix(&*prefix))
                .collect()
        }
    }
}
