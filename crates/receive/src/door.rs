//! The doors: every way in, by its path.

/// A door that events come in through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// `POST /publish`: CloudEvents, the path of Kyma's publisher.
    Publish,
    /// `POST /events`: CloudEvents.
    Events,
    /// `POST /{application}/events`: CloudEvents of a connected system.
    ApplicationEvents,
    /// `POST /{application}/v2/events`: the same, the path of Kyma's gateway.
    ApplicationEventsV2,
    /// `POST /{application}/v1/events`: the legacy format of SAP systems.
    Legacy,
    /// `POST /-/cds/event-broker/webhook`: SAP Cloud Application Event Hub.
    EventHub,
    /// `POST /messaging/enterprise-messaging`: a web hook of SAP Event Mesh.
    EventMeshWebhook,
    /// `POST /messagingrest/v1/topics/{topic}/messages`, and `queues`: the messaging REST API of
    /// SAP Event Mesh.
    EventMeshRest,
    /// `POST /sap/ems/v1/events`: the CloudEvents API of SAP Event Mesh.
    EventMeshEventsApi,
    /// `POST /{application}/soap/successfactors`.
    SuccessFactors,
    /// `POST /{application}/webhooks/…`.
    WebHook(WebHook),
    /// `POST /{application}/idoc`.
    Idoc,
    /// `POST /{application}/cxml`.
    Cxml,
}

/// Whose web hook it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WebHook {
    /// `concur`
    Concur,
    /// `cdc`
    CustomerDataCloud,
    /// `cloud-alm`
    CloudAlm,
    /// `alert-notification`
    AlertNotification,
    /// `leanix`
    LeanIx,
    /// `event-hub`
    EventHub,
    /// `event-mesh`
    EventMesh,
    /// `generic`
    Generic,
}

/// How many doors there are.
pub(crate) const DOORS: usize = 20;

impl Door {
    /// Every door.
    pub const ALL: [Self; DOORS] = [
        Self::Publish,
        Self::Events,
        Self::ApplicationEvents,
        Self::ApplicationEventsV2,
        Self::Legacy,
        Self::EventHub,
        Self::EventMeshWebhook,
        Self::EventMeshRest,
        Self::EventMeshEventsApi,
        Self::SuccessFactors,
        Self::WebHook(WebHook::Concur),
        Self::WebHook(WebHook::CustomerDataCloud),
        Self::WebHook(WebHook::CloudAlm),
        Self::WebHook(WebHook::AlertNotification),
        Self::WebHook(WebHook::LeanIx),
        Self::WebHook(WebHook::EventHub),
        Self::WebHook(WebHook::EventMesh),
        Self::WebHook(WebHook::Generic),
        Self::Idoc,
        Self::Cxml,
    ];

    /// Its paths, as the router writes them.
    pub fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Publish => &["/publish"],
            Self::Events => &["/events"],
            Self::ApplicationEvents => &["/{application}/events"],
            Self::ApplicationEventsV2 => &["/{application}/v2/events"],
            Self::Legacy => &["/{application}/v1/events"],
            Self::EventHub => &["/-/cds/event-broker/webhook"],
            Self::EventMeshWebhook => &["/messaging/enterprise-messaging"],
            Self::EventMeshRest => &[
                "/messagingrest/v1/topics/{topic}/messages",
                "/messagingrest/v1/queues/{topic}/messages",
            ],
            Self::EventMeshEventsApi => &["/sap/ems/v1/events"],
            Self::SuccessFactors => &["/{application}/soap/successfactors"],
            Self::WebHook(WebHook::Concur) => &["/{application}/webhooks/concur"],
            Self::WebHook(WebHook::CustomerDataCloud) => &["/{application}/webhooks/cdc"],
            Self::WebHook(WebHook::CloudAlm) => &["/{application}/webhooks/cloud-alm"],
            Self::WebHook(WebHook::AlertNotification) => {
                &["/{application}/webhooks/alert-notification"]
            }
            Self::WebHook(WebHook::LeanIx) => &["/{application}/webhooks/leanix"],
            Self::WebHook(WebHook::EventHub) => &["/{application}/webhooks/event-hub"],
            Self::WebHook(WebHook::EventMesh) => &["/{application}/webhooks/event-mesh"],
            Self::WebHook(WebHook::Generic) => &["/{application}/webhooks/generic"],
            Self::Idoc => &["/{application}/idoc"],
            Self::Cxml => &["/{application}/cxml"],
        }
    }

    /// The door at a path where most requests go; the router would find the same.
    pub(crate) fn busy(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let segments = [
            segments.next(),
            segments.next(),
            segments.next(),
            segments.next(),
        ];
        match segments {
            [Some("publish"), None, ..] => Some(Self::Publish),
            [Some("events"), None, ..] => Some(Self::Events),
            [Some(""), ..] => None,
            [Some(_), Some("events"), None, _] => Some(Self::ApplicationEvents),
            [Some(_), Some("v2"), Some("events"), None] => Some(Self::ApplicationEventsV2),
            [Some(_), Some("v1"), Some("events"), None] => Some(Self::Legacy),
            _ => None,
        }
    }

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Events => "events",
            Self::ApplicationEvents => "application_events",
            Self::ApplicationEventsV2 => "application_events_v2",
            Self::Legacy => "legacy",
            Self::EventHub => "event_hub",
            Self::EventMeshWebhook => "event_mesh_webhook",
            Self::EventMeshRest => "event_mesh_rest",
            Self::EventMeshEventsApi => "event_mesh_events_api",
            Self::SuccessFactors => "successfactors",
            Self::WebHook(WebHook::Concur) => "webhook_concur",
            Self::WebHook(WebHook::CustomerDataCloud) => "webhook_cdc",
            Self::WebHook(WebHook::CloudAlm) => "webhook_cloud_alm",
            Self::WebHook(WebHook::AlertNotification) => "webhook_alert_notification",
            Self::WebHook(WebHook::LeanIx) => "webhook_leanix",
            Self::WebHook(WebHook::EventHub) => "webhook_event_hub",
            Self::WebHook(WebHook::EventMesh) => "webhook_event_mesh",
            Self::WebHook(WebHook::Generic) => "webhook_generic",
            Self::Idoc => "idoc",
            Self::Cxml => "cxml",
        }
    }

    /// Its place in [`Self::ALL`].
    pub(crate) fn index(self) -> usize {
        match self {
            Self::Publish => 0,
            Self::Events => 1,
            Self::ApplicationEvents => 2,
            Self::ApplicationEventsV2 => 3,
            Self::Legacy => 4,
            Self::EventHub => 5,
            Self::EventMeshWebhook => 6,
            Self::EventMeshRest => 7,
            Self::EventMeshEventsApi => 8,
            Self::SuccessFactors => 9,
            Self::WebHook(WebHook::Concur) => 10,
            Self::WebHook(WebHook::CustomerDataCloud) => 11,
            Self::WebHook(WebHook::CloudAlm) => 12,
            Self::WebHook(WebHook::AlertNotification) => 13,
            Self::WebHook(WebHook::LeanIx) => 14,
            Self::WebHook(WebHook::EventHub) => 15,
            Self::WebHook(WebHook::EventMesh) => 16,
            Self::WebHook(WebHook::Generic) => 17,
            Self::Idoc => 18,
            Self::Cxml => 19,
        }
    }

    /// Whether its path names an Application.
    pub fn names_application(self) -> bool {
        self.paths()
            .iter()
            .any(|path| path.starts_with("/{application}"))
    }

    /// Whether it can be the target of a web hook that asks for permission first (CloudEvents
    /// HTTP 1.1 Web Hooks §4).
    pub fn takes_handshake(self) -> bool {
        match self {
            Self::Publish
            | Self::Legacy
            | Self::EventMeshRest
            | Self::SuccessFactors
            | Self::Idoc
            | Self::Cxml => false,
            Self::Events
            | Self::ApplicationEvents
            | Self::ApplicationEventsV2
            | Self::EventHub
            | Self::EventMeshWebhook
            | Self::EventMeshEventsApi
            | Self::WebHook(_) => true,
        }
    }

    /// Whether its senders take a 4xx for final, and drop what they could send again. They get
    /// none for what passes by itself.
    pub(crate) fn is_impatient(self) -> bool {
        match self {
            Self::Publish
            | Self::Events
            | Self::ApplicationEvents
            | Self::ApplicationEventsV2
            | Self::Legacy => false,
            Self::EventHub
            | Self::EventMeshWebhook
            | Self::EventMeshRest
            | Self::EventMeshEventsApi
            | Self::SuccessFactors
            | Self::WebHook(_)
            | Self::Idoc
            | Self::Cxml => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A door in another's place would count for it.
    #[test]
    fn every_door_has_its_place() {
        for (index, door) in Door::ALL.into_iter().enumerate() {
            assert_eq!(door.index(), index, "{door:?}");
        }
    }

    /// Without the router a path leads where it leads through it: nobody's events come through
    /// another's door.
    #[test]
    fn busy_doors_are_those_of_the_router() {
        let mut found = Vec::new();
        for door in Door::ALL {
            for path in door.paths() {
                let path = path.replace("{application}", "a%20b");
                match Door::busy(&path) {
                    None => {}
                    Some(other) => {
                        assert_eq!(other, door, "{path}");
                        found.push(door);
                    }
                }
            }
        }
        let busy = [
            Door::Publish,
            Door::Events,
            Door::ApplicationEvents,
            Door::ApplicationEventsV2,
            Door::Legacy,
        ];
        assert_eq!(found, busy);
        for path in [
            "/",
            "*",
            "/publish/",
            "//publish",
            "//events",
            "/a/events/",
            "/a/v1/events/",
            "/a/v1/events/subscribed",
            "/a/v3/events",
            "/sap/ems/v1/events",
        ] {
            assert_eq!(Door::busy(path), None, "{path}");
        }
    }
}
