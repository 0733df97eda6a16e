//! BTP Alert Notification. The whole body is the data.

use crate::{
    Error, Events, Request,
    made::{Made, Payload, extension},
    object::Object,
};

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let body = request.body.clone();
    let object = Object::of_body(&body)?;
    let event_type = object.required("eventType")?;
    let region = object.text("region");
    let region = region.as_deref().unwrap_or("default");
    let time = object.text("eventTimestamp");
    let subject = object.object("resource")?.text("resourceName");
    let correlation = object.object("tags")?.text("ans:correlationId");
    let made = Made {
        id: object.text("id").map(|id| (&*id).into()),
        source: request.source_in(region, &request.application.name),
        r#type: format!("sap.ans.{event_type}.v1").into(),
        subject: subject.map(|subject| (&*subject).into()),
        time: time.as_deref(),
        extensions: extension("xsapseverity", object.text("severity"))
            .into_iter()
            .chain(extension("xsapcorrelationid", correlation))
            .collect(),
        payload: Payload::Json(body.clone()),
    };
    made.finish(request).map(Events::One)
}
