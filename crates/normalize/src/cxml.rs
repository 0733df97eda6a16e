//! cXML of Ariba and the Business Network. The shared secret that every document carries is
//! blanked before anything is kept.

use http::header::CONTENT_TYPE;

use crate::{
    Error, Events, Request,
    made::{Made, Payload},
    secrets,
    xml::{Document, Forbidden, Node},
};

/// Whether a document is such a one.
pub(crate) fn is_one(document: &Document) -> bool {
    document.root().local() == "cXML"
}

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let content_type = request.headers.get(CONTENT_TYPE);
    let document = Document::read(&request.body, content_type, Forbidden::Refuse)?;
    if !is_one(&document) {
        return Err(Error::Member { name: "cXML" });
    }
    let root = document.root();
    let id = root.attribute("payloadID").filter(|id| !id.is_empty());
    let kind = ["Request", "Message", "Response"]
        .iter()
        .find_map(|name| root.child(name))
        .ok_or(Error::Member { name: "Request" })?;
    let content = kind.children().find(|child| child.local() != "Status");
    let content = content.unwrap_or(kind);
    let from = root
        .child("Header")
        .and_then(|header| header.child("From"))
        .and_then(|from| from.child("Credential"))
        .and_then(|credential| credential.child_text("Identity"));
    let from = from
        .as_deref()
        .map(str::trim)
        .filter(|from| !from.is_empty());
    let time = root.attribute("timestamp");
    let made = Made {
        id: id.map(Into::into),
        source: request.source(from.unwrap_or(&request.application.name)),
        r#type: format!("sap.ariba.cxml.{}", content.local()).into(),
        subject: subject(&content).map(Into::into),
        time: time.as_deref(),
        extensions: Vec::new(),
        payload: Payload::Xml(secrets::without(root, &mut request.repairs)),
    };
    made.finish(request).map(Events::One)
}

/// The order that the header of a request names.
fn subject(content: &Node<'_>) -> Option<String> {
    content
        .children()
        .filter(|child| child.local().ends_with("Header"))
        .find_map(|header| header.attribute("orderID"))
}
