//! What is wrong with an input, under a stable code.

use http::StatusCode;

use crate::{kyma, legacy};

/// Why a request makes no event.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// An event, but not a legal one; the codec says why.
    #[error(transparent)]
    Event(#[from] tidegate_event::Error),
    /// A media type that carries no event, and no `ce-` headers beside it.
    #[error(
        "{media_type:?} is no media type of a CloudEvent, and there is no ce-specversion header"
    )]
    UnsupportedMediaType {
        /// The `Content-Type`, cut after 100 characters.
        media_type: String,
    },
    /// Neither the headers nor the body say that this is a CloudEvent.
    #[error("not a CloudEvent: {0}")]
    NotAnEvent(&'static str),
    /// A source or type that Kyma's door refuses.
    #[error(transparent)]
    Kyma(#[from] kyma::Refusal),
    /// Kyma's door takes data that is declared JSON only if it is JSON.
    #[error("the data is declared to be JSON, but its {bytes} bytes are not well-formed")]
    DataNotJson {
        /// The data's length.
        bytes: usize,
    },
    /// The legacy door refuses the document.
    #[error(transparent)]
    Legacy(#[from] legacy::Refusal),
}

impl Error {
    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Event(error) => error.code(),
            Self::UnsupportedMediaType { .. } => "normalize/unsupported-media-type",
            Self::NotAnEvent(_) => "normalize/not-an-event",
            Self::Kyma(kyma::Refusal::EmptySegment { .. }) => "normalize/empty-type-segment",
            Self::Kyma(kyma::Refusal::PrefixType { .. }) => "normalize/prefix-type",
            Self::DataNotJson { .. } => "normalize/data-not-json",
            Self::Legacy(refusal) => refusal.code(),
        }
    }

    /// The status that fits. Whatever is wrong here, sending the same again does not help.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Event(error) => status_of(error),
            Self::NotAnEvent(_) | Self::Kyma(_) | Self::DataNotJson { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::UnsupportedMediaType { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Legacy(refusal) => {
                StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_REQUEST)
            }
        }
    }

    /// The legacy door's refusal, which has a body of its own.
    pub fn legacy(&self) -> Option<&legacy::Refusal> {
        match self {
            Self::Legacy(refusal) => Some(refusal),
            Self::Event(_)
            | Self::UnsupportedMediaType { .. }
            | Self::NotAnEvent(_)
            | Self::Kyma(_)
            | Self::DataNotJson { .. } => None,
        }
    }
}

fn status_of(error: &tidegate_event::Error) -> StatusCode {
    use tidegate_event::Error;
    match error {
        Error::MissingAttribute { .. }
        | Error::InvalidAttribute { .. }
        | Error::DuplicateAttribute { .. }
        | Error::InvalidName { .. }
        | Error::TooManyAttributes { .. }
        | Error::UnknownSpecversion { .. }
        | Error::InvalidJson { .. }
        | Error::InvalidData { .. }
        | Error::NotAnEvent { .. } => StatusCode::BAD_REQUEST,
        Error::BatchTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::UnsupportedMediaType { .. } | Error::UnsupportedCharset { .. } => {
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        }
        Error::InBatch { error, .. } => status_of(error),
    }
}
