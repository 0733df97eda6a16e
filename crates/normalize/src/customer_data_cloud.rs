//! Customer Data Cloud (Gigya): a request holds several events of one site.

use bytes::Bytes;
use serde_json::value::RawValue;
use tidegate_event::Event;

use crate::{
    Error, Events, Request,
    made::{Made, Payload, extension},
    object::{Object, items},
};

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let body = request.body.clone();
    let object = Object::of_body(&body)?;
    let sent = object
        .get("events")
        .ok_or(Error::Member { name: "events" })?;
    let sent = items(sent)?;
    let events_max = request.batch_events_max;
    if sent.len() > events_max {
        return Err(Error::TooManyEvents { events_max });
    }
    let mut events = Vec::with_capacity(sent.len());
    for value in sent {
        events.push(event(value, request)?);
        request.repairs.event += 1;
    }
    Ok(Events::Batch(events))
}

fn event(value: &RawValue, request: &mut Request<'_>) -> Result<Event, Error> {
    let object = Object::of_value(value)?.ok_or(Error::Member { name: "events[]" })?;
    let r#type = object.required("type")?;
    let version = object.text("version");
    let major = version.as_deref().unwrap_or("1");
    let major = major.split('.').next().unwrap_or_default();
    let site = object.text("apiKey");
    let site = site.as_deref().unwrap_or(&request.application.name);
    let time = object.text("timestamp");
    let data = object.get("data");
    let subject = data.and_then(|data| Object::of_value(data).ok().flatten());
    let subject = subject.and_then(|data| data.text("uid"));
    let payload = data.map_or(Payload::Other(Bytes::new(), None), |data| {
        Payload::Json(request.body.slice_ref(data.get().as_bytes()))
    });
    let made = Made {
        id: object.text("id").map(|id| (&*id).into()),
        source: request.source(site),
        r#type: format!("sap.cdc.{}.v{major}", r#type).into(),
        subject: subject.map(|subject| (&*subject).into()),
        time: time.as_deref(),
        extensions: Vec::from_iter(extension("xsapcallid", object.text("callId"))),
        payload,
    };
    made.finish(request)
}
