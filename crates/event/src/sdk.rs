//! Conversions from and to the event type of `cloudevents-sdk`, for users who hold one.
//!
//! The SDK keeps JSON data as a tree: numbers above 64 bits and the order of keys do not survive
//! it. Nothing in Tidegate goes this way.

use bytes::Bytes;
use cloudevents::{AttributesReader, Data, EventBuilder, EventBuilderV10, event::ExtensionValue};

use crate::{Error, Event, Name, Value, error::Shown, is_json, validate};

impl TryFrom<&Event> for cloudevents::Event {
    type Error = cloudevents::event::EventBuilderError;

    fn try_from(event: &Event) -> Result<Self, Self::Error> {
        let mut builder = EventBuilderV10::new()
            .id(&*event.id)
            .source(&*event.source)
            .ty(&*event.r#type);
        if let Some(subject) = &event.subject {
            builder = builder.subject(&**subject);
        }
        if let Some(time) = &event.time {
            builder = builder.time(&**time);
        }
        for (name, value) in event.extensions.iter() {
            let value = match value {
                Value::Boolean(value) => ExtensionValue::Boolean(*value),
                Value::Integer(value) => ExtensionValue::Integer(i64::from(*value)),
                Value::String(value) => ExtensionValue::String(value.to_string()),
            };
            builder = builder.extension(name.as_str(), value);
        }
        if let Some(data) = &event.data {
            let content_type = event.datacontenttype.as_deref().unwrap_or_default();
            let tree = is_json(content_type)
                .then(|| serde_json::from_slice(data).ok())
                .flatten();
            let data = tree.map_or_else(|| Data::Binary(data.to_vec()), Data::Json);
            builder = builder.data(content_type, data);
        }
        builder.build()
    }
}

impl TryFrom<&cloudevents::Event> for Event {
    type Error = Error;

    fn try_from(theirs: &cloudevents::Event) -> Result<Self, Error> {
        let mut event = Self::new(
            theirs.id().to_owned(),
            theirs.source().to_string(),
            theirs.ty().to_owned(),
        );
        event.datacontenttype = theirs.datacontenttype().map(Into::into);
        event.dataschema = theirs.dataschema().map(|schema| schema.to_string().into());
        event.subject = theirs.subject().map(Into::into);
        event.time = theirs.time().map(|time| time.to_rfc3339().into());
        for (name, value) in theirs.iter_extensions() {
            let legal = Name::new(name).ok_or_else(|| Error::Name {
                name: Shown::new(name),
            })?;
            let value = match value {
                ExtensionValue::Boolean(value) => Value::Boolean(*value),
                ExtensionValue::Integer(value) => {
                    Value::Integer(i32::try_from(*value).map_err(|_| {
                        Error::invalid(name, "must be a 32-bit integer", value.to_string())
                    })?)
                }
                ExtensionValue::String(value) => Value::from(value.as_str()),
            };
            event.extensions.insert(legal, value);
        }
        event.data = match theirs.data() {
            None => None,
            Some(Data::Binary(bytes)) => Some(Bytes::from(bytes.clone())),
            Some(Data::String(text)) => Some(Bytes::from(text.clone())),
            Some(Data::Json(tree)) => Some(Bytes::from(tree.to_string())),
        };
        validate(&event)?;
        Ok(event)
    }
}
