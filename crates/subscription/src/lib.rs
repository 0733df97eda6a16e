//! Subscriptions: who gets what, and where it goes.
//!
//! Documents are parsed and validated here, with the place of every mistake, and become one
//! internal model that knows whether it wants an event. Reading files, and delivering, is not
//! done here.

mod delivery;
mod filter;
mod index;
mod interest;
mod kyma;
mod kyma_v1alpha1;
mod kyma_v1alpha2;
mod matching;
mod sink;
mod subscribed;
mod tidegate_v1alpha1;
mod topic;

use std::time::SystemTime;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tidegate_document::Parsed;
use url::Url;

pub use delivery::{
    Auth, Backoff, DeadLetter, Delivery, Format, OAuth2, OnDeadLetter, Order, Reply, Retry, Tls,
    WebHook,
};
pub use filter::{Decision, Filter, Pair};
pub use index::{Found, Index};
pub use interest::{Interest, TypeInterest};
pub use matching::{Matched, Matching};
pub use subscribed::subscribed_types;
pub use tidegate_document::Secret;
pub use topic::{Topic, TopicName};

/// Parses the Subscription documents of a text.
pub fn parse(text: &str) -> Parsed<Subscription> {
    tidegate_document::parse(
        text,
        &[
            tidegate_v1alpha1::KIND,
            kyma_v1alpha2::KIND,
            kyma_v1alpha1::KIND,
        ],
    )
}

/// The JSON Schema of Tidegate's own Subscription, for editors.
pub fn schema() -> Value {
    tidegate_v1alpha1::schema().to_value()
}

/// The JSON Schema of its `spec` alone.
pub fn spec_schema() -> Value {
    tidegate_v1alpha1::spec_schema().to_value()
}

/// Who gets what, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its namespace.
    pub namespace: String,
    /// Its name, unique in the namespace.
    pub name: String,
    /// Where events go: an http or https address, or `kafka://broker/topic`, of which
    /// [`Delivery::topic`] says more.
    pub sink: Url,
    /// Which events it wants.
    pub matching: Matching,
    /// How they get there.
    pub delivery: Delivery,
    /// Where a new one begins in the stream.
    pub start: Start,
    /// Nothing is delivered; what it wants is kept for it.
    pub pause: bool,
}

fn id(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// Where a new Subscription begins. One that exists goes on from where it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With the events that are stored from now on.
    #[default]
    New,
    /// With the oldest event that is stored.
    All,
    /// With the first event that was stored at this time or later.
    Since(SystemTime),
    /// With the event of this number in the stream.
    Sequence(u64),
}

impl Subscription {
    /// `<namespace>/<name>`.
    pub fn id(&self) -> String {
        id(&self.namespace, &self.name)
    }

    /// What its sink is known by: Subscriptions that share it share what is known of the sink. One
    /// that comes with other credentials may fare differently.
    pub fn sink_key(&self) -> String {
        let Delivery {
            auth,
            signing,
            tls,
            webhook,
            topic,
            ..
        } = &self.delivery;
        if let Some(Topic { cluster, .. }) = topic {
            let sink = &self.sink;
            return format!("{sink} in {cluster:?}");
        }
        if auth.is_none() && signing.is_empty() && tls.is_usual() && webhook.is_none() {
            return self.sink.to_string();
        }
        let sink = &self.sink;
        format!("{sink} as {auth:?} {signing:?} {tls:?} {webhook:?}")
    }

    /// The secrets that it names.
    pub fn secrets(&self) -> Vec<&Secret> {
        let Delivery {
            auth,
            signing,
            tls,
            topic,
            ..
        } = &self.delivery;
        let of_topic = topic.iter().flat_map(|topic| topic.cluster.secrets());
        let of_auth = auth.as_ref().map(|auth| match auth {
            Auth::Basic { password, .. } => password,
            Auth::Bearer { token } => token,
            Auth::OAuth2(OAuth2 { client_secret, .. }) => client_secret,
        });
        let client = tls.client.iter();
        let client = client.flat_map(|(certificate, key)| [certificate, key]);
        let secrets = of_auth.into_iter().chain(signing);
        let secrets = secrets.chain(&tls.ca).chain(client);
        secrets.chain(of_topic).collect()
    }

    /// The name of its durable consumer: legal in JetStream, and its own.
    pub fn consumer_name(&self) -> String {
        // 128 bits of the hash: two Subscriptions do not meet.
        let hash = Sha256::digest(self.id());
        let hex: String = hash
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("sub-{hex}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A renamed consumer would lose its position at an upgrade.
    #[test]
    fn consumer_names_are_stable_and_legal() {
        let text = "apiVersion: eventing.kyma-project.io/v1alpha2\nkind: Subscription\n\
                    metadata: {name: a.b, namespace: c}\nspec: {sink: \"http://h/\", source: s, types: [a.b]}\n";
        let parsed = parse(text);
        assert_eq!(parsed.mistakes, []);
        // printf 'c/a.b' | sha256sum | cut -c1-32
        assert_eq!(
            parsed.documents[0].1.consumer_name(),
            "sub-0707b09d3fcc9b3384653d41c4ac472a"
        );
    }
}
