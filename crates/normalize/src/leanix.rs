//! LeanIX web hooks. The whole body is the data. A customer may let LeanIX rewrite the payload, so
//! a shape that is not known here goes to the Application's mapping.

use tidegate_application::Format;
use tidegate_event::{Name, Value};

use crate::{
    Error, Events, Request, generic,
    made::{Made, Payload, SEQUENCE},
    object::Object,
};

/// Digits of a sequence number, so that its text sorts as its number does.
const SEQUENCE_DIGITS: usize = 19;

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let body = request.body.clone();
    let object = Object::of_body(&body);
    let known = object.as_ref().is_ok_and(|object| {
        let mut names = ["type", "workspaceId"].iter();
        names.all(|name| object.text(name).is_some())
    });
    if !known && request.application.mapping.is_some() {
        request.format = Format::GenericJson;
        return generic::read_json(request);
    }
    let object = object?;
    let r#type = object.required("type")?;
    let workspace = object.required("workspaceId")?;
    let subject = object.object("factSheet")?.text("id");
    let time = object.text("createdAt");
    let sequence = object.text("transactionSequenceNumber");
    let sequence = sequence.map(|sequence| {
        let text = format!("{sequence:0>SEQUENCE_DIGITS$}");
        (Name::from_static(SEQUENCE), Value::String(text.into()))
    });
    let made = Made {
        id: object.text("id").map(|id| (&*id).into()),
        source: request.source(&workspace),
        r#type: format!("sap.leanix.{}.v1", r#type).into(),
        subject: subject.map(|subject| (&*subject).into()),
        time: time.as_deref(),
        extensions: Vec::from_iter(sequence),
        payload: Payload::Json(body.clone()),
    };
    made.finish(request).map(Events::One)
}
