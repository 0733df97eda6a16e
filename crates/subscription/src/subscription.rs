//! The internal model: who wants which events, where they go, how many at a time.
//!
//! Nothing here validates; what comes out of [`crate::parse`] is valid.

use std::num::NonZeroU32;

use sha2::{Digest, Sha256};
use url::Url;

use crate::kyma;

/// How many deliveries run at once when a document names no number, or one below 1: Kyma's default.
pub const MAX_IN_FLIGHT_DEFAULT: NonZeroU32 = NonZeroU32::new(10).expect("10 is not 0");

/// Bytes of the hash in a consumer's name. 128 bits: two of any number of Subscriptions that can
/// exist do not share one, and the name stays far below the 255 bytes that nats-server takes.
const CONSUMER_HASH_BYTES: usize = 16;

/// One Subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The namespace.
    pub namespace: String,
    /// The name, once in its namespace.
    pub name: String,
    /// Where events go: `http` or `https`, with a host.
    pub sink: Url,
    /// Which events it wants.
    pub matching: Matching,
    /// How many deliveries may run at once.
    pub max_in_flight: NonZeroU32,
    /// Which kind of document it was written as.
    pub flavour: Flavour,
}

/// The kind of document that a Subscription was written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `eventing.kyma-project.io/v1alpha2`.
    KymaV1alpha2,
}

/// Which events a Subscription wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Matching {
    /// Events of one source, by their type as it was published.
    Standard {
        /// The source.
        source: String,
        /// The types, each once.
        types: Vec<String>,
    },
    /// Events by the type alone, in the forms that Kyma's publisher gives a type.
    Exact {
        /// The types, each once.
        types: Vec<String>,
    },
}

/// Events that the log can select by itself. What it selects may be more than the Subscription
/// wants, never less; [`Subscription::matches`] decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interest<'a> {
    /// Only of this source; `None` for any.
    pub source: Option<&'a str>,
    /// Only of this type; `None` for any.
    pub r#type: Option<&'a str>,
}

impl Subscription {
    /// What people call it: `<namespace>/<name>`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The durable name of its consumer, for the life of the Subscription.
    ///
    /// Names in Kubernetes may hold dots, which JetStream forbids, and replacing them would make
    /// two names one; so it is a hash. The slash of the id is in no namespace.
    pub fn consumer_name(&self) -> String {
        let hash = Sha256::digest(self.id());
        let digits = hash
            .iter()
            .take(CONSUMER_HASH_BYTES)
            .map(|byte| format!("{byte:02x}"));
        format!("sub-{}", digits.collect::<String>())
    }

    /// What the log has to read for it.
    ///
    /// An exact Subscription has to see every event: the forms that it is matched against are
    /// made of source, type and an extension, and no filter of a subject can say them.
    pub fn interests(&self) -> Vec<Interest<'_>> {
        match &self.matching {
            Matching::Standard { source, types } => {
                // Such a source may have been sent escaped, in more than one way.
                let source = (!kyma::is_escaped(source)).then_some(source.as_str());
                let of = |r#type| Interest {
                    source,
                    r#type: Some(r#type),
                };
                types.iter().map(String::as_str).map(of).collect()
            }
            Matching::Exact { .. } => vec![Interest {
                source: None,
                r#type: None,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription(namespace: &str, name: &str, matching: Matching) -> Subscription {
        Subscription {
            namespace: namespace.into(),
            name: name.into(),
            sink: "http://127.0.0.1:8090/".parse().unwrap(),
            matching,
            max_in_flight: MAX_IN_FLIGHT_DEFAULT,
            flavour: Flavour::KymaV1alpha2,
        }
    }

    fn standard(source: &str) -> Matching {
        Matching::Standard {
            source: source.into(),
            types: vec!["order.created.v1".into(), "order.updated.v1".into()],
        }
    }

    /// A consumer's name holds its position in the log: were it to change, every Subscription
    /// would start anew.
    #[test]
    fn consumer_names_are_fixed_and_legal() {
        let name = subscription("default", "billing", standard("shop")).consumer_name();
        assert_eq!(name, "sub-94332735ea831e1c713253281d47e4b6");
        let dotted = subscription("default", "a.b", standard("shop")).consumer_name();
        assert!(
            dotted
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        );
    }

    /// Two Subscriptions on one consumer would take each other's events.
    #[test]
    fn consumer_names_differ_where_ids_do() {
        let of = |namespace, name| subscription(namespace, name, standard("s")).consumer_name();
        assert_ne!(of("a", "b-c"), of("a-b", "c"));
        assert_ne!(of("default", "a.b"), of("default", "a-b"));
        assert_ne!(of("a", "b"), of("b", "a"));
    }

    /// What the log can select by itself it should not hand over to be dropped.
    #[test]
    fn standard_interests_name_source_and_type() {
        let subscription = subscription("default", "billing", standard("shop"));
        let expected = ["order.created.v1", "order.updated.v1"].map(|r#type| Interest {
            source: Some("shop"),
            r#type: Some(r#type),
        });
        assert_eq!(subscription.interests(), expected);
    }

    /// A source that senders have to escape comes in in more than one form.
    #[test]
    fn a_source_that_a_uri_escapes_is_read_by_type() {
        for source in ["my shop", "größe", "system>prod"] {
            let subscription = subscription("default", "billing", standard(source));
            let sources = subscription
                .interests()
                .into_iter()
                .map(|interest| interest.source);
            assert!(sources.eq([None, None]), "{source}");
        }
    }

    /// An exact Subscription whose filter is too narrow would silently miss events.
    #[test]
    fn exact_interests_are_everything() {
        let matching = Matching::Exact {
            types: vec!["sap.kyma.custom.a.b.c.v1".into()],
        };
        let subscription = subscription("default", "billing", matching);
        assert_eq!(
            subscription.interests(),
            [Interest {
                source: None,
                r#type: None
            }]
        );
    }
}
