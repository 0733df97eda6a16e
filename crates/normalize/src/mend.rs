//! What real systems get wrong in an event, put right: names, empty values, times, sources.
//!
//! `id`, `type`, `subject` and the data of a complete event are never touched.

use bytestring::ByteString;
use tidegate_event::{Draft, Event, Leniency, Loose, Name, Value, validate};

use crate::{
    Request,
    object::is_scalar,
    repair::{Kind, Repairs},
    stamp, time,
};

/// Attributes of a broker's own position, which would differ when it sends an event again.
const BROKER_PREFIX: &str = "kafka";

/// The event, ready to be judged.
pub(crate) fn mend(draft: &mut Draft, request: &mut Request<'_>) {
    version(draft, &mut request.repairs);
    if draft
        .source
        .as_ref()
        .is_some_and(|source| source.is_empty())
        && let Some(source) = request.own_source()
    {
        request.repairs.add("source", Kind::SourceDefaulted);
        draft.source = Some(source);
    }
    optional(draft, &mut request.repairs);
    subject(draft, &mut request.repairs);
    // An epoch number is no string, so it was found among what may become extensions.
    if draft.time.is_none()
        && let Some(sent) = draft.take("time")
    {
        draft.time = Some(sent.to_text());
    }
    if let Some(sent) = draft.time.take() {
        draft.time = time::time(&sent, &mut request.repairs);
    }
    extensions(draft, request.leniency, &mut request.repairs);
}

/// 0.2 has the members of 0.3, but for `contenttype`.
fn version(draft: &mut Draft, repairs: &mut Repairs) {
    let version = match draft.specversion.as_deref() {
        Some("0.2") => "0.2",
        Some("0.3") => "0.3",
        _ => return,
    };
    if version == "0.2" {
        draft.specversion = Some(ByteString::from_static("0.3"));
        if draft.datacontenttype.is_none()
            && let Some(sent) = draft.take("contenttype")
        {
            draft.datacontenttype = Some(sent.to_text());
        }
    }
    // Here already, since the older versions take what 1.0 does not.
    if let Some(schema) = draft.take("schemaurl") {
        draft.dataschema.get_or_insert(schema.to_text());
    }
    repairs.add("specversion", Kind::VersionRaised(version));
}

/// A number or boolean is no string, so it was found among what may become extensions.
fn subject(draft: &mut Draft, repairs: &mut Repairs) {
    let Some(sent) = draft.take("subject") else {
        return;
    };
    if is_scalar(&sent) {
        repairs.add("subject", Kind::NumberAsText);
        draft.subject.get_or_insert(sent.to_text());
    } else {
        repairs.add("subject", Kind::NotScalar);
    }
}

fn optional(draft: &mut Draft, repairs: &mut Repairs) {
    let optional = [
        ("datacontenttype", &mut draft.datacontenttype),
        ("dataschema", &mut draft.dataschema),
        ("subject", &mut draft.subject),
        ("time", &mut draft.time),
    ];
    for (name, value) in optional {
        if value.as_ref().is_some_and(|value| value.is_empty()) {
            *value = None;
            repairs.add(name, Kind::Empty);
        }
    }
    if draft
        .dataschema
        .as_ref()
        .is_some_and(|schema| !is_absolute(schema))
    {
        draft.dataschema = None;
        repairs.add("dataschema", Kind::SchemaNotAbsolute);
    }
}

/// Whether 1.0 takes a schema.
fn is_absolute(schema: &ByteString) -> bool {
    let mut event = Event::new("1", "s", "t");
    event.dataschema = Some(schema.clone());
    validate(&event).is_ok()
}

fn extensions(draft: &mut Draft, leniency: Leniency, repairs: &mut Repairs) {
    if draft
        .extensions
        .iter()
        .all(|(name, value)| is_fine(name, value))
    {
        return;
    }
    let sent = std::mem::take(&mut draft.extensions);
    let as_sent: Vec<ByteString> = sent.iter().map(|(name, _)| name.clone()).collect();
    for (name, value) in sent {
        let value = match value {
            Loose::Value(value) => value,
            Loose::Json(text) if text.starts_with(['[', '{']) => {
                repairs.add(&name, Kind::NotScalar);
                continue;
            }
            Loose::Json(digits) => {
                repairs.add(&name, Kind::NumberAsText);
                Value::String(digits)
            }
        };
        let lower = name.to_ascii_lowercase();
        if lower.starts_with(BROKER_PREFIX) || lower.starts_with(stamp::PREFIX) {
            repairs.add(&name, Kind::Reserved);
            continue;
        }
        let name = match (known_as(&name, &lower), leniency) {
            (Some(known), _) => {
                repairs.add(&name, Kind::Renamed(known));
                let taken = |(have, _): &(ByteString, Loose)| have == known;
                if draft.extensions.iter().any(taken) {
                    continue;
                }
                ByteString::from_static(known)
            }
            (None, Leniency::Lowercase) if lower != *name && Name::new(&*lower).is_some() => {
                repairs.add(&name, Kind::Lowercased);
                let lower = ByteString::from(lower);
                if as_sent.contains(&lower) {
                    continue;
                }
                lower
            }
            (None, Leniency::Lowercase | Leniency::Drop) if !may_be_judged(&name, draft) => {
                repairs.add(&name, Kind::IllegalName);
                continue;
            }
            (None, Leniency::Strict | Leniency::Lowercase | Leniency::Drop) => name,
        };
        // What the sender says under the legal name counts more than what was renamed to it.
        if let Some(at) = renamed_before(draft, &name) {
            draft.extensions.remove(at);
        }
        draft.extensions.push((name, Loose::Value(value)));
    }
}

/// Whether nothing is to be done, as with nearly every event.
fn is_fine(name: &str, value: &Loose) -> bool {
    matches!(value, Loose::Value(_))
        && is_legal(name)
        && !name.starts_with(BROKER_PREFIX)
        && !name.starts_with(stamp::PREFIX)
}

fn is_legal(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// Whether the name is legal, or that of a core attribute that is no string: which is refused.
fn may_be_judged(name: &str, draft: &mut Draft) -> bool {
    draft.core(name).is_some() || Name::new(name).is_some()
}

/// The legal name of an attribute that SAP systems send under an illegal one.
fn known_as(name: &str, lower: &str) -> Option<&'static str> {
    match lower {
        "x-correlation-id" | "x-correlationid" => Some(CORRELATION),
        _ if name == "tenantId" => Some(TENANT),
        _ => None,
    }
}

const CORRELATION: &str = "xsapcorrelationid";
const TENANT: &str = "xsaptenantid";

fn renamed_before(draft: &Draft, name: &str) -> Option<usize> {
    [CORRELATION, TENANT].contains(&name).then_some(())?;
    draft.extensions.iter().position(|(have, _)| have == name)
}
