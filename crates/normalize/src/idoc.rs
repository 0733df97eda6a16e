//! IDocs over HTTP, plain or in SOAP, one or many of one message type.

use bytestring::ByteString;
use http::header::CONTENT_TYPE;
use tidegate_event::Event;

use crate::{
    Error, Events, Request, check_repeated,
    made::{Made, Payload, extension},
    repair::Kind,
    time,
    xml::{Document, Forbidden, Node},
};

/// Names of the control record, the newer one first.
const CONTROL: [&str; 2] = ["EDI_DC40", "EDI_DC"];

/// Whether a document holds IDocs.
pub(crate) fn is_one(document: &Document) -> bool {
    around(document).is_some()
}

/// The element around the IDocs: the root, or the first in a SOAP body.
fn around(document: &Document) -> Option<Node<'_>> {
    let root = document.root();
    let around = if root.local() == "Envelope" {
        root.child("Body")?.children().next()?
    } else {
        root
    };
    around.child("IDOC").map(|_| around)
}

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let content_type = request.headers.get(CONTENT_TYPE);
    let document = Document::read(&request.body, content_type, Forbidden::Replace)?;
    let around = around(&document).ok_or(Error::Member { name: "IDOC" })?;
    let sent = || around.children().filter(|node| node.local() == "IDOC");
    let count = sent().count();
    let events_max = request.batch_events_max;
    if count > events_max {
        return Err(Error::TooManyEvents { events_max });
    }
    let (start, end) = (around.declared_start_tag(), around.end_tag());
    check_repeated(start.len() + end.len(), count)?;
    let mut events = Vec::with_capacity(count);
    for (index, node) in sent().enumerate() {
        request.repairs.event = index;
        if document.replaced {
            request.repairs.add("data", Kind::CharactersReplaced);
        }
        let xml = if count == 1 {
            around.standing_alone()
        } else {
            format!("{start}{}{end}", node.outer()).into()
        };
        events.push(event(&node, xml, request)?);
    }
    Ok(Events::Batch(events))
}

fn event(node: &Node<'_>, xml: ByteString, request: &mut Request<'_>) -> Result<Event, Error> {
    let control = CONTROL.iter().find_map(|name| node.child(name));
    let control = control.ok_or(Error::Member { name: "EDI_DC40" })?;
    let field = |name: &str| {
        let text = control.child_text(name)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let required = |name: &'static str| field(name).ok_or(Error::Member { name });
    let (message_type, idoc_type) = (required("MESTYP")?, required("IDOCTYP")?);
    let extension_type = field("CIMTYP");
    let suffix = extension_type.iter().map(|suffix| format!(".{suffix}"));
    let suffix: String = suffix.collect();
    let number = field("DOCNUM");
    let client = field("MANDT");
    let id = client.zip(number.as_ref());
    let id = id.map(|(client, number)| format!("{client}-{number}"));
    let (date, at) = (field("CREDAT"), field("CRETIM"));
    let time = match (&date, &at) {
        (Some(date), Some(at)) => {
            let time = time::local(date, at, &request.application.time_zone);
            if time.is_none() {
                request.repairs.add("time", Kind::TimeUnreadable);
            }
            time
        }
        (_, _) => None,
    };
    let told_apart = time.is_some() || number.is_some() || field("SERIAL").is_some();
    let sender = field("SNDPRN");
    let sender = sender.as_deref().unwrap_or(&request.application.name);
    let made = Made {
        id: id.map(Into::into),
        source: request.source(sender),
        r#type: format!("sap.erp.idoc.{message_type}.{idoc_type}{suffix}").into(),
        subject: number.map(Into::into),
        time: None,
        extensions: extension("xsapmestyp", Some(message_type))
            .into_iter()
            .chain(extension("xsapidoctyp", Some(idoc_type)))
            .chain(extension("xsapcimtyp", extension_type))
            .chain(extension("partitionkey", field("ARCKEY")))
            .collect(),
        payload: Payload::Xml(xml),
    };
    made.finish_at(time, told_apart, request)
}
