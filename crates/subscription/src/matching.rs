//! Whether a Subscription wants an event, and under which type its sink sees it.

use bytestring::ByteString;
use percent_encoding::percent_decode_str;
use tidegate_event::Event;

use crate::{Matching, Subscription, kyma};

/// The extension that only events of the legacy door have.
const LEGACY_EXTENSION: &str = "eventtypeversion";

/// An event that the Subscription wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    /// The type that the sink sees in the place of the event's own, without a word of the own
    /// one; `None` when it sees the event's own.
    pub r#type: Option<ByteString>,
}

impl Subscription {
    /// Whether it wants the event.
    pub fn matches(&self, event: &Event) -> Option<Matched> {
        match &self.matching {
            Matching::Standard { source, types } => {
                let wanted = names(types, &event.r#type) && is_source(source, &event.source);
                wanted.then(Matched::default)
            }
            Matching::Exact { types } => exact(types, event),
        }
    }
}

/// The source as the document has it; where that has characters that a URI has escaped, also in
/// the escaped form, since not every sender can send another.
fn is_source(wanted: &str, source: &str) -> bool {
    source == wanted
        || source.contains('%')
            && kyma::is_escaped(wanted)
            && percent_decode_str(source).eq(wanted.bytes())
}

/// Every form under which Kyma's publisher would have published the event, most usual first.
fn exact(types: &[String], event: &Event) -> Option<Matched> {
    let seen_as = |r#type: String| Matched {
        r#type: Some(r#type.into()),
    };
    if let Some(cleaned) = kyma::prefixed(&event.r#type)
        && names(types, &cleaned)
    {
        return Some(seen_as(cleaned));
    }
    if names(types, &event.r#type) {
        return Some(Matched::default());
    }
    if let Some(version) = event.extensions.get(LEGACY_EXTENSION)
        && let Some(second) = kyma::legacy(&event.source, &event.r#type, &version.to_text())
        && names(types, &second)
    {
        return Some(seen_as(second));
    }
    let published_plain = !event.r#type.starts_with(kyma::TYPE_PREFIX)
        && names(types, &kyma::with_source(&event.source, &event.r#type));
    published_plain.then(Matched::default)
}

fn names(types: &[String], r#type: &str) -> bool {
    types.iter().any(|named| named == r#type)
}

#[cfg(test)]
mod tests;
