//! The NATS binding in binary mode, until the event crate has it.

use bytes::Bytes;
use tidegate_event::{Event, Name, Value};

pub(super) fn encode(event: &Event, mut header: impl FnMut(&str, &str)) {
    header("ce-specversion", "1.0");
    let attributes = [
        ("ce-id", Some(&event.id)),
        ("ce-source", Some(&event.source)),
        ("ce-type", Some(&event.r#type)),
        ("ce-datacontenttype", event.datacontenttype.as_ref()),
        ("ce-dataschema", event.dataschema.as_ref()),
        ("ce-subject", event.subject.as_ref()),
        ("ce-time", event.time.as_ref()),
    ];
    for (name, value) in attributes {
        if let Some(value) = value {
            header(name, &super::message::escape(value, usize::MAX));
        }
    }
    for (name, value) in event.extensions.iter() {
        let value = super::message::escape(&value.to_text(), usize::MAX);
        header(&format!("ce-{name}"), &value);
    }
}

pub(super) fn decode<'a>(
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    payload: Bytes,
) -> Result<Event, String> {
    let mut event = Event::new("", "", "");
    for (name, value) in headers {
        let Some(name) = name.strip_prefix("ce-") else {
            continue;
        };
        let value = unescape(value).ok_or("bad escape")?;
        match name {
            "specversion" => {}
            "id" => event.id = value.into(),
            "source" => event.source = value.into(),
            "type" => event.r#type = value.into(),
            "datacontenttype" => event.datacontenttype = Some(value.into()),
            "dataschema" => event.dataschema = Some(value.into()),
            "subject" => event.subject = Some(value.into()),
            "time" => event.time = Some(value.into()),
            name => {
                let name = Name::new(name).ok_or("bad name")?;
                event.extensions.insert(name, Value::String(value.into()));
            }
        }
    }
    if event.id.is_empty() {
        return Err("ce-id is missing".to_owned());
    }
    event.data = (!payload.is_empty()).then_some(payload);
    Ok(event)
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = rest.get(2..)?;
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
