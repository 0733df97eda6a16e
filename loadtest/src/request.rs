//! Requests as bytes, written once: only the digits that differ are put in place each time.

use std::net::SocketAddr;

use anyhow::{Context, ensure};
use clap::ValueEnum;

use crate::payload::{self, Payload};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Attributes as headers
    Binary,
    /// One JSON document
    Structured,
    /// A JSON array of events
    Batch,
    /// Kyma's legacy format; the door is /{application}/v1/events
    Legacy,
    /// A sales order as S/4HANA sends it through Event Mesh, one JSON document
    Sap,
}

impl Mode {
    pub(crate) fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// What the events are like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) mode: Mode,
    pub(crate) payload: Payload,
    pub(crate) bytes: usize,
    /// Events of a batch.
    pub(crate) batch: usize,
    /// Of so many types, one after the other.
    pub(crate) types: u32,
    /// Whether each says when it was to be sent: `loadtime`, in microseconds.
    pub(crate) is_timed: bool,
}

/// Stands for an id in a template: `RRRRRRRR-CCCC-4000-8000-NNNNNNNNNNNN`, the run, the connection
/// and the event's number.
const ID: &str = "@id@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@";

/// Where the number begins in an id, and its digits.
const NUMBER_AT: usize = 24;
const NUMBER_DIGITS: usize = 12;

/// Stands for the time at which it is to be sent.
const TIME: &str = "@time@@@@@@@@@@@";

/// Stands for the number of a type.
const TYPE: &str = "@typ@";

/// One request, and where what differs stands in it.
#[derive(Clone, Debug)]
struct Template {
    bytes: Vec<u8>,
    ids: Vec<usize>,
    times: Vec<usize>,
    types: Vec<usize>,
    events: u64,
}

/// Where to, and what.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    templates: Vec<Template>,
    order: Vec<usize>,
    types: u32,
}

/// The requests of one connection.
#[derive(Debug)]
pub(crate) struct Requests {
    templates: Vec<Template>,
    order: Vec<usize>,
    at: usize,
    number: u64,
    types: u64,
    /// Where this connection begins among the types.
    type_first: u64,
}

impl Target {
    pub(crate) fn new(url: &str, shape: &Shape) -> anyhow::Result<Self> {
        let rest = url.strip_prefix("http://");
        let rest = rest.with_context(|| format!("{url} must begin with http://"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address = host.parse();
        let address = address.with_context(|| format!("{url}: {host} must be ip:port"))?;
        ensure!(
            (1..=99_999).contains(&shape.types),
            "1 to 99999 types are possible"
        );
        let order = payload::order(shape.payload);
        let templates = match shape.mode {
            // A batch has the mix within itself.
            Mode::Batch => vec![batch(host, path, shape, &order)],
            Mode::Binary | Mode::Structured | Mode::Legacy | Mode::Sap => {
                payload::sizes(shape.payload, shape.bytes)
                    .into_iter()
                    .map(|bytes| single(host, path, shape, bytes))
                    .collect()
            }
        };
        let order = if templates.len() == 1 { vec![0] } else { order };
        Ok(Self {
            address,
            templates,
            order,
            types: shape.types,
        })
    }

    /// Events of a request.
    pub(crate) fn events(&self) -> u64 {
        self.templates.first().map_or(1, |template| template.events)
    }

    /// The requests of one connection of a run; ids of different runs differ, or they would be
    /// duplicates.
    pub(crate) fn requests(&self, run: u32, connection: usize) -> Requests {
        let mut templates = self.templates.clone();
        for template in &mut templates {
            let prefix = format!("{run:08x}-{:04x}-4000-8000-", connection & 0xffff);
            for at in &template.ids {
                put(&mut template.bytes, *at, prefix.as_bytes());
            }
        }
        Requests {
            templates,
            order: self.order.clone(),
            // Not all connections send the same size at once.
            at: connection,
            number: 0,
            types: self.types.into(),
            type_first: connection as u64,
        }
    }
}

impl Requests {
    /// The next one and how many events it has; `scheduled` is in microseconds since 1970.
    pub(crate) fn next(&mut self, scheduled: u64) -> (&[u8], u64) {
        let place = self.order.get(self.at % self.order.len()).copied();
        self.at = self.at.wrapping_add(1);
        let Some(template) = self.templates.get_mut(place.unwrap_or(0)) else {
            return (&[], 0);
        };
        let first = self.number;
        for at in &template.ids {
            digits(
                &mut template.bytes,
                at + NUMBER_AT,
                NUMBER_DIGITS,
                self.number,
            );
            self.number += 1;
        }
        for (number, at) in (first..).zip(&template.types) {
            let number = (number + self.type_first) % self.types;
            digits(&mut template.bytes, *at, TYPE.len(), number);
        }
        for at in &template.times {
            digits(&mut template.bytes, *at, TIME.len(), scheduled);
        }
        (&template.bytes, template.events)
    }
}

fn put(bytes: &mut [u8], at: usize, text: &[u8]) {
    if let Some(room) = bytes.get_mut(at..at + text.len()) {
        room.copy_from_slice(text);
    }
}

/// A number of so many digits, with zeros before it.
fn digits(bytes: &mut [u8], at: usize, count: usize, mut number: u64) {
    for place in bytes
        .get_mut(at..at + count)
        .unwrap_or_default()
        .iter_mut()
        .rev()
    {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
}

fn single(host: &str, path: &str, shape: &Shape, bytes: usize) -> Template {
    let data = data(shape, bytes);
    let (headers, body) = match shape.mode {
        Mode::Binary => {
            let time = if shape.is_timed {
                format!("ce-loadtime: {TIME}\r\n")
            } else {
                String::new()
            };
            let headers = format!(
                "ce-specversion: 1.0\r\nce-id: {ID}\r\nce-source: loadtest\r\nce-type: {}\r\n{time}\
                 content-type: application/json\r\n",
                r#type(shape)
            );
            (headers, data)
        }
        Mode::Legacy => {
            let body = format!(
                "{{\"event-type\":\"{}\",\"event-type-version\":\"v1\",\"event-id\":\"{ID}\",\
                 \"event-time\":\"2026-09-14T09:31:05.500+02:00\",\"data\":{data}}}",
                legacy_type(shape)
            );
            ("content-type: application/json\r\n".to_owned(), body)
        }
        Mode::Structured | Mode::Batch | Mode::Sap => {
            let headers = "content-type: application/cloudevents+json\r\n".to_owned();
            (headers, document(shape, &data))
        }
    };
    template(host, path, &headers, &body, 1)
}

fn batch(host: &str, path: &str, shape: &Shape, order: &[usize]) -> Template {
    let sizes = payload::sizes(shape.payload, shape.bytes);
    let sizes = order.iter().filter_map(|size| sizes.get(*size)).cycle();
    let events = sizes
        .take(shape.batch)
        .map(|bytes| document(shape, &data(shape, *bytes)));
    let events: Vec<String> = events.collect();
    let body = format!("[{}]", events.join(","));
    let headers = "content-type: application/cloudevents-batch+json\r\n";
    template(host, path, headers, &body, events.len() as u64)
}

fn template(host: &str, path: &str, headers: &str, body: &str, events: u64) -> Template {
    let text = format!(
        "POST /{path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let places = |of: &str| text.match_indices(of).map(|(at, _)| at).collect();
    Template {
        ids: places(ID),
        times: places(TIME),
        types: places(TYPE),
        events,
        bytes: text.into_bytes(),
    }
}

fn document(shape: &Shape, data: &str) -> String {
    let time = if shape.is_timed {
        format!("\"loadtime\":\"{TIME}\",")
    } else {
        String::new()
    };
    match shape.mode {
        Mode::Sap => format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{ID}\",\"source\":\"/default/sap.s4.beh/QE4CLNT200\",\
             \"type\":\"sap.s4.beh.salesorder.v1.SalesOrder.Changed.v1\",\
             \"time\":\"2026-09-14T07:31:05Z\",{time}\"datacontenttype\":\"application/json\",\
             \"data\":{data}}}"
        ),
        Mode::Binary | Mode::Structured | Mode::Batch | Mode::Legacy => format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{ID}\",\"source\":\"loadtest\",\"type\":\"{}\",{time}\
             \"datacontenttype\":\"application/json\",\"data\":{data}}}",
            r#type(shape)
        ),
    }
}

fn data(shape: &Shape, bytes: usize) -> String {
    match (shape.mode, shape.payload) {
        (Mode::Sap, _) | (_, Payload::Mix) => payload::sales_order(bytes),
        (_, Payload::Uniform) => payload::plain(bytes),
    }
}

/// The type of events that have but one.
pub(crate) const DRIVEN: &str = "load.driven.v1";

/// The type of this number where there are several.
pub(crate) fn numbered(number: u32) -> String {
    format!("load.driven.t{number:05}.v1")
}

fn r#type(shape: &Shape) -> String {
    if shape.types == 1 {
        DRIVEN.to_owned()
    } else {
        format!("load.driven.t{TYPE}.v1")
    }
}

/// Without its version, which the legacy format has apart.
fn legacy_type(shape: &Shape) -> String {
    r#type(shape).trim_end_matches(".v1").to_owned()
}

#[cfg(test)]
mod tests;
