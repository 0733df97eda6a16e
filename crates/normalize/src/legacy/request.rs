//! The legacy document, read and checked as Kyma's publisher does.

use std::borrow::Cow;

use super::{Field, Refusal, time};
use crate::go_json::{self, Kind};

/// What Kyma calls the document's type in its messages.
const DOCUMENT: &str = "PublishRequestV1";

/// The members of a legacy document. Absent and empty are the same to Kyma.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) event_type: Cow<'a, str>,
    pub(super) event_type_version: Cow<'a, str>,
    pub(super) event_time: Cow<'a, str>,
    pub(super) event_id: Cow<'a, str>,
    data: Option<&'a [u8]>,
}

impl<'a> Request<'a> {
    /// Reads a body. Of several members for one field the last counts; `null` leaves a text as
    /// it is; unknown members, and whatever follows the document, are not looked at.
    pub(super) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        if body.is_empty() {
            return Err(bad_payload("Bad payload syntax"));
        }
        let mut request = Self::default();
        let mut mismatch = None;
        let document = go_json::scan(body, |key, value| {
            if let Some(field) = field_of(key)
                && let Err(kind) = request.set(field, value)
            {
                mismatch.get_or_insert((field, kind));
            }
        })
        .map_err(|error| bad_payload(error.to_string()))?;
        match (Kind::of(document), mismatch) {
            (Kind::Object | Kind::Null, None) => Ok(request),
            (Kind::Object | Kind::Null, Some((field, kind))) => Err(bad_payload(format!(
                "json: cannot unmarshal {} into Go struct field {DOCUMENT}.{field} of type string",
                kind.as_str()
            ))),
            (kind @ (Kind::Boolean | Kind::Number | Kind::String | Kind::Array), _) => {
                Err(bad_payload(format!(
                    "json: cannot unmarshal {} into Go value of type api.{DOCUMENT}",
                    kind.as_str()
                )))
            }
        }
    }

    fn set(&mut self, field: Field, value: &'a [u8]) -> Result<(), Kind> {
        let kind = Kind::of(value);
        let text = match field {
            Field::EventType => &mut self.event_type,
            Field::EventTypeVersion => &mut self.event_type_version,
            Field::EventTime => &mut self.event_time,
            Field::EventId => &mut self.event_id,
            Field::Data => {
                self.data = (kind != Kind::Null).then_some(value);
                return Ok(());
            }
        };
        match kind {
            Kind::String => {
                *text = go_json::unquote(value);
                Ok(())
            }
            Kind::Null => Ok(()),
            Kind::Boolean | Kind::Number | Kind::Array | Kind::Object => Err(kind),
        }
    }

    /// Checks the members in Kyma's order and gives back the data.
    pub(super) fn check(&self) -> Result<&'a [u8], Refusal> {
        if self.event_type.is_empty() {
            return Err(Refusal::MissingField(Field::EventType));
        }
        if self.event_type_version.is_empty() {
            return Err(Refusal::MissingField(Field::EventTypeVersion));
        }
        // Kyma's pattern is not anchored: one letter or digit anywhere will do.
        if !self
            .event_type_version
            .bytes()
            .any(|byte| byte.is_ascii_alphanumeric())
        {
            return Err(Refusal::InvalidField(Field::EventTypeVersion));
        }
        if self.event_time.is_empty() {
            return Err(Refusal::MissingField(Field::EventTime));
        }
        if !time::is_timestamp(&self.event_time) {
            return Err(Refusal::InvalidField(Field::EventTime));
        }
        if !self.event_id.is_empty() && !is_uuid(&self.event_id) {
            return Err(Refusal::InvalidField(Field::EventId));
        }
        match self.data {
            None | Some(b"\"\"") => Err(Refusal::MissingField(Field::Data)),
            Some(data) => Ok(data),
        }
    }
}

fn field_of(key: &[u8]) -> Option<Field> {
    let key = go_json::unquote(key);
    Field::ALL
        .into_iter()
        .find(|field| go_json::eq_fold(&key, field.as_str()))
}

/// Any version of UUID, in either case.
fn is_uuid(id: &str) -> bool {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let mut groups = id.split('-');
    let legal = GROUPS.iter().all(|digits| {
        groups.next().is_some_and(|group| {
            group.len() == *digits && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    });
    legal && groups.next().is_none()
}

fn bad_payload(more_info: impl Into<String>) -> Refusal {
    Refusal::BadPayload {
        more_info: more_info.into(),
    }
}
