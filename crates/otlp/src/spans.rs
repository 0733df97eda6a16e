//! Spans in the words of OTLP.

use std::{collections::BTreeMap, time::SystemTime};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span, Status, span, status::StatusCode},
};
use tidegate_event::TraceContext;
use tidegate_telemetry::spans::{self, Kind, Value, What};

/// A request with these spans.
pub(crate) fn request(
    resource: &Resource,
    scope: &InstrumentationScope,
    spans: Vec<spans::Span>,
) -> ExportTraceServiceRequest {
    let scope_spans = ScopeSpans {
        scope: Some(scope.clone()),
        spans: spans.into_iter().map(told).collect(),
        ..ScopeSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    }
}

/// What all of it is about.
pub(crate) fn resource(attributes: &BTreeMap<String, String>) -> Resource {
    let attributes = attributes.iter();
    let attributes = attributes.map(|(name, value)| text(name.clone(), value.clone()));
    Resource {
        attributes: attributes.collect(),
        ..Resource::default()
    }
}

/// Who tells it.
pub(crate) fn scope(version: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: "tidegate".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    }
}

/// An attribute with a text.
pub(crate) fn text(key: String, value: String) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value))
}

fn attribute(key: String, value: any_value::Value) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Nanoseconds since 1970.
pub(crate) fn nanos(at: SystemTime) -> u64 {
    let since = at
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn told(span: spans::Span) -> Span {
    let spans::Span {
        what:
            What {
                name,
                kind,
                attributes,
                links,
            },
        context,
        parent,
        at,
        took,
        failed,
    } = span;
    let attributes = attributes.into_iter().map(|(key, value)| {
        let value = match value {
            Value::Text(text) => any_value::Value::StringValue(text.into()),
            Value::Number(number) => any_value::Value::IntValue(number),
        };
        attribute(key.to_owned(), value)
    });
    let code = failed.map(|code| text("error.type".to_owned(), code.to_owned()));
    Span {
        trace_id: context.trace_id.into(),
        span_id: context.span_id.into(),
        parent_span_id: parent.map(Vec::from).unwrap_or_default(),
        flags: context.flags.into(),
        name: name.into(),
        kind: match kind {
            Kind::Server => span::SpanKind::Server,
            Kind::Client => span::SpanKind::Client,
            Kind::Producer => span::SpanKind::Producer,
        }
        .into(),
        start_time_unix_nano: nanos(at),
        end_time_unix_nano: nanos(at.checked_add(took).unwrap_or(at)),
        attributes: attributes.chain(code).collect(),
        links: links.into_iter().map(link).collect(),
        status: failed.map(|code| Status {
            message: code.to_owned(),
            code: StatusCode::Error.into(),
        }),
        ..Span::default()
    }
}

fn link(context: TraceContext) -> span::Link {
    span::Link {
        trace_id: context.trace_id.into(),
        span_id: context.span_id.into(),
        flags: context.flags.into(),
        ..span::Link::default()
    }
}
