//! SuccessFactors Intelligent Services: SOAP with one or more events, as JSON of strings.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use serde::Serialize;
use tidegate_event::{Event, Name, Value};

use crate::{
    Error, Events, Request, check_repeated,
    made::{Made, Payload, extension},
    xml::{Document, Forbidden, Node},
};

const NAMESPACE: &str = "http://notification.event.successfactors.com";

/// Whether a document is such a message.
pub(crate) fn is_one(document: &Document) -> bool {
    message(document).is_some()
}

/// The message, in a SOAP envelope or without one.
fn message(document: &Document) -> Option<Node<'_>> {
    let is_message =
        |node: &Node<'_>| node.local() == "ExternalEvent" && node.namespace() == NAMESPACE;
    let root = document.root();
    if is_message(&root) {
        return Some(root);
    }
    (root.local() == "Envelope").then_some(())?;
    root.child("Body")?.children().find(is_message)
}

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let content_type = request.headers.get(CONTENT_TYPE);
    let document = Document::read(&request.body, content_type, Forbidden::Refuse)?;
    let message = message(&document).ok_or(Error::Member {
        name: "ExternalEvent",
    })?;
    let meta = message.child("externalEventMeta").ok_or(Error::Member {
        name: "externalEventMeta",
    })?;
    let sent = message.child("events").into_iter();
    let sent: Vec<Node<'_>> = sent
        .flat_map(|events| events.children())
        .filter(|node| node.local() == "event")
        .collect();
    if sent.is_empty() {
        return Err(Error::Member { name: "event" });
    }
    let events_max = request.batch_events_max;
    if sent.len() > events_max {
        return Err(Error::TooManyEvents { events_max });
    }
    check_repeated(meta.outer().len(), sent.len())?;
    let mut events = Vec::with_capacity(sent.len());
    for (index, node) in sent.into_iter().enumerate() {
        request.repairs.event = index;
        events.push(event(&meta, &node, index, request)?);
    }
    Ok(Events::Batch(events))
}

fn event(
    meta: &Node<'_>,
    node: &Node<'_>,
    index: usize,
    request: &mut Request<'_>,
) -> Result<Event, Error> {
    let r#type = meta
        .child_word("type")
        .ok_or(Error::Member { name: "type" })?;
    let external_id = meta.child_word("externalEventId");
    let id = node.child_word("eventId").or_else(|| {
        let external_id = external_id.as_ref()?;
        Some(format!("{external_id}/{}", index + 1))
    });
    let keys = pairs(node.child("entityKeys"));
    let params = pairs(node.child("params"));
    let time = node.child_word("publishedAt");
    let time = time.or_else(|| meta.child_word("publishedAt"));
    let repost = node.child_word("repost");
    let repost = repost.or_else(|| meta.child_word("repost"));
    let repost = repost.map(|repost| {
        let again = repost == "1" || repost.eq_ignore_ascii_case("true");
        (Name::from_static("xsaprepost"), Value::Boolean(again))
    });
    let company = request.application.company.as_deref();
    let made = Made {
        id: id.map(Into::into),
        source: request.source(company.unwrap_or(&request.application.name)),
        r#type: r#type.into(),
        subject: subject(node, &keys).map(Into::into),
        time: time.as_deref(),
        extensions: extension("xsapexternaleventid", external_id)
            .into_iter()
            .chain(repost)
            .collect(),
        payload: Payload::Json(data(meta, node, &keys, &params)),
    };
    made.finish(request)
}

/// `<entityType>(key='value',…)`, as OData names an entity.
fn subject(node: &Node<'_>, keys: &Pairs<'_>) -> Option<String> {
    let entity = node.child_word("entityType")?;
    if keys.is_empty() {
        return Some(entity);
    }
    let keys: Vec<String> = keys
        .iter()
        .map(|(name, value)| format!("{name}='{}'", value.replace('\'', "''")))
        .collect();
    Some(format!("{entity}({})", keys.join(",")))
}

type Pairs<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// Names and values, sorted by name.
fn pairs(list: Option<Node<'_>>) -> Pairs<'_> {
    let entries = list.into_iter().flat_map(|list| list.children());
    entries
        .filter_map(|entry| {
            let name = entry.child_text("name")?;
            let value = entry.child("value").map(|value| value.text());
            Some((name, value.unwrap_or_default()))
        })
        .collect()
}

/// A member of the data. All values are strings: what they mean is the reader's to know.
#[derive(Serialize)]
#[serde(untagged)]
enum Member<'a> {
    Text(Cow<'a, str>),
    Pairs(&'a Pairs<'a>),
}

type Members<'a> = BTreeMap<&'a str, Member<'a>>;

fn data(meta: &Node<'_>, node: &Node<'_>, keys: &Pairs<'_>, params: &Pairs<'_>) -> Bytes {
    fn texts<'a>(node: &Node<'a>) -> Members<'a> {
        node.children()
            .filter(|child| child.children().next().is_none())
            .map(|child| (child.local(), Member::Text(child.text())))
            .collect()
    }
    let mut event = texts(node);
    event.insert("entityKeys", Member::Pairs(keys));
    event.insert("params", Member::Pairs(params));
    let data = BTreeMap::from([("externalEventMeta", texts(meta)), ("event", event)]);
    let json = serde_json::to_vec(&data).expect("text into memory cannot fail");
    json.into()
}
