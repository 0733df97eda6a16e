//! What the gateway says about an event: who sent it, in which format, when.

use bytestring::ByteString;
use jiff::Timestamp;
use tidegate_application::Format;
use tidegate_event::{Event, Name, Value};

use crate::repair::Repairs;

/// The beginning of the names that only a gateway gives.
pub(crate) const PREFIX: &str = "ingress";

/// Takes away what a sender says in the gateway's name, and says it.
///
/// `application` is the authenticated sender; without one nothing is said of the sender.
pub(crate) fn stamp(
    event: &mut Event,
    index: usize,
    application: Option<&str>,
    format: Format,
    received_at: Timestamp,
    repairs: &Repairs,
) {
    let sent: Vec<ByteString> = event
        .extensions
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| name.starts_with(PREFIX))
        .map(ByteString::from)
        .collect();
    for name in sent {
        event.extensions.remove(&name);
    }
    let Some(application) = application else {
        return;
    };
    let mut set = |name, value: Value| event.extensions.insert(Name::from_static(name), value);
    set("ingressapp", application.into());
    set("ingressformat", format.name().into());
    set(
        "ingresstime",
        Value::String(format!("{received_at:.3}").into()),
    );
    if let Some(version) = repairs.raised(index) {
        set("ingressspecver", version.into());
    }
    if repairs.assumed_utc(index) {
        set("ingresstimefix", "assumed-utc".into());
    }
}
