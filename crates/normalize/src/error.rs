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
    /// JSON without what makes it an event.
    #[error(
        "no event: neither ce-specversion in the headers nor specversion, id, source and type in the body"
    )]
    NotAnEvent,
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
            Self::EmptySegment { .. } => "normalize/empty-type-segment",
            Self::PrefixedType { .. } => "normalize/invalid-prefixed-type",
            Self::NotJson { .. } => "normalize/data-not-json",
            Self::Legacy(_) => "normalize/legacy-refused",
        }
    }
}
