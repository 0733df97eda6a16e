//! CloudEvents in all modes, also a structured one that is labelled as plain JSON: SAP brokers
//! send it so.

use http::header::CONTENT_TYPE;
use tidegate_application::Format;
use tidegate_event::{
    Data, Draft, Event,
    http::{Mode, mode, read_binary},
    is_json, json,
};

use crate::{Error, Events, Request, cloudevent_0_1, mend::mend, repair::Kind};

/// An event, mended where real systems err.
pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let found = request.binding.mode(request.headers).map_err(of_mode)?;
    match found.or_else(|| seen(request)) {
        Some(mode) => read_in(mode, request),
        None => Err(Error::NotAnEvent),
    }
}

/// An event that is taken or refused as it was sent, as Kyma's publisher does. And of each, where
/// it is JSON itself, whether its data was read as such.
pub(crate) fn read_as_sent(request: &mut Request<'_>) -> Result<(Events, Vec<bool>), Error> {
    let found = mode(request.headers)?;
    let found = found.or_else(|| seen(request).filter(|_| may_be_json(request)));
    let leniency = request.leniency;
    let body = request.body.clone();
    let repairs = &mut request.repairs;
    let mut read = Vec::new();
    let mut finish = |draft: Draft| {
        if found != Some(Mode::Binary) {
            // In 0.3 the data may be hidden in a string.
            let is_plain = draft.specversion.as_deref() == Some("1.0");
            read.push(is_plain && matches!(draft.data, Data::Json(_)));
        }
        if draft.specversion.as_deref() == Some("0.3") {
            repairs.add("specversion", Kind::VersionRaised("0.3"));
        }
        repairs.event += 1;
        draft.finish(leniency)
    };
    let events = match found {
        Some(Mode::Binary) => Events::One(finish(read_binary(request.headers, body)?)?),
        Some(Mode::Structured) => Events::One(finish(json::read(&body)?)?),
        Some(Mode::Batch) => Events::Batch(json::decode_batch_with(
            body,
            request.batch_events_max,
            finish,
        )?),
        // Kyma answers 400 to both.
        None => return Err(Error::NotAnEvent),
    };
    Ok((events, read))
}

fn read_in(mode: Mode, request: &mut Request<'_>) -> Result<Events, Error> {
    let body = request.body.clone();
    match mode {
        Mode::Binary => {
            let draft = request.binding.read_binary(request.headers, body)?;
            finish(draft, request).map(Events::One)
        }
        Mode::Structured => {
            let draft = json::read(&body)?;
            if cloudevent_0_1::names_version(&draft) && request.format == Format::CloudEvent {
                request.format = Format::CloudEvent01;
            }
            finish(draft, request).map(Events::One)
        }
        Mode::Batch => {
            let events_max = request.batch_events_max;
            let batch = json::decode_batch_with(body, events_max, |draft| {
                let event = judged(draft, request);
                request.repairs.event += 1;
                event
            })?;
            Ok(Events::Batch(batch))
        }
    }
}

/// The event of what a binding found.
pub(crate) fn finish(draft: Draft, request: &mut Request<'_>) -> Result<Event, Error> {
    judged(draft, request).map_err(Error::Event)
}

fn judged(mut draft: Draft, request: &mut Request<'_>) -> Result<Event, tidegate_event::Error> {
    cloudevent_0_1::raise(&mut draft, &mut request.repairs);
    mend(&mut draft, request);
    draft.finish(request.leniency)
}

/// Whether the request says that it carries events, or looks as if it did.
pub(crate) fn is_event(request: &Request<'_>) -> Result<bool, Error> {
    let found = request.binding.mode(request.headers).map_err(of_mode)?;
    Ok(found.or_else(|| seen(request)).is_some())
}

/// No CloudEvents content type and no `ce-specversion`: JSON that says itself that it is an
/// event. Brokers forward events under any content type.
fn seen(request: &Request<'_>) -> Option<Mode> {
    json::is_event(&request.body).then_some(Mode::Structured)
}

fn may_be_json(request: &Request<'_>) -> bool {
    request.headers.get(CONTENT_TYPE).is_none_or(|value| {
        let text = value.to_str();
        text.is_ok_and(|value| value.is_empty() || is_json(value))
    })
}

fn of_mode(error: tidegate_event::Error) -> Error {
    if let tidegate_event::Error::MediaType { value } = error {
        return Error::MediaType {
            content_type: value.to_string(),
        };
    }
    Error::Event(error)
}
