//! Source formats, by the names that documents use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a connected system sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// CloudEvents 1.0, 0.3 or 0.2 in any mode.
    #[serde(rename = "cloudevent")]
    CloudEvent,
    /// CloudEvents 0.1 as older SAP systems send it.
    #[serde(rename = "cloudevent-0.1")]
    CloudEvent01,
    /// SAP Cloud Application Event Hub.
    EventHub,
    /// A web hook of SAP Event Mesh.
    EventMeshWebhook,
    /// The messaging REST API of SAP Event Mesh.
    EventMeshRest,
    /// The CloudEvents API of SAP Event Mesh.
    EventMeshEventsApi,
    /// Kyma's legacy format.
    KymaLegacy,
    /// SuccessFactors Intelligent Services.
    #[serde(rename = "successfactors")]
    SuccessFactors,
    /// Concur Event Subscription Service.
    Concur,
    /// Customer Data Cloud.
    CustomerDataCloud,
    /// BTP Alert Notification.
    AlertNotification,
    /// Cloud ALM.
    CloudAlm,
    /// LeanIX.
    #[serde(rename = "leanix")]
    LeanIx,
    /// IDoc over HTTP.
    Idoc,
    /// cXML of Ariba and the Business Network.
    Cxml,
    /// The Kafka record of a CAP application; no HTTP door takes it.
    KafkaRecord,
    /// Any JSON, read by a mapping.
    GenericJson,
    /// Any XML, read by a mapping.
    GenericXml,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 18] = [
        Self::CloudEvent,
        Self::CloudEvent01,
        Self::EventHub,
        Self::EventMeshWebhook,
        Self::EventMeshRest,
        Self::EventMeshEventsApi,
        Self::KymaLegacy,
        Self::SuccessFactors,
        Self::Concur,
        Self::CustomerDataCloud,
        Self::AlertNotification,
        Self::CloudAlm,
        Self::LeanIx,
        Self::Idoc,
        Self::Cxml,
        Self::KafkaRecord,
        Self::GenericJson,
        Self::GenericXml,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::CloudEvent => "cloudevent",
            Self::CloudEvent01 => "cloudevent-0.1",
            Self::EventHub => "event-hub",
            Self::EventMeshWebhook => "event-mesh-webhook",
            Self::EventMeshRest => "event-mesh-rest",
            Self::EventMeshEventsApi => "event-mesh-events-api",
            Self::KymaLegacy => "kyma-legacy",
            Self::SuccessFactors => "successfactors",
            Self::Concur => "concur",
            Self::CustomerDataCloud => "customer-data-cloud",
            Self::AlertNotification => "alert-notification",
            Self::CloudAlm => "cloud-alm",
            Self::LeanIx => "leanix",
            Self::Idoc => "idoc",
            Self::Cxml => "cxml",
            Self::KafkaRecord => "kafka-record",
            Self::GenericJson => "generic-json",
            Self::GenericXml => "generic-xml",
        }
    }

    /// The namespace in its sources, for formats whose sources are made here.
    pub fn namespace(self) -> Option<&'static str> {
        match self {
            Self::SuccessFactors => Some("sap.sf"),
            Self::Concur => Some("sap.concur"),
            Self::CustomerDataCloud => Some("sap.cdc"),
            Self::AlertNotification => Some("sap.ans"),
            Self::CloudAlm => Some("sap.calm"),
            Self::LeanIx => Some("sap.leanix"),
            Self::Idoc => Some("sap.erp"),
            Self::Cxml => Some("sap.ariba"),
            Self::CloudEvent
            | Self::CloudEvent01
            | Self::EventHub
            | Self::EventMeshWebhook
            | Self::EventMeshRest
            | Self::EventMeshEventsApi
            | Self::KymaLegacy
            | Self::KafkaRecord
            | Self::GenericJson
            | Self::GenericXml => None,
        }
    }
}
