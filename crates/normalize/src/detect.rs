//! Which format a request is in, where neither its path nor its Application says it.

use http::header::CONTENT_TYPE;
use tidegate_application::Format;
use tidegate_event::json;

use crate::{
    Binding, Error, Input, cloudevent_0_1, cxml, idoc, kafka_record, successfactors,
    xml::{Document, Forbidden},
};

/// What is configured, what the headers say, what the body looks like: in this order.
pub(crate) fn format(input: &Input<'_>) -> Result<Format, Error> {
    if let Some(format) = input.application.format {
        return Ok(format);
    }
    // A media type of CloudEvents that is not understood is refused where it is read.
    let binding = input.reading.binding();
    if !matches!(binding.mode(input.headers), Ok(None)) {
        return Ok(Format::CloudEvent);
    }
    if binding == Binding::Kafka && kafka_record::is_one(input.headers) {
        return Ok(Format::KafkaRecord);
    }
    let body = input.body.trim_ascii_start();
    match body.first() {
        Some(b'{') if cloudevent_0_1::is_one(body) => Ok(Format::CloudEvent01),
        Some(b'{') if json::is_event(body) => Ok(Format::CloudEvent),
        Some(b'{' | b'[') => Ok(by_mapping(input, Format::GenericJson)),
        Some(b'<' | 0xef | 0xfe | 0xff) => {
            let found = of_xml(input)?;
            Ok(found.unwrap_or_else(|| by_mapping(input, Format::GenericXml)))
        }
        _ => Ok(Format::CloudEvent),
    }
}

/// The Application's mapping, if it has one; else it is to be an event, and is refused as none.
fn by_mapping(input: &Input<'_>, format: Format) -> Format {
    if input.application.mapping.is_some() {
        format
    } else {
        Format::CloudEvent
    }
}

fn of_xml(input: &Input<'_>) -> Result<Option<Format>, Error> {
    let content_type = input.headers.get(CONTENT_TYPE);
    let document = Document::read(&input.body, content_type, Forbidden::Replace)?;
    let formats = [
        (Format::SuccessFactors, successfactors::is_one(&document)),
        (Format::Idoc, idoc::is_one(&document)),
        (Format::Cxml, cxml::is_one(&document)),
    ];
    let found = formats.into_iter().find(|(_, is_one)| *is_one);
    Ok(found.map(|(format, _)| format))
}
