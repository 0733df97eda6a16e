//! Paths: the application in them, and the clean form of one that is not clean.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

use crate::{Door, error::Error};

/// What a path says beside the door.
pub(crate) struct Place {
    pub(crate) application: Option<String>,
    pub(crate) topic: Option<String>,
}

/// `None` for a path that only looks like the door's.
pub(crate) fn place(door: Door, path: &str) -> Option<Result<Place, Error>> {
    if cleaned(path).is_some() {
        return None;
    }
    let application = if door.names_application() {
        Some(application(path)?)
    } else {
        None
    };
    let topic = topic(path).filter(|_| door == Door::EventMeshRest);
    if door == Door::EventMeshRest && topic.is_none() {
        return Some(Err(Error::InvalidTopic));
    }
    Some(Ok(Place { application, topic }))
}

/// The application of a path whose first segment it is, percent-decoded.
///
/// `None` when the segment is no UTF-8, or holds a slash once it is decoded: such a path names no
/// application, it only looks as if.
pub(crate) fn application(path: &str) -> Option<String> {
    let segment = path.strip_prefix('/')?.split('/').next()?;
    let decoded = percent_decode_str(segment).decode_utf8().ok()?;
    (!decoded.is_empty() && !decoded.contains('/')).then(|| decoded.into_owned())
}

/// Longest topic of a path; SAP Event Mesh allows 150 characters.
const TOPIC_BYTES_MAX: usize = 255;

/// The topic or queue of a path of the messaging REST API, percent-decoded: slashes are part of
/// it. `None` for one that is no name.
pub(crate) fn topic(path: &str) -> Option<String> {
    let segment = path.split('/').nth(4)?;
    let decoded = percent_decode_str(segment).decode_utf8().ok()?;
    let legal = !decoded.is_empty()
        && decoded.len() <= TOPIC_BYTES_MAX
        && !decoded.chars().any(char::is_control);
    legal.then(|| decoded.into_owned())
}

/// The clean form of a path, when it has empty, `.` or `..` segments. A slash at the end stays.
pub(crate) fn cleaned(path: &str) -> Option<String> {
    let dirty = |segment: &str| segment.is_empty() || is_dot(segment) || is_dot_dot(segment);
    let inner = path.strip_prefix('/')?;
    let (inner, slash) = inner
        .strip_suffix('/')
        .map_or((inner, ""), |inner| (inner, "/"));
    if inner.is_empty() && slash.is_empty() {
        return None;
    }
    if !inner.split('/').any(dirty) {
        return None;
    }
    let mut segments = Vec::new();
    for segment in inner.split('/') {
        if is_dot_dot(segment) {
            segments.pop();
        } else if !segment.is_empty() && !is_dot(segment) {
            segments.push(segment);
        }
    }
    let slash = if segments.is_empty() { "" } else { slash };
    // A client may take a backslash for a slash, and the path for another host's.
    Some(format!("/{}{slash}", segments.join("/")).replace('\\', "%5C"))
}

/// Whether a path is the legacy door's, or below it: there, answers are those of Kyma's publisher.
pub(crate) fn is_legacy(path: &str) -> bool {
    let mut segments = path.split('/').skip(2);
    segments.next() == Some("v1") && segments.next() == Some("events")
}

fn is_dot(segment: &str) -> bool {
    decoded_dots(segment) == "."
}

fn is_dot_dot(segment: &str) -> bool {
    decoded_dots(segment) == ".."
}

/// A dot is a dot when it is percent-encoded, too.
fn decoded_dots(segment: &str) -> Cow<'_, str> {
    if segment.len() <= "%2e%2e".len() && segment.contains('%') {
        percent_decode_str(segment).decode_utf8_lossy()
    } else {
        Cow::Borrowed(segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The application decides whose event it is.
    #[test]
    fn the_application_is_the_decoded_first_segment() {
        let cases = [
            ("/commerce/v1/events", Some("commerce")),
            ("/.../v1/events", Some("...")),
            ("/a%20b/events", Some("a b")),
            ("/%C3%A4pp/events", Some("äpp")),
            ("/a%zz/events", Some("a%zz")),
            ("/%ff/events", None),
            ("/a%2Fb/events", None),
            ("//events", None),
        ];
        for (path, expected) in cases {
            assert_eq!(application(path).as_deref(), expected, "{path}");
        }
    }

    /// Every unclean path has one clean form, and a clean one is left alone.
    #[test]
    fn unclean_paths_have_a_clean_form() {
        let cases = [
            ("/publish", None),
            ("/", None),
            ("/a/v1/events/", None),
            ("/.../v1/events", None),
            ("/%2e%2e%2e/v1/events", None),
            ("//", Some("/")),
            ("//publish", Some("/publish")),
            ("/a/../publish", Some("/publish")),
            ("/a/%2E%2e/publish", Some("/publish")),
            ("/./publish", Some("/publish")),
            ("/../../publish", Some("/publish")),
            ("/a//v1/events", Some("/a/v1/events")),
            ("/a/v1//events/", Some("/a/v1/events/")),
            ("/../v1/events", Some("/v1/events")),
            ("//\\evil.example", Some("/%5Cevil.example")),
            ("*", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(cleaned(path).as_deref(), expected, "{path}");
        }
    }

    /// A clean form that is not clean would redirect for ever.
    #[test]
    fn the_clean_form_is_clean_and_stays_on_this_host() {
        let parts = ["a", "", ".", "..", "%2e", "\\", "%2E%2e"];
        for first in parts {
            for second in parts {
                for third in parts {
                    let path = format!("/{first}/{second}/{third}");
                    if let Some(clean) = cleaned(&path) {
                        assert_eq!(cleaned(&clean), None, "{path} -> {clean}");
                        assert!(!clean.starts_with("//") && !clean.contains('\\'), "{clean}");
                    }
                }
            }
        }
    }

    /// Only the legacy door keeps the foreign bodies.
    #[test]
    fn paths_of_the_legacy_door_are_known() {
        for path in [
            "/a/v1/events",
            "/a/v1/events/",
            "/a/v1/events/subscribed",
            "/a/v1/events/x",
        ] {
            assert!(is_legacy(path), "{path}");
        }
        for path in [
            "/publish",
            "/v1/events",
            "/a/v2/events",
            "/a/v1",
            "/a/v1/eventsx",
        ] {
            assert!(!is_legacy(path), "{path}");
        }
    }
}
