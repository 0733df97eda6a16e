//! Bytes and headers of a source format to CloudEvents: one module per format, pure functions.
//!
//! What is wrong is said here; which HTTP answer that becomes is not. Who may send what is asked
//! elsewhere.

mod alert_notification;
mod cloud_alm;
mod cloudevent;
mod cloudevent_0_1;
mod concur;
mod config;
mod customer_data_cloud;
mod cxml;
mod depth;
mod detect;
mod error;
mod event_hub;
mod event_mesh;
mod generic;
mod identity;
mod idoc;
mod kafka_record;
mod kyma;
mod leanix;
pub mod legacy;
mod made;
mod mend;
mod object;
mod repair;
mod secrets;
mod source;
mod stamp;
mod successfactors;
mod time;
mod trace;
mod xml;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use jiff::Timestamp;
use tidegate_application::{Application, Format};
use tidegate_event::{
    Draft, Event, Leniency,
    http::{self as http_binding, Mode},
    is_json, json, kafka,
};

pub use config::Config;
pub use error::Error;
pub use repair::{Kind as RepairKind, Repair};

/// How to read a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// CloudEvents as Kyma's publisher takes them, with what it refuses; nothing is mended.
    Publish,
    /// This format.
    As(Format),
    /// The Application's own format; without one, what the request looks like.
    Seen,
    /// A Kafka record, whose headers are those of the request: this format, or as [`Self::Seen`].
    Record(Option<Format>),
}

/// How headers carry attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binding {
    Http,
    Kafka,
}

/// What came in.
#[derive(Debug)]
pub struct Input<'a> {
    /// How to read it.
    pub reading: Reading,
    /// Whose it is, with the settings of its formats.
    pub application: &'a Application,
    /// Whether the sender has proved to be that Application; its events then say so.
    pub proven: bool,
    /// The request's headers.
    pub headers: &'a HeaderMap,
    /// The request's body.
    pub body: Bytes,
    /// The topic or queue of the path, percent-decoded, where there is one.
    pub topic: Option<&'a str>,
    /// What tells it from all others, where the carrier has it: the id of an event that has none.
    pub place: Option<&'a str>,
    /// Most events of a request.
    pub batch_events_max: usize,
    /// When it came in.
    pub received_at: Timestamp,
}

/// What a request holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Normalized {
    /// The format that it was read in.
    pub format: Format,
    /// Its events, in order.
    pub events: Events,
    /// What had to be mended, and what was left out.
    pub repairs: Vec<Repair>,
}

/// The events of a request, in order.
#[expect(
    clippy::large_enum_variant,
    reason = "one event is the rule, and a box would cost it"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Events {
    /// One event.
    One(Event),
    /// Several, or none.
    Batch(Vec<Event>),
}

/// A request on its way through a format.
struct Request<'a> {
    application: &'a Application,
    format: Format,
    headers: &'a HeaderMap,
    body: Bytes,
    topic: Option<&'a str>,
    place: Option<&'a str>,
    /// How many events were made that have no id of their own.
    unnamed: usize,
    binding: Binding,
    leniency: Leniency,
    batch_events_max: usize,
    repairs: repair::Repairs,
}

/// Reads a request.
pub fn normalize(mut input: Input<'_>) -> Result<Normalized, Error> {
    if may_be_marked(&input) {
        input.body = without_mark(input.body);
    }
    let format = match input.reading {
        Reading::Publish => Format::CloudEvent,
        Reading::As(format) | Reading::Record(Some(format)) => format,
        Reading::Seen | Reading::Record(None) => detect::format(&input)?,
    };
    if is_json_text(format, &input) {
        depth::check(&input.body)?;
    }
    let mut request = Request {
        application: input.application,
        format,
        headers: input.headers,
        body: input.body,
        topic: input.topic,
        place: input.place,
        unnamed: 0,
        binding: input.reading.binding(),
        leniency: input.application.extension_names,
        batch_events_max: input.batch_events_max,
        repairs: repair::Repairs::default(),
    };
    let mut events = if input.reading == Reading::Publish {
        let (events, read) = cloudevent::read_as_sent(&mut request)?;
        let is_json = |at| read.get(at).copied().unwrap_or(false);
        for (at, event) in events.as_slice().iter().enumerate() {
            kyma::check(event, is_json(at))?;
        }
        events
    } else {
        read(&mut request)?
    };
    // What was read may have turned out to be of a more precise format.
    let format = request.format;
    if trace::is_present(input.headers, format) {
        for event in events.as_mut_slice() {
            trace::take(input.headers, format, event);
        }
    }
    let app = input.proven.then_some(&*input.application.name);
    for (index, event) in events.as_mut_slice().iter_mut().enumerate() {
        let repairs = &request.repairs;
        stamp::stamp(event, index, app, format, input.received_at, repairs);
    }
    Ok(Normalized {
        format,
        events,
        repairs: request.repairs.found,
    })
}

/// Whether the body is read as JSON, or by those who get the event.
fn is_json_text(format: Format, input: &Input<'_>) -> bool {
    match format {
        Format::CloudEvent
        | Format::EventHub
        | Format::EventMeshWebhook
        | Format::EventMeshRest
        | Format::EventMeshEventsApi
        | Format::KafkaRecord => {
            let content_type = input.headers.get(CONTENT_TYPE);
            content_type.is_none_or(|value| value.to_str().is_ok_and(is_json))
                || !is_binary(input)
                    && (json::is_event(&input.body) || cloudevent_0_1::is_one(&input.body))
        }
        Format::CloudEvent01
        | Format::Concur
        | Format::CustomerDataCloud
        | Format::AlertNotification
        | Format::CloudAlm
        | Format::LeanIx
        | Format::GenericJson => true,
        // Kyma's own format has a limit of its own, in the words of Kyma's publisher.
        Format::KymaLegacy
        | Format::SuccessFactors
        | Format::Idoc
        | Format::Cxml
        | Format::GenericXml => false,
    }
}

/// Most bytes that the events of one request may repeat of it. Known systems repeat some hundreds
/// in each of up to a hundred events.
const REPEATED_BYTES_MAX: usize = 4 << 20;

/// `Err` where each of so many events repeats so much that a small request would become a large
/// one.
fn check_repeated(bytes: usize, events: usize) -> Result<(), Error> {
    if bytes.saturating_mul(events) > REPEATED_BYTES_MAX {
        return Err(Error::RepeatsTooMuch {
            events,
            bytes,
            bytes_max: REPEATED_BYTES_MAX,
        });
    }
    Ok(())
}

fn is_binary(input: &Input<'_>) -> bool {
    let mode = input.reading.binding().mode(input.headers);
    matches!(mode, Ok(Some(Mode::Binary)))
}

impl Reading {
    fn binding(self) -> Binding {
        match self {
            Self::Record(_) => Binding::Kafka,
            Self::Publish | Self::As(_) | Self::Seen => Binding::Http,
        }
    }
}

impl Binding {
    /// The mode of an event, where the headers say that there is one.
    fn mode(self, headers: &HeaderMap) -> Result<Option<Mode>, tidegate_event::Error> {
        match self {
            Self::Http => http_binding::mode(headers),
            Self::Kafka => kafka::mode(of_record(headers)),
        }
    }

    /// What an event in binary mode says.
    fn read_binary(self, headers: &HeaderMap, body: Bytes) -> Result<Draft, tidegate_event::Error> {
        match self {
            Self::Http => http_binding::read_binary(headers, body),
            Self::Kafka => kafka::read_binary(of_record(headers), Some(body)),
        }
    }
}

fn of_record(headers: &HeaderMap) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), Some(value.as_bytes())))
}

/// Whether a byte order mark before JSON is no part of what is sent. Kyma's doors refuse it, and
/// the data of an event is never touched.
fn may_be_marked(input: &Input<'_>) -> bool {
    match input.reading {
        Reading::Publish | Reading::As(Format::KymaLegacy) => false,
        Reading::As(_) | Reading::Seen | Reading::Record(_) => !is_binary(input),
    }
}

/// JSON without a byte order mark, anything else as it is.
fn without_mark(body: Bytes) -> Bytes {
    match body.strip_prefix(b"\xef\xbb\xbf") {
        Some(text) if matches!(text.trim_ascii_start().first(), Some(b'{' | b'[')) => {
            body.slice_ref(text)
        }
        _ => body,
    }
}

fn read(request: &mut Request<'_>) -> Result<Events, Error> {
    match request.format {
        Format::CloudEvent => cloudevent::read(request),
        Format::CloudEvent01 => cloudevent_0_1::read(request),
        Format::EventHub => event_hub::read(request),
        Format::EventMeshWebhook => event_mesh::read_web_hook(request),
        Format::EventMeshRest => event_mesh::read_rest(request),
        Format::EventMeshEventsApi => event_mesh::read_events_api(request),
        Format::KymaLegacy => {
            legacy::read(&request.application.name, &request.body).map(Events::One)
        }
        Format::SuccessFactors => successfactors::read(request),
        Format::Concur => concur::read(request),
        Format::CustomerDataCloud => customer_data_cloud::read(request),
        Format::AlertNotification => alert_notification::read(request),
        Format::CloudAlm => cloud_alm::read(request),
        Format::LeanIx => leanix::read(request),
        Format::Idoc => idoc::read(request),
        Format::Cxml => cxml::read(request),
        Format::KafkaRecord => kafka_record::read(request),
        Format::GenericJson => generic::read_json(request),
        Format::GenericXml => generic::read_xml(request),
    }
}

impl Events {
    /// The events.
    pub fn as_slice(&self) -> &[Event] {
        match self {
            Self::One(event) => std::slice::from_ref(event),
            Self::Batch(events) => events,
        }
    }

    /// All of them.
    pub fn into_vec(self) -> Vec<Event> {
        match self {
            Self::One(event) => vec![event],
            Self::Batch(events) => events,
        }
    }

    /// All of them, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [Event] {
        match self {
            Self::One(event) => std::slice::from_mut(event),
            Self::Batch(events) => events,
        }
    }
}
