//! The request as Go's decoder reads it: one JSON value and whatever may follow it, names in any
//! case, the last of a repeated name, null for nothing.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::go_json;

/// The fields of a request.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) event_type: String,
    pub(super) event_type_version: String,
    pub(super) event_id: String,
    pub(super) event_time: String,
    pub(super) data: Option<&'a RawValue>,
}

/// Members that a request may have, known or not; a body of a mebibyte can hold 200,000, and each
/// is looked at once.
type Members<'a> = Vec<(String, &'a RawValue)>;

/// The request, or Go's text for what is wrong with it.
pub(super) fn request(body: &[u8]) -> Result<Request<'_>, String> {
    let end = go_json::value_end(body)?;
    let text = body.get(..end).unwrap_or_default();
    let raw: &RawValue = match serde_json::from_slice(text) {
        Ok(raw) => raw,
        // Go mends text that is not UTF-8; an event cannot carry it.
        Err(error) => return Err(error.to_string()),
    };
    match raw.get().as_bytes().first() {
        Some(b'{') => {}
        Some(b'n') => return Ok(Request::default()),
        _ => {
            let kind = go_json::kind(raw.get());
            return Err(format!(
                "json: cannot unmarshal {kind} into Go value of type api.PublishRequestV1"
            ));
        }
    }
    let members = members(raw).map_err(|error| error.to_string())?;
    let mut request = Request::default();
    let mut first_mistake = None;
    for (name, value) in members {
        if let Err(mistake) = request.set(&name, value) {
            // Go goes on, and reports the first.
            first_mistake.get_or_insert(mistake);
        }
    }
    first_mistake.map_or(Ok(request), Err)
}

impl<'a> Request<'a> {
    fn set(&mut self, name: &str, value: &'a RawValue) -> Result<(), String> {
        let (field, slot) = match name.to_lowercase().as_str() {
            "event-type" => ("event-type", &mut self.event_type),
            "event-type-version" => ("event-type-version", &mut self.event_type_version),
            "event-id" => ("event-id", &mut self.event_id),
            "event-time" => ("event-time", &mut self.event_time),
            "data" => {
                self.data = Some(value);
                return Ok(());
            }
            _ => return Ok(()),
        };
        match value.get().as_bytes().first() {
            Some(b'n') => Ok(()),
            Some(b'"') => {
                *slot = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
                Ok(())
            }
            _ => {
                let kind = go_json::kind(value.get());
                Err(format!(
                    "json: cannot unmarshal {kind} into Go struct field PublishRequestV1.{field} of type string"
                ))
            }
        }
    }
}

fn members(object: &RawValue) -> Result<Members<'_>, serde_json::Error> {
    struct Visitor;

    impl<'de> serde::de::Visitor<'de> for Visitor {
        type Value = Members<'de>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: serde::de::MapAccess<'de>>(
            self,
            mut map: A,
        ) -> Result<Members<'de>, A::Error> {
            let mut members = Members::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }

    struct All<'a>(Members<'a>);

    impl<'de> Deserialize<'de> for All<'de> {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(Visitor).map(All)
        }
    }

    serde_json::from_str::<All<'_>>(object.get()).map(|all| all.0)
}
