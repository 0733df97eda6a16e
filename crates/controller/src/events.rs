//! Kubernetes Events: what people see with `kubectl describe`.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource as _,
    core::DynamicObject,
    runtime::events::{Event, EventType, Recorder, Reporter},
};

use crate::{MANAGER, kinds::Kind, metrics::Metrics};

/// Longest note that the API server takes, in bytes.
const NOTE_BYTES_MAX: usize = 1024;

/// Tells what happens.
#[derive(Clone)]
pub(crate) struct Events {
    recorder: Recorder,
    /// What is told of no resource is told of the Lease.
    lease: ObjectReference,
    metrics: Metrics,
}

impl Events {
    pub(crate) fn new(
        client: Client,
        identity: &str,
        (namespace, lease): (&str, &str),
        metrics: &Metrics,
    ) -> Self {
        let reporter = Reporter {
            controller: MANAGER.to_owned(),
            instance: Some(identity.to_owned()),
        };
        Self {
            recorder: Recorder::new(client, reporter),
            lease: ObjectReference {
                api_version: Some("coordination.k8s.io/v1".to_owned()),
                kind: Some("Lease".to_owned()),
                namespace: Some(namespace.to_owned()),
                name: Some(lease.to_owned()),
                ..ObjectReference::default()
            },
            metrics: metrics.clone(),
        }
    }

    /// Tells something of a resource.
    pub(crate) async fn tell(
        &self,
        (kind, object): (Kind, &DynamicObject),
        is_good: bool,
        (reason, action): (&str, &str),
        note: &str,
    ) {
        let mut reference = object.object_ref(&kind.api());
        if reference.namespace.is_none() {
            // Of a resource of the whole cluster, Events are in the usual namespace.
            reference.namespace = Some("default".to_owned());
        }
        self.metrics.wrote(kind.label(), "event");
        self.publish(&reference, is_good, (reason, action), note)
            .await;
    }

    /// Tells something of the whole.
    pub(crate) async fn tell_of_all(
        &self,
        is_good: bool,
        (reason, action): (&str, &str),
        note: &str,
    ) {
        self.metrics.wrote("lease", "event");
        self.publish(&self.lease, is_good, (reason, action), note)
            .await;
    }

    async fn publish(
        &self,
        reference: &ObjectReference,
        is_good: bool,
        (reason, action): (&str, &str),
        note: &str,
    ) {
        let event = Event {
            type_: if is_good {
                EventType::Normal
            } else {
                EventType::Warning
            },
            reason: reason.to_owned(),
            note: Some(shortened(note)),
            action: action.to_owned(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, reference).await {
            // The status says the same.
            tracing::debug!(reason, %error, "an Event was not written");
        }
    }
}

fn shortened(note: &str) -> String {
    if note.len() <= NOTE_BYTES_MAX {
        return note.to_owned();
    }
    let end = note.floor_char_boundary(NOTE_BYTES_MAX - '…'.len_utf8());
    format!("{}…", note.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that is too long would be refused, and nobody would see any.
    #[test]
    fn a_long_note_is_shortened() {
        assert_eq!(shortened("short"), "short");
        let long = shortened(&"ä".repeat(1000));
        assert!(
            long.len() <= NOTE_BYTES_MAX && long.ends_with("ä…"),
            "{}",
            long.len()
        );
    }
}
