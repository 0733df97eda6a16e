//! Why a request holds no event that can be taken.

use crate::legacy;

/// What is wrong with a request.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It is an event, and not a legal one.
    #[error(transparent)]
    Event(#[from] tidegate_event::Error),
    /// A media type that no CloudEvent comes in.
    #[error(
        "content type {content_type:?} holds no event here; send application/cloudevents+json, application/cloudevents-batch+json, or ce- headers"
    )]
    MediaType {
        /// The content type, cut.
        content_type: String,
    },
    /// Nothing that any format is known by.
    #[error(
        "no event: neither ce-specversion in the headers nor specversion, id, source and type in the body"
    )]
    NotAnEvent,
    /// JSON that nests too deep.
    #[error("the body nests deeper than {} levels", crate::depth::DEPTH_MAX)]
    JsonTooDeep,
    /// The format is JSON and the body is not, or not the object that it has to be.
    #[error("the body is not the JSON object that this format is: {reason}")]
    Json {
        /// What the parser says; it repeats no data.
        reason: String,
    },
    /// The format is XML and the body is not, or not within the limits.
    #[error("the body is not XML that is taken here: {reason}")]
    Xml {
        /// What is wrong; it repeats no data.
        reason: String,
    },
    /// XML with declarations of its own, which can name files or grow without bound.
    #[error("a DOCTYPE with declarations of its own is not taken, nor are entities")]
    XmlDeclarations,
    /// Something without which no event can be made.
    #[error("{name} is missing or empty")]
    Member {
        /// What.
        name: &'static str,
    },
    /// A mapping finds nothing for a required attribute.
    #[error("the Application's mapping finds nothing for {attribute}")]
    Mapping {
        /// Which attribute.
        attribute: &'static str,
    },
    /// More events than a request may hold.
    #[error("the request has more than {events_max} events")]
    TooManyEvents {
        /// The limit.
        events_max: usize,
    },
    /// What a message says once would be repeated in too many events.
    #[error(
        "what the {events} events have in common is {bytes} bytes, together at most {bytes_max} are repeated"
    )]
    RepeatsTooMuch {
        /// How many events there are.
        events: usize,
        /// What each would repeat.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// Neither a CloudEvent nor a topic to make one of.
    #[error("neither a CloudEvent nor an x-address topic")]
    NoTopic,
    /// The messaging API wants a quality of service.
    #[error("x-qos: must be 0 or 1")]
    QualityOfService,
    /// Kyma's publisher refuses such a type or source.
    #[error("event type cannot have empty segments after cleaning: {cleaned}")]
    EmptySegment {
        /// As Kyma would name it.
        cleaned: String,
    },
    /// Kyma's publisher refuses such a type.
    #[error("failed to parse event-type={type} with prefix=sap.kyma.custom: invalid format", type = .r#type)]
    PrefixedType {
        /// The type.
        r#type: String,
    },
    /// Kyma's publisher refuses data that is not the JSON that it is said to be.
    #[error("data is said to be JSON and is not: {reason}")]
    NotJson {
        /// What the parser says.
        reason: String,
    },
    /// A legacy request that is refused.
    #[error(transparent)]
    Legacy(#[from] legacy::Refusal),
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Event(error) => error.code(),
            Self::MediaType { .. } => "normalize/unsupported-media-type",
            Self::NotAnEvent => "normalize/not-an-event",
            Self::JsonTooDeep => "normalize/json-too-deep",
            Self::Json { .. } => "normalize/invalid-json",
            Self::Xml { .. } => "normalize/invalid-xml",
            Self::XmlDeclarations => "normalize/xml-declarations",
            Self::Member { .. } => "normalize/missing-member",
            Self::Mapping { .. } => "normalize/mapping-without-value",
            Self::TooManyEvents { .. } => "normalize/too-many-events",
            Self::RepeatsTooMuch { .. } => "normalize/repeats-too-much",
            Self::NoTopic => "normalize/no-topic",
            Self::QualityOfService => "normalize/quality-of-service",
            Self::EmptySegment { .. } => "normalize/empty-type-segment",
            Self::PrefixedType { .. } => "normalize/invalid-prefixed-type",
            Self::NotJson { .. } => "normalize/data-not-json",
            Self::Legacy(_) => "normalize/legacy-refused",
        }
    }
}
