//! What had to be mended in a request, for those who connect its sender.

use std::{borrow::Cow, fmt};

/// Most repairs that are told of one request; what is beyond is done all the same.
const REPAIRS_MAX: usize = 1_000;

/// Longest name that a repair repeats, in characters.
const NAME_CHARS_MAX: usize = 64;

/// Something that was mended or left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// Which event of the request, from 0.
    pub event: usize,
    /// Which attribute, under the name that the sender gave it.
    pub attribute: String,
    /// What was done.
    pub kind: Kind,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A time without a zone was taken for UTC.
    AssumedUtc,
    /// A time in another form became RFC 3339.
    TimeRewritten,
    /// A time that nothing could be made of was left out.
    TimeUnreadable,
    /// The event came in this version and was raised to 1.0.
    VersionRaised(&'static str),
    /// An empty source became one of the Application's.
    SourceDefaulted,
    /// An empty value of an optional attribute was left out.
    Empty,
    /// A schema that is no absolute URI was left out.
    SchemaNotAbsolute,
    /// The name was given in another form.
    Renamed(&'static str),
    /// The name became lower case.
    Lowercased,
    /// A number that the attribute may not be became text.
    NumberAsText,
    /// An array or object was left out.
    NotScalar,
    /// An attribute of the broker or the gateway was left out.
    Reserved,
    /// A name that no extension may have was left out.
    IllegalName,
    /// A value that no attribute may have was left out.
    IllegalValue,
    /// A secret was blanked.
    SecretBlanked,
    /// Text that the mapping found nothing for was left out.
    NothingAtPath,
    /// Characters that XML does not allow were replaced.
    CharactersReplaced,
}

impl Kind {
    /// A name for metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::AssumedUtc => "assumed-utc",
            Self::TimeRewritten => "time-rewritten",
            Self::TimeUnreadable => "time-unreadable",
            Self::VersionRaised(_) => "version-raised",
            Self::SourceDefaulted => "source-defaulted",
            Self::Empty => "empty",
            Self::SchemaNotAbsolute => "schema-not-absolute",
            Self::Renamed(_) => "renamed",
            Self::Lowercased => "lowercased",
            Self::NumberAsText => "number-as-text",
            Self::NotScalar => "not-scalar",
            Self::Reserved => "reserved",
            Self::IllegalName => "illegal-name",
            Self::IllegalValue => "illegal-value",
            Self::SecretBlanked => "secret-blanked",
            Self::NothingAtPath => "nothing-at-path",
            Self::CharactersReplaced => "characters-replaced",
        }
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let done: Cow<'static, str> = match self.kind {
            Kind::AssumedUtc => "a time without a zone was taken for UTC".into(),
            Kind::TimeRewritten => "the time was rewritten as RFC 3339".into(),
            Kind::TimeUnreadable => "no time could be read, it is left out".into(),
            Kind::VersionRaised(version) => format!("raised from {version} to 1.0").into(),
            Kind::SourceDefaulted => "empty, the Application's own source stands for it".into(),
            Kind::Empty => "empty, it is left out".into(),
            Kind::SchemaNotAbsolute => "no absolute URI, it is left out".into(),
            Kind::Renamed(name) => format!("renamed to {name}").into(),
            Kind::Lowercased => "the name became lower case".into(),
            Kind::NumberAsText => "no number that it may be, its digits are kept as text".into(),
            Kind::NotScalar => "an array or object, it is left out".into(),
            Kind::Reserved => "means something to a broker or gateway alone, it is left out".into(),
            Kind::IllegalValue => "no attribute may have this value, it is left out".into(),
            Kind::IllegalName => "no attribute may have this name, it is left out".into(),
            Kind::SecretBlanked => "a secret, it is blanked".into(),
            Kind::NothingAtPath => "nothing stands at the path of the mapping".into(),
            Kind::CharactersReplaced => "characters that XML forbids were replaced".into(),
        };
        write!(f, "event {}: {}: {done}", self.event, self.attribute)
    }
}

/// The repairs of a request, and which of its events is being read.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    pub(crate) found: Vec<Repair>,
    /// The event that is being read.
    pub(crate) event: usize,
    /// Events whose time was taken for UTC, in order.
    assumed_utc: Vec<usize>,
    /// Events that came in an older version, in order, with the version.
    raised: Vec<(usize, &'static str)>,
}

impl Repairs {
    /// Remembers one for the event that is being read.
    pub(crate) fn add(&mut self, attribute: &str, kind: Kind) {
        match kind {
            Kind::AssumedUtc => self.assumed_utc.push(self.event),
            Kind::VersionRaised(version) => self.raised.push((self.event, version)),
            Kind::TimeRewritten
            | Kind::TimeUnreadable
            | Kind::SourceDefaulted
            | Kind::Empty
            | Kind::SchemaNotAbsolute
            | Kind::Renamed(_)
            | Kind::Lowercased
            | Kind::NumberAsText
            | Kind::NotScalar
            | Kind::Reserved
            | Kind::IllegalName
            | Kind::IllegalValue
            | Kind::SecretBlanked
            | Kind::NothingAtPath
            | Kind::CharactersReplaced => {}
        }
        if self.found.len() < REPAIRS_MAX {
            self.found.push(Repair {
                event: self.event,
                attribute: attribute.chars().take(NAME_CHARS_MAX).collect(),
                kind,
            });
        }
    }

    /// Whether the time of an event was taken for UTC.
    pub(crate) fn assumed_utc(&self, event: usize) -> bool {
        self.assumed_utc.binary_search(&event).is_ok()
    }

    /// The older version that an event came in.
    pub(crate) fn raised(&self, event: usize) -> Option<&'static str> {
        let found = self.raised.binary_search_by_key(&event, |(at, _)| *at);
        self.raised.get(found.ok()?).map(|(_, version)| *version)
    }
}
