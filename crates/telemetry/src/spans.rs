//! Spans: what took how long, in which trace, for whoever collects them.
//!
//! Which are recorded is decided where they begin, by the parent or by the trace's id; one that
//! failed is recorded all the same. Those that are recorded wait in a bounded queue, and nobody
//! waits for it: what does not fit is counted and gone.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use bytestring::ByteString;
use prometheus_client::{metrics::counter::Counter, registry::Registry};
use tidegate_event::TraceContext;
use tokio::sync::mpsc;

/// Spans a second that are recorded because they failed, beside those that are sampled: enough to
/// look at, and a sink that is away is no flood.
const FAILURES_MAX: u32 = 50;

/// Most bytes of a text in a span.
const TEXT_BYTES_MAX: usize = 256;

/// Records spans; off by itself. Clones are the same.
#[derive(Clone, Default)]
pub struct Tracer(Option<Arc<Inner>>);

struct Inner {
    sampler: Sampler,
    spans: mpsc::Sender<Span>,
    failures: Mutex<Failures>,
    metrics: Metrics,
}

/// What is counted of spans.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    recorded: Counter,
    dropped: Counter,
}

/// Which traces are recorded, in the terms of `OTEL_TRACES_SAMPLER`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// Whether a parent decides, where there is one.
    pub by_parent: bool,
    /// The part of all others, from 0 to 1, by the trace's id.
    pub ratio: f64,
}

/// Failures of this second.
struct Failures {
    since: Instant,
    count: u32,
}

/// Something that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    context: TraceContext,
    parent: Option<[u8; 8]>,
    moment: Moment,
}

/// When something began, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    at: SystemTime,
    since: Instant,
}

/// Something that is over.
#[derive(Clone, Debug)]
pub struct Span {
    /// What it is.
    pub what: What,
    /// In which trace, as which span.
    pub context: TraceContext,
    /// Under which span.
    pub parent: Option<[u8; 8]>,
    /// When it began.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// Why it failed, if it did: a stable code.
    pub failed: Option<&'static str>,
}

/// What a span is about.
#[derive(Clone, Debug)]
pub struct What {
    /// Its name: one of few.
    pub name: ByteString,
    /// Its kind.
    pub kind: Kind,
    /// What else is known.
    pub attributes: Vec<(&'static str, Value)>,
    /// What it belongs to as well.
    pub links: Vec<TraceContext>,
}

/// OpenTelemetry's kinds, as far as they are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A request was answered.
    Server,
    /// A request was made.
    Client,
    /// A message was handed to a log.
    Producer,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text; long ones are cut.
    Text(ByteString),
    /// A number.
    Number(i64),
}

impl Metrics {
    /// Registers what is counted of spans.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "tidegate_telemetry_spans_recorded",
            "Spans that were recorded, to be exported",
            metrics.recorded.clone(),
        );
        registry.register(
            "tidegate_telemetry_spans_dropped",
            "Spans that could not be exported: too many waited, or their collector did not take them",
            metrics.dropped.clone(),
        );
        metrics
    }

    /// How many could not be exported.
    pub fn lost(&self) -> u64 {
        self.dropped.get()
    }

    /// So many could not be exported.
    pub fn dropped(&self, spans: usize) {
        self.dropped
            .inc_by(u64::try_from(spans).unwrap_or(u64::MAX));
    }
}

impl Sampler {
    /// Whether a trace that begins here, or goes on under this parent, is recorded.
    fn samples(&self, parent: Option<TraceContext>, trace_id: [u8; 16]) -> bool {
        if let Some(parent) = parent.filter(|_| self.by_parent) {
            return parent.is_sampled();
        }
        if self.ratio >= 1.0 {
            return true;
        }
        // The specification's TraceIdRatioBased, as its implementations agree on it.
        let [.., a, b, c, d, e, f, g, h] = trace_id;
        let number = u64::from_be_bytes([a, b, c, d, e, f, g, h]) >> 1;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a part of all traces need not be exact"
        )]
        let part = number as f64 / (1_u64 << 63) as f64;
        part < self.ratio
    }
}

impl Tracer {
    /// Records into `spans`, which bounds how many wait.
    pub fn new(sampler: Sampler, spans: mpsc::Sender<Span>, metrics: Metrics) -> Self {
        Self(Some(Arc::new(Inner {
            sampler,
            spans,
            failures: Mutex::new(Failures {
                since: Instant::now(),
                count: 0,
            }),
            metrics,
        })))
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Now, for a span whose parent is known later. Nothing where nothing is recorded.
    pub fn moment(&self) -> Option<Moment> {
        self.is_on().then(|| Moment {
            at: SystemTime::now(),
            since: Instant::now(),
        })
    }

    /// Begins a span under its parent, or a trace. Nothing where nothing is recorded.
    pub fn begin(&self, parent: Option<TraceContext>) -> Option<Begun> {
        self.begun(self.moment()?, parent)
    }

    /// The same, for what has begun before.
    pub fn begun(&self, moment: Moment, parent: Option<TraceContext>) -> Option<Begun> {
        let inner = self.0.as_ref()?;
        let trace_id = parent.map_or_else(
            || fastrand::u128(1..).to_be_bytes(),
            |parent| parent.trace_id,
        );
        let span_id = fastrand::u64(1..).to_be_bytes();
        let is_sampled = inner.sampler.samples(parent, trace_id);
        Some(Begun {
            context: TraceContext::new(trace_id, span_id, is_sampled),
            parent: parent.map(|parent| parent.span_id),
            moment,
        })
    }

    /// Ends a span. What it was about is asked for only where it is recorded.
    pub fn end(&self, begun: Begun, failed: Option<&'static str>, what: impl FnOnce() -> What) {
        let Some(inner) = &self.0 else {
            return;
        };
        let is_recorded = begun.context.is_sampled() || (failed.is_some() && inner.may_tell());
        if !is_recorded {
            return;
        }
        let mut what = what();
        for (_, value) in &mut what.attributes {
            value.cut();
        }
        let Begun {
            context,
            parent,
            moment: Moment { at, since },
        } = begun;
        let span = Span {
            what,
            context: TraceContext::new(context.trace_id, context.span_id, true),
            parent,
            at,
            took: since.elapsed(),
            failed,
        };
        match inner.spans.try_send(span) {
            Ok(()) => inner.metrics.recorded.inc(),
            Err(_) => inner.metrics.dropped.inc(),
        };
    }
}

impl Inner {
    /// Whether one more failure is told in this second.
    fn may_tell(&self) -> bool {
        // A count and a time, which are never half changed.
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.since.elapsed() >= Duration::from_secs(1) {
            *failures = Failures {
                since: Instant::now(),
                count: 0,
            };
        }
        failures.count += 1;
        failures.count <= FAILURES_MAX
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracer").field(&self.is_on()).finish()
    }
}

// === impl Begun ===

impl Begun {
    /// Under which what follows stands.
    pub fn context(&self) -> TraceContext {
        self.context
    }
}

// === impl Value ===

impl Value {
    fn cut(&mut self) {
        if let Self::Text(text) = self
            && text.len() > TEXT_BYTES_MAX
        {
            let end = text.floor_char_boundary(TEXT_BYTES_MAX);
            *text = text.get(..end).unwrap_or_default().into();
        }
    }
}

impl From<&ByteString> for Value {
    fn from(text: &ByteString) -> Self {
        Self::Text(text.clone())
    }
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(ByteString::from_static(text))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tracer(by_parent: bool, ratio: f64, room: usize) -> (Tracer, mpsc::Receiver<Span>) {
        let (spans, recorded) = mpsc::channel(room);
        let sampler = Sampler { by_parent, ratio };
        (Tracer::new(sampler, spans, Metrics::default()), recorded)
    }

    fn what() -> What {
        What {
            name: "test".into(),
            kind: Kind::Server,
            attributes: vec![("text", Value::Text("\u{fc}".repeat(500).into()))],
            links: Vec::new(),
        }
    }

    fn parent(is_sampled: bool) -> TraceContext {
        TraceContext::new([1; 16], [2; 8], is_sampled)
    }

    /// A span stands under its parent, in its trace, and whatever follows under it.
    #[test]
    fn spans_of_a_trace_hang_together() {
        let (tracer, mut recorded) = tracer(true, 0.0, 2);
        let first = tracer.begin(Some(parent(true))).unwrap();
        let second = tracer.begin(Some(first.context())).unwrap();
        tracer.end(second, None, what);
        tracer.end(first, Some("a/code"), what);
        let (second, first) = (recorded.try_recv().unwrap(), recorded.try_recv().unwrap());
        assert_eq!(first.context.trace_id, [1; 16]);
        assert_eq!(first.parent, Some([2; 8]));
        assert_eq!(second.parent, Some(first.context.span_id));
        assert_eq!(second.context.trace_id, first.context.trace_id);
        assert_eq!((first.failed, second.failed), (Some("a/code"), None));
        let (_, Value::Text(text)) = &second.what.attributes[0] else {
            panic!("{second:?}");
        };
        assert_eq!(text.len(), TEXT_BYTES_MAX);
    }

    /// The parent decides, or the part of all; a failure is always told.
    #[test]
    fn what_is_recorded_is_what_the_sampler_says_and_every_failure() {
        let (tracer, mut recorded) = tracer(true, 1.0, 9);
        let not = tracer.begin(Some(parent(false))).unwrap();
        assert!(!not.context().is_sampled());
        tracer.end(not, None, || panic!("nobody asks"));
        tracer.end(not, Some("a/code"), what);
        assert!(recorded.try_recv().unwrap().context.is_sampled());
        let own = tracer.begin(None).unwrap();
        assert!(own.context().is_sampled());
        let part = Sampler {
            by_parent: false,
            ratio: 0.25,
        };
        let traces = (0..4_000).map(|_| tracer.begin(None).unwrap().context().trace_id);
        let sampled = traces.filter(|id| part.samples(Some(parent(true)), *id));
        let sampled = sampled.count();
        assert!((800..1_200).contains(&sampled), "{sampled}");
        let off = Tracer::default();
        assert!(off.begin(Some(parent(true))).is_none());
    }

    /// Nobody waits for a collector: what does not fit is counted, and so many failures are enough.
    #[test]
    fn what_does_not_fit_is_counted_and_gone() {
        let (tracer, mut recorded) = tracer(true, 0.0, 10);
        let begun = tracer.begin(Some(parent(true))).unwrap();
        for _ in 0..15 {
            tracer.end(begun, None, what);
        }
        let metrics = &tracer.0.as_ref().unwrap().metrics;
        assert_eq!((metrics.recorded.get(), metrics.dropped.get()), (10, 5));
        while recorded.try_recv().is_ok() {}
        let not = tracer.begin(Some(parent(false))).unwrap();
        for _ in 0..1_000 {
            tracer.end(not, Some("a/code"), what);
            recorded.try_recv().ok();
        }
        let told = metrics.recorded.get() - 10;
        assert!(told < 1_000, "{told}");
    }
}
