//! Applications: connected systems, who they are and what they may send; and the topics that are read
//! in their name.
//!
//! Documents are parsed and validated here, with the place of every mistake, and become one model.
//! Nobody is authenticated here, and no file is read.

pub mod authentication;
mod document;
mod format;
mod kafka_source;
mod mapping;
mod pattern;

use std::num::NonZeroU64;

use jiff::tz::TimeZone;
use serde_json::Value;
use tidegate_document::{Kind, Parsed};
use tidegate_event::Leniency;

pub use authentication::Authentication;
pub use format::Format;
pub use kafka_source::{KafkaSource, Start, Topics};
pub use mapping::{Mapping, Part, Template};
pub use pattern::Pattern;

/// A connected system.
#[derive(Clone, Debug, PartialEq)]
pub struct Application {
    /// Its name: the first segment of its doors' paths.
    pub name: String,
    /// How to read what comes through a door that takes several formats; without one it is seen
    /// from the request.
    pub format: Option<Format>,
    /// The namespace of the sources that are made for it.
    pub namespace: Option<String>,
    /// The company, where a format needs one and its messages have none.
    pub company: Option<String>,
    /// The zone of its local times.
    pub time_zone: TimeZone,
    /// What to do with extension names that CloudEvents does not allow.
    pub extension_names: Leniency,
    /// Whether an event that nothing tells from another gets an id of its content.
    pub content_dedup: bool,
    /// The sources that it may use; empty for the default.
    pub sources: Vec<Pattern>,
    /// The types that it may use; empty for all.
    pub types: Vec<Pattern>,
    /// How it proves who it is: any one is enough.
    pub authentication: Vec<Authentication>,
    /// How much it may send.
    pub limits: Limits,
    /// How to read a format that nobody knows but itself.
    pub mapping: Option<Mapping>,
}

/// How much an Application may send. What is not set is not limited here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a body; never above the doors' own limit.
    pub body_bytes_max: Option<u64>,
    /// Most events of a request; never above the doors' own limit.
    pub batch_events_max: Option<usize>,
    /// Events a second, with one second's worth at once.
    pub events_per_second: Option<NonZeroU64>,
    /// Bytes of data a second, with ten seconds' worth at once.
    pub bytes_per_second: Option<NonZeroU64>,
}

impl Application {
    /// One that says nothing but its name: for a system that no document describes.
    pub fn unnamed(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            format: None,
            namespace: None,
            company: None,
            time_zone: TimeZone::UTC,
            extension_names: Leniency::default(),
            content_dedup: false,
            sources: Vec::new(),
            types: Vec::new(),
            authentication: Vec::new(),
            limits: Limits::default(),
            mapping: None,
        }
    }

    /// Whether it may use a source. `format` is the one that the event came in: some formats have
    /// sources of their own, which are made here and not by the sender.
    pub fn grants_source(&self, source: &str, format: Format) -> bool {
        if !self.sources.is_empty() {
            return self.sources.iter().any(|pattern| pattern.matches(source));
        }
        source == self.name
            || self.in_namespace(source, self.namespace.as_deref())
            || self.in_namespace(source, format.namespace())
    }

    /// Whether it may use a type.
    pub fn grants_type(&self, r#type: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|pattern| pattern.matches(r#type))
    }

    /// Whether a source is its own, so that nobody may use it unasked. A pattern that matches
    /// everything claims nothing: a broker in front of many systems has it.
    pub fn claims(&self, source: &str) -> bool {
        if !self.sources.is_empty() {
            let mut own = self.sources.iter().filter(|one| !one.matches_all());
            return own.any(|pattern| pattern.matches(source));
        }
        source == self.name
            || self.in_namespace(source, self.namespace.as_deref())
            || self.in_namespace(source, self.format.and_then(Format::namespace))
    }

    /// `/*/<namespace>/*`
    fn in_namespace(&self, source: &str, namespace: Option<&str>) -> bool {
        let mut segments = source.split('/');
        namespace.is_some()
            && segments.next() == Some("")
            && segments.next().is_some_and(|region| !region.is_empty())
            && segments.next() == namespace
            && segments.next().is_some_and(|instance| !instance.is_empty())
            && segments.next().is_none()
    }
}

/// The JSON Schema of its `spec`.
pub fn spec_schema() -> Value {
    document::spec_schema().to_value()
}

/// The JSON Schema of a KafkaSource's `spec`.
pub fn source_spec_schema() -> Value {
    kafka_source::spec_schema().to_value()
}

/// Parses the KafkaSource documents of a text.
pub fn parse_sources(text: &str) -> Parsed<KafkaSource> {
    const KIND: Kind<KafkaSource> = Kind {
        api_version: document::API_VERSION,
        kind: "KafkaSource",
        parse: kafka_source::parse,
    };
    tidegate_document::parse(text, &[KIND])
}

/// Parses the Application documents of a text.
pub fn parse(text: &str) -> Parsed<Application> {
    const KIND: Kind<Application> = Kind {
        api_version: document::API_VERSION,
        kind: "Application",
        parse: document::parse,
    };
    tidegate_document::parse(text, &[KIND])
}
