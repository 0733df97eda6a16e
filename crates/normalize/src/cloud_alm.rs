//! Cloud ALM, Resource Changes API. The whole body is the data; it has neither an id nor a time.

use crate::{
    Error, Events, Request,
    made::{Made, Payload},
    object::Object,
};

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let body = request.body.clone();
    let object = Object::of_body(&body)?;
    let resource_type = object.required("resourceType")?;
    let event_type = object.required("eventType")?;
    let subscription = object.text("subscriptionId");
    let subscription = subscription.as_deref().unwrap_or(&request.application.name);
    let made = Made {
        id: None,
        source: request.source(subscription),
        r#type: format!("sap.calm.{resource_type}.{event_type}.v1").into(),
        subject: object.text("resourceId").map(|id| (&*id).into()),
        time: None,
        extensions: Vec::new(),
        payload: Payload::Json(body.clone()),
    };
    made.finish(request).map(Events::One)
}
