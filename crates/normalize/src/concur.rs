//! Concur Event Subscription Service v4. The whole body is the data: its readers know `facts`.

use bytestring::ByteString;

use crate::{
    Error, Events, Request,
    made::{Made, Payload, extension},
    object::Object,
};

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let body = request.body.clone();
    let object = Object::of_body(&body)?;
    let facts = object.object("facts")?;
    let topic = object.required("topic")?;
    let known = ["public.concur.", "concur."];
    let topic = known
        .iter()
        .find_map(|start| topic.strip_prefix(start))
        .unwrap_or(&topic);
    let event_type = object.required("eventType")?;
    let subject = ["reportId", "id", "provisionId", "userId"]
        .iter()
        .find_map(|name| facts.text(name))
        .or_else(|| object.text("subtopic"));
    let company = facts.text("companyId");
    let company = company
        .as_deref()
        .or(request.application.company.as_deref())
        .unwrap_or(&request.application.name);
    let time = object.text("timeStamp");
    let made = Made {
        id: object.text("id").map(|id| (&*id).into()),
        source: request.source(company),
        r#type: ByteString::from(format!("sap.concur.{topic}.{event_type}.v4")),
        subject: subject.map(|subject| (&*subject).into()),
        time: time.as_deref(),
        extensions: Vec::from_iter(extension("xsapcorrelationid", object.text("correlationId"))),
        payload: Payload::Json(body.clone()),
    };
    made.finish(request).map(Events::One)
}
