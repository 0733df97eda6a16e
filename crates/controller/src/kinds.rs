//! The kinds of resources that are looked after.

use kube::{
    ResourceExt as _,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use tidegate_snapshot::Key;

/// Tidegate's own group.
pub(crate) const GROUP: &str = "eventing.tidegate.dev";

/// Its version.
pub(crate) const VERSION: &str = "v1alpha1";

/// Kyma's group.
pub(crate) const KYMA_GROUP: &str = "eventing.kyma-project.io";

/// Its version.
pub(crate) const KYMA_VERSION: &str = "v1alpha2";

/// A kind of resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// Kyma's Subscription.
    KymaSubscription,
    /// Tidegate's Subscription.
    Subscription,
    /// A connected system.
    Application,
    /// Topics that are read.
    KafkaSource,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [
        Self::KymaSubscription,
        Self::Subscription,
        Self::Application,
        Self::KafkaSource,
    ];

    /// As the API server knows it.
    pub(crate) fn api(self) -> ApiResource {
        let (group, version, kind, plural) = match self {
            Self::KymaSubscription => (KYMA_GROUP, KYMA_VERSION, "Subscription", "subscriptions"),
            Self::Subscription => (GROUP, VERSION, "Subscription", "subscriptions"),
            Self::Application => (GROUP, VERSION, "Application", "applications"),
            Self::KafkaSource => (GROUP, VERSION, "KafkaSource", "kafkasources"),
        };
        let kind = GroupVersionKind::gvk(group, version, kind);
        ApiResource::from_gvk_with_plural(&kind, plural)
    }

    /// Whether it is in a namespace.
    pub(crate) fn is_namespaced(self) -> bool {
        match self {
            Self::KymaSubscription | Self::Subscription => true,
            Self::Application | Self::KafkaSource => false,
        }
    }

    /// What keeps a resource that is deleted, until nothing runs of it. Kyma's kind has Kyma's: one
    /// that came with Kyma's controller is taken away as well, and the other way round.
    pub(crate) fn finalizer(self) -> &'static str {
        match self {
            Self::KymaSubscription => "eventing.kyma-project.io",
            Self::Subscription | Self::Application | Self::KafkaSource => {
                "eventing.tidegate.dev/runs"
            }
        }
    }

    /// A label of metrics.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::KymaSubscription => "kyma_subscription",
            Self::Subscription => "subscription",
            Self::Application => "application",
            Self::KafkaSource => "kafka_source",
        }
    }

    /// What a resource of this kind is called among those that run.
    pub(crate) fn key(self, object: &DynamicObject) -> Key {
        let name = object.name_any();
        match self {
            Self::KymaSubscription | Self::Subscription => {
                Key::subscription(&object.namespace().unwrap_or_default(), &name)
            }
            Self::Application => Key::application(&name),
            Self::KafkaSource => Key::source(&name),
        }
    }
}
