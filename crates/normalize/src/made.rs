//! Events that are made here, of the messages of systems that know no CloudEvents.

use bytes::Bytes;
use bytestring::ByteString;
use tidegate_event::{Event, Name, Value, is_json, validate};

use crate::{
    Error, Request, identity,
    repair::{Kind, Repairs},
    time,
};

/// The extension for the place of an event among others of its source.
pub(crate) const SEQUENCE: &str = "sequence";

/// What a format finds in a message.
pub(crate) struct Made<'a> {
    /// The source's own id.
    pub(crate) id: Option<ByteString>,
    pub(crate) source: ByteString,
    pub(crate) r#type: ByteString,
    pub(crate) subject: Option<ByteString>,
    /// As it was sent.
    pub(crate) time: Option<&'a str>,
    /// By name; a name stands once.
    pub(crate) extensions: Vec<(Name, Value)>,
    pub(crate) payload: Payload,
}

/// The data.
#[derive(Clone)]
pub(crate) enum Payload {
    /// JSON text.
    Json(Bytes),
    /// The text of an XML element.
    Xml(ByteString),
    /// Anything else, with the content type that it came with.
    Other(Bytes, Option<ByteString>),
}

impl Made<'_> {
    /// The event: the sender's id, else its place where the carrier has one, else one
    /// derived of what tells it from others (D2), else a fresh one (D3).
    pub(crate) fn finish(self, request: &mut Request<'_>) -> Result<Event, Error> {
        let time = self
            .time
            .filter(|time| !time.is_empty())
            .and_then(|time| time::time(time, &mut request.repairs));
        let mut names = self.extensions.iter().map(|(name, _)| name.as_str());
        let told_apart = time.is_some() || names.any(|name| name == SEQUENCE);
        self.finish_at(time, told_apart, request)
    }

    /// The same with a time that is known; `told_apart` says whether anything, such as a time or a
    /// number, tells the occurrence from others of the same content.
    pub(crate) fn finish_at(
        self,
        time: Option<ByteString>,
        told_apart: bool,
        request: &mut Request<'_>,
    ) -> Result<Event, Error> {
        let payload = self.payload.trimmed();
        let subject = self.subject.filter(|subject| !subject.is_empty());
        let subject = subject.filter(|text| is_legal("subject", text, &mut request.repairs));
        let id = match self.id.filter(|id| !id.is_empty()) {
            Some(id) => id,
            None if request.place.is_some() && !request.application.content_dedup => {
                request.next_place().into()
            }
            None if told_apart || request.application.content_dedup => {
                let occurrence = identity::Occurrence {
                    format: request.format.name(),
                    source: &self.source,
                    r#type: &self.r#type,
                    subject: subject.as_deref().unwrap_or_default(),
                    time: time.as_deref().unwrap_or_default(),
                };
                identity::derived_id(&occurrence, &payload).into()
            }
            None => identity::fresh_id().into(),
        };
        let mut event = Event::new(id, self.source, self.r#type);
        event.subject = subject;
        event.time = time;
        let (content_type, data) = match payload {
            Payload::Json(json) => (Some(ByteString::from_static("application/json")), json),
            Payload::Xml(xml) => {
                let bytes = xml.into_bytes();
                (Some(ByteString::from_static("application/xml")), bytes)
            }
            Payload::Other(bytes, content_type) => (content_type, bytes),
        };
        event.data = Some(data).filter(|data| !data.is_empty());
        event.datacontenttype = content_type;
        for (name, value) in self.extensions {
            if is_legal(name.as_str(), &value.to_text(), &mut request.repairs) {
                event.extensions.insert(name, value);
            }
        }
        validate(&event)?;
        Ok(event)
    }
}

impl Request<'_> {
    /// What tells the next event of the request from all others.
    fn next_place(&mut self) -> String {
        let place = self.place.unwrap_or_default();
        let before = self.unnamed;
        self.unnamed += 1;
        match before {
            0 => place.to_owned(),
            before => format!("{place}/{before}"),
        }
    }
}

impl Payload {
    /// JSON without the white space around it, which is no part of the value.
    fn trimmed(self) -> Self {
        match self {
            Self::Json(json) => Self::Json(json.slice_ref(json.trim_ascii())),
            Self::Other(json, Some(media_type)) if is_json(&media_type) => {
                Self::Other(json.slice_ref(json.trim_ascii()), Some(media_type))
            }
            other @ (Self::Xml(_) | Self::Other(..)) => other,
        }
    }
}

/// Whether an attribute may be this text. Text of a message that none may be is told and left out:
/// it must not cost the event.
fn is_legal(name: &str, text: &str, repairs: &mut Repairs) -> bool {
    let legal = text.is_empty() || is_text(text);
    if !legal {
        repairs.add(name, Kind::IllegalValue);
    }
    legal
}

/// Whether a text that is not empty is a legal value.
pub(crate) fn is_text(text: &str) -> bool {
    validate(&Event::new("1", "s", text)).is_ok()
}

/// An extension of a text that may be absent.
pub(crate) fn extension(
    name: &'static str,
    value: Option<impl AsRef<str>>,
) -> Option<(Name, Value)> {
    value.map(|value| (Name::from_static(name), Value::from(value.as_ref())))
}
