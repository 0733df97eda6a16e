//! Any bytes in any format: a documented refusal, or valid events that survive the way to a sink.

use std::sync::LazyLock;

use jiff::Timestamp;
use tidegate_application::{Application, Format};
use tidegate_event::validate;
use tidegate_normalize::{Error, Input, Normalized, Reading, normalize};

use crate::{Request, applications, codec};

/// Most events of a request.
const BATCH_EVENTS_MAX: usize = 20;

/// A request of the format of this name.
pub fn format(name: &str, input: &[u8]) {
    static FORMATS: LazyLock<Vec<(Format, [Application; 2])>> = LazyLock::new(|| {
        let formats = Format::ALL.into_iter();
        formats
            .map(|format| (format, applications::of(Some(format))))
            .collect()
    });
    let mut formats = FORMATS.iter();
    let found = formats.find(|(format, _)| format.name() == name);
    let (format, applications) = found.expect("a target names a format");
    read(Reading::As(*format), applications, input);
}

/// How many events a request of the format of this name is.
pub fn events(name: &str, input: &[u8]) -> Result<usize, Error> {
    let mut formats = Format::ALL.into_iter();
    let format = formats.find(|format| format.name() == name);
    let [_, set] = applications::of(format);
    let reading = format.map_or(Reading::Seen, Reading::As);
    let normalized = once(reading, &set, &Request::read(input))?;
    Ok(normalized.events.as_slice().len())
}

/// A request that says itself what it is.
pub fn detect(input: &[u8]) {
    read(Reading::Seen, UNTOLD.as_slice(), input);
}

/// A request as Kyma's publisher takes them.
pub fn publish(input: &[u8]) {
    read(Reading::Publish, UNTOLD.as_slice(), input);
}

static UNTOLD: LazyLock<[Application; 2]> = LazyLock::new(|| applications::of(None));

fn read(reading: Reading, applications: &[Application], input: &[u8]) {
    let request = Request::read(input);
    for application in applications {
        let first = once(reading, application, &request);
        let again = once(reading, application, &request);
        match (first, again) {
            (Ok(first), Ok(again)) => judge(&first, &again, application),
            (Err(first), Err(again)) => {
                assert_eq!(first.code(), again.code(), "a refusal has one code");
                assert!(!first.code().is_empty());
                assert!(!first.to_string().is_empty());
            }
            (first, again) => unreachable!("taken once, refused once: {first:?}, {again:?}"),
        }
    }
}

fn once(
    reading: Reading,
    application: &Application,
    request: &Request,
) -> Result<Normalized, Error> {
    normalize(Input {
        reading,
        application,
        proven: true,
        headers: &request.headers,
        body: request.body.clone(),
        topic: request.topic.as_deref(),
        place: None,
        batch_events_max: BATCH_EVENTS_MAX,
        received_at: Timestamp::UNIX_EPOCH,
    })
}

fn judge(first: &Normalized, again: &Normalized, application: &Application) {
    let (events, others) = (first.events.as_slice(), again.events.as_slice());
    assert!(events.len() <= BATCH_EVENTS_MAX, "{} events", events.len());
    assert_eq!(
        events.len(),
        others.len(),
        "the same request, the same events"
    );
    for (event, other) in events.iter().zip(others) {
        assert_eq!(validate(event), Ok(()));
        // What nothing tells from another has a fresh id, unless the Application wants otherwise.
        if application.content_dedup {
            assert_eq!(event.id, other.id, "a repeated request has the same ids");
        }
        assert_eq!(event.data, other.data);
        assert!(event.extensions.get("ingressapp").is_some(), "who sent it");
        codec::survives(event);
    }
}
