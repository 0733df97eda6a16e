//! What Kyma's publisher refuses on `/publish`. Its cleaning decides only that: the event keeps
//! its own source and type.

use serde::de::IgnoredAny;
use tidegate_event::{Event, is_json};

use crate::Error;

/// Kyma's prefix for types of the old form, compared without a dot behind it, as Kyma does.
const PREFIX: &str = "sap.kyma.custom";

/// `Err` when Kyma would refuse the event. `is_json` where its data was read as JSON already.
pub(crate) fn check(event: &Event, is_json: bool) -> Result<(), Error> {
    match event.r#type.strip_prefix(PREFIX) {
        Some(rest) => check_prefixed(event, rest)?,
        None => check_segments(&event.source, &event.r#type)?,
    }
    if is_json { Ok(()) } else { check_data(event) }
}

/// After the prefix: an application, at least one object, an operation and a version.
fn check_prefixed(event: &Event, rest: &str) -> Result<(), Error> {
    let error = || Error::PrefixedType {
        r#type: event.r#type.to_string(),
    };
    let segments = rest.strip_prefix('.').ok_or_else(error)?;
    let fine = segments.split('.').count() >= 4 && segments.split('.').all(|one| !one.is_empty());
    fine.then_some(()).ok_or_else(error)
}

/// Neither the source nor a segment of the type may be empty after Kyma's cleaning.
pub(crate) fn check_segments(source: &str, r#type: &str) -> Result<(), Error> {
    let kept = |char: &char| !char.is_whitespace() && !['>', '*', '/', '\\'].contains(char);
    let source_is_empty = !source.chars().filter(kept).any(|char| char != '.');
    let segment_is_empty = r#type
        .split('.')
        .any(|segment| !segment.chars().any(|char| kept(&char)));
    if source_is_empty || segment_is_empty {
        let source: String = source
            .chars()
            .filter(kept)
            .filter(|char| *char != '.')
            .collect();
        let r#type: String = r#type.chars().filter(kept).collect();
        return Err(Error::EmptySegment {
            cleaned: format!("kyma.{source}.{}", r#type),
        });
    }
    Ok(())
}

/// Data that is JSON, by its content type or for want of one, has to be.
fn check_data(event: &Event) -> Result<(), Error> {
    let Some(data) = &event.data else {
        return Ok(());
    };
    if event.datacontenttype.as_deref().is_none_or(is_json) {
        serde_json::from_slice::<IgnoredAny>(data).map_err(|error| Error::NotJson {
            reason: error.to_string(),
        })?;
    }
    Ok(())
}
