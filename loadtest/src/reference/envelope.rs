//! The envelope of a CloudEvent in JSON, borrowed from the request in one pass.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize,
    de::{self, Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::publisher::{Identity, header};

#[derive(Debug, Default)]
pub(crate) struct Envelope<'a> {
    id: Cow<'a, str>,
    source: Cow<'a, str>,
    r#type: Cow<'a, str>,
    content_type: Option<Cow<'a, str>>,
    /// All the others, as they stand in the document.
    others: Vec<(Cow<'a, str>, &'a RawValue)>,
    pub(crate) data: Option<&'a RawValue>,
}

/// Borrowed where nothing is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Envelope<'_> {
    pub(crate) fn identity(&self) -> Identity<'_> {
        Identity {
            id: self.id.as_bytes(),
            source: self.source.as_bytes(),
            r#type: self.r#type.as_bytes(),
        }
    }

    /// Whether all of it can stand in headers as it is.
    pub(crate) fn is_plain(&self) -> bool {
        let has_control = |text: &str| text.bytes().any(|byte| byte.is_ascii_control());
        let others = || self.others.iter();
        self.identity().is_plain()
            && !has_control(&self.id)
            && !self.content_type.as_deref().is_some_and(has_control)
            && others().all(|(name, _)| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            // The value is JSON, which has line breaks between tokens of arrays and objects only.
            && !others().any(|(_, value)| has_control(value.get()))
    }

    pub(crate) fn headers(&self, bytes: &mut Vec<u8>) {
        header(bytes, b"ce-specversion", b"1.0");
        header(bytes, b"ce-id", self.id.as_bytes());
        header(bytes, b"ce-source", self.source.as_bytes());
        header(bytes, b"ce-type", self.r#type.as_bytes());
        if let Some(content_type) = &self.content_type {
            header(bytes, b"content-type", content_type.as_bytes());
        }
        for (name, value) in &self.others {
            bytes.extend_from_slice(b"ce-");
            header(
                bytes,
                name.as_bytes(),
                value.get().trim_matches('"').as_bytes(),
            );
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a CloudEvent")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(Text(name)) = members.next_key()? {
                    let text = |members: &mut A| members.next_value::<Text<'_>>();
                    match &*name {
                        "specversion" => {
                            if text(&mut members)?.0 != "1.0" {
                                return Err(de::Error::custom("specversion must be 1.0"));
                            }
                        }
                        "id" => envelope.id = text(&mut members)?.0,
                        "source" => envelope.source = text(&mut members)?.0,
                        "type" => envelope.r#type = text(&mut members)?.0,
                        "datacontenttype" => envelope.content_type = Some(text(&mut members)?.0),
                        "data" => envelope.data = Some(members.next_value()?),
                        _ => {
                            let value = members.next_value()?;
                            envelope.others.push((name, value));
                        }
                    }
                }
                Ok(envelope)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"specversion":"1.0","id":"7","source":"/a/b","type":"t.v1",
        "datacontenttype":"application/json","sapevolution":3,"subject":"k\u0031",
        "data": {"a": [1, 2]}}"#;

    fn headers(envelope: &Envelope<'_>) -> String {
        let mut bytes = Vec::new();
        envelope.headers(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    /// Every attribute becomes a header, and the data stays as it was sent.
    #[test]
    fn an_event_is_read_in_one_pass() {
        let text = format!("[{EVENT},{EVENT}]");
        let events: Vec<Envelope<'_>> = serde_json::from_str(&text).unwrap();
        assert_eq!(events.len(), 2);
        let event = &events[0];
        assert!(event.is_plain());
        assert_eq!(event.data.unwrap().get(), r#"{"a": [1, 2]}"#);
        let headers = headers(event);
        for line in [
            "ce-id: 7",
            "ce-source: /a/b",
            "ce-type: t.v1",
            "ce-sapevolution: 3",
        ] {
            assert!(headers.contains(&format!("{line}\r\n")), "{headers}");
        }
        assert!(matches!(event.id, Cow::Borrowed(_)));
    }

    /// An escape is decoded where it decides about the subject.
    #[test]
    fn escapes_are_decoded() {
        let text = r#"{"specversion":"1.0","id":"7","source":"a\u0020b","type":"t"}"#;
        let event: Envelope<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(event.source, "a b");
        assert!(!event.is_plain());
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for text in [
            "[]",
            r#"{"specversion":"0.3","id":"1"}"#,
            r#"{"id":1}"#,
            "{",
        ] {
            assert!(
                serde_json::from_str::<Envelope<'_>>(text).is_err(),
                "{text}"
            );
        }
        let text = r#"{"specversion":"1.0","id":"1","source":"a","type":"t","x":"a\nb", "y":[
            1]}"#;
        assert!(
            !serde_json::from_str::<Envelope<'_>>(text)
                .unwrap()
                .is_plain()
        );
    }
}
