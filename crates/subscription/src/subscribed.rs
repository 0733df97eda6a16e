//! Which types of an application are subscribed, for `GET /{application}/v1/events/subscribed`.

use crate::{Matching, Subscription};

/// The prefix of Kyma's old types.
const PREFIX: &str = "sap.kyma.custom.";

/// Name and version of each subscribed type of `application`, each once, in the order of the
/// Subscriptions. A type without a dot has no version (Kyma's publisher crashes on it).
pub fn subscribed_types<'a>(
    subscriptions: impl Iterator<Item = &'a Subscription>,
    application: &str,
) -> Vec<(String, String)> {
    let mut types = Vec::new();
    for subscription in subscriptions {
        let of_application = match &subscription.matching {
            Matching::Standard { source, types } if source == application => {
                types.iter().map(String::as_str).collect()
            }
            Matching::Standard { .. } | Matching::Filters(_) => Vec::new(),
            Matching::Exact { types } => types
                .iter()
                .filter_map(|one| {
                    one.strip_prefix(PREFIX)?
                        .strip_prefix(application)?
                        .strip_prefix('.')
                })
                .collect(),
        };
        for r#type in of_application {
            let (name, version) = r#type.rsplit_once('.').unwrap_or((r#type, ""));
            let found = (name.to_owned(), version.to_owned());
            if !types.contains(&found) {
                types.push(found);
            }
        }
    }
    types
}
