//! The spans of a request at a door: that it was received, and that each of its events was
//! published.

use bytestring::ByteString;
use http::HeaderMap;
use tidegate_backbone::Stored;
use tidegate_event::{Event, TraceContext};
use tidegate_receive::{Door, Refusal};
use tidegate_telemetry::{
    spans::{Begun, Kind, Moment, Tracer, Value, What},
    trace,
};

/// A request that has begun, where spans are recorded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traced {
    door: Door,
    moment: Moment,
    /// The span of whoever made it.
    parent: Option<TraceContext>,
}

/// A request whose events are known.
#[derive(Debug)]
pub(super) struct Received {
    door: Door,
    begun: Begun,
    /// One for each event.
    published: Vec<Published>,
}

#[derive(Debug)]
struct Published {
    begun: Begun,
    id: ByteString,
    source: ByteString,
    r#type: ByteString,
    /// Under which span it was sent, where that is not the request's.
    link: Option<TraceContext>,
}

impl Traced {
    pub(super) fn of(tracer: &Tracer, door: Door, headers: &HeaderMap) -> Option<Self> {
        let moment = tracer.moment()?;
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        Some(Self {
            door,
            moment,
            parent: trace::parent_of_request(text),
        })
    }

    /// Tells that nothing of it was stored.
    pub(super) fn refused(self, tracer: &Tracer, refusal: &Refusal) {
        if let Some(begun) = tracer.begun(self.moment, self.parent) {
            let status = Some(refusal.status.as_u16());
            tracer.end(begun, Some(refusal.code), || received(self.door, status));
        }
    }

    /// From here on its events are published, under spans that go on with them.
    pub(super) fn received(self, tracer: &Tracer, events: &mut [Event]) -> Option<Received> {
        let Self {
            door,
            moment,
            parent,
        } = self;
        // A single event without a request that says more is in the trace of its sender.
        let origin = match &*events {
            [event] => trace::origin_of(event),
            _ => None,
        };
        let begun = tracer.begun(moment, parent.or(origin))?;
        let own = begun.context();
        let mut published = Vec::with_capacity(events.len());
        for event in events {
            let begun = tracer.begin(Some(own))?;
            event.hop = Some(begun.context());
            let link = trace::origin_of(event).filter(|origin| origin.trace_id != own.trace_id);
            published.push(Published {
                begun,
                id: event.id.clone(),
                source: event.source.clone(),
                r#type: event.r#type.clone(),
                link,
            });
        }
        Some(Received {
            door,
            begun,
            published,
        })
    }
}

impl Received {
    /// Tells what became of each event, and of the request.
    pub(super) fn ended(
        self,
        tracer: &Tracer,
        results: &[Result<Stored, tidegate_publish::Error>],
        refusal: Option<&Refusal>,
    ) {
        let Self {
            door,
            begun,
            published,
        } = self;
        for (one, result) in published.into_iter().zip(results) {
            let failed = result.as_ref().err().map(tidegate_publish::Error::code);
            let stored = result.as_ref().ok();
            tracer.end(one.begun, failed, || one.what(stored));
        }
        let status = refusal.map(|refusal| refusal.status.as_u16());
        let failed = refusal.map(|refusal| refusal.code);
        tracer.end(begun, failed, || received(door, status));
    }
}

impl Published {
    fn what(&self, stored: Option<&Stored>) -> What {
        let mut attributes = vec![
            ("messaging.system", "nats".into()),
            ("messaging.operation.name", "publish".into()),
            ("messaging.operation.type", "send".into()),
            ("cloudevents.event_id", (&self.id).into()),
            ("cloudevents.event_source", (&self.source).into()),
            ("cloudevents.event_type", (&self.r#type).into()),
        ];
        if let Some(stored) = stored {
            let sequence = i64::try_from(stored.sequence).unwrap_or(i64::MAX);
            attributes.push(("tidegate.sequence", Value::Number(sequence)));
        }
        What {
            name: "publish".into(),
            kind: Kind::Producer,
            attributes,
            links: self.link.into_iter().collect(),
        }
    }
}

/// As OpenTelemetry names what a server does.
fn received(door: Door, status: Option<u16>) -> What {
    let route = door.paths().first().copied().unwrap_or_default();
    let mut attributes = vec![
        ("http.request.method", "POST".into()),
        ("http.route", route.into()),
    ];
    if let Some(status) = status {
        attributes.push(("http.response.status_code", status.into()));
    }
    What {
        name: format!("POST {route}").into(),
        kind: Kind::Server,
        attributes,
        links: Vec::new(),
    }
}
