//! Any XML: paths are `/root/child[2]/@attribute`, names without prefixes.

use http::header::CONTENT_TYPE;

use crate::{
    Error, Events, Request, generic,
    made::Payload,
    secrets,
    xml::{Document, Forbidden, Node},
};

pub(crate) fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    let Some(mapping) = request.application.mapping.as_ref() else {
        return Err(Error::NotAnEvent);
    };
    let content_type = request.headers.get(CONTENT_TYPE);
    let document = Document::read(&request.body, content_type, Forbidden::Refuse)?;
    let root = document.root();
    let data = match &mapping.data {
        None => root,
        Some(path) => element(root, path).ok_or(Error::Mapping { attribute: "data" })?,
    };
    let payload = Payload::Xml(secrets::without(data, &mut request.repairs));
    let find = |path: &str| value(root, path);
    generic::event(mapping, payload, request, find).map(Events::One)
}

/// The text of the element, or the value of the attribute, at a path.
fn value(root: Node<'_>, path: &str) -> Option<String> {
    let path = path.strip_suffix("/text()").unwrap_or(path);
    match path.rsplit_once("/@") {
        Some((path, attribute)) => element(root, path)?.attribute(attribute),
        None => Some(element(root, path)?.text().trim().to_owned()),
    }
}

fn element<'a>(root: Node<'a>, path: &str) -> Option<Node<'a>> {
    let mut steps = path.strip_prefix('/')?.split('/').map(step);
    let (name, place) = steps.next()??;
    (root.local() == name && place == 1).then_some(())?;
    steps.try_fold(root, |node, step| {
        let (name, place) = step?;
        let mut named = node.children().filter(|child| child.local() == name);
        named.nth(place - 1)
    })
}

/// A name, and which of the elements of that name, from 1.
fn step(text: &str) -> Option<(&str, usize)> {
    match text.split_once('[') {
        None => Some((text, 1)),
        Some((name, place)) => {
            let place = place.strip_suffix(']')?.parse().ok()?;
            (place > 0).then_some((name, place))
        }
    }
}
