//! What `answer` promises.

use super::*;

/// A sender that obeys must not come back too early, nor at once.
#[test]
fn seconds_are_rounded_up_and_at_least_one() {
    for (millis, expected) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_500, 60)] {
        assert_eq!(
            seconds(Duration::from_millis(millis)),
            expected,
            "{millis} ms"
        );
    }
}

/// Each code of this room has a page, and the index names every page.
#[test]
fn every_code_has_its_page_and_every_page_is_in_the_index() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors");
    for code in Error::CODES {
        let page = format!("{folder}/{}.md", code.replace('/', "-"));
        let text = std::fs::read_to_string(&page).unwrap_or_else(|_| panic!("no page {page}"));
        assert!(
            text.contains(&format!("`{code}`")),
            "{page} does not name its code"
        );
    }
    let index = std::fs::read_to_string(format!("{folder}/README.md")).unwrap();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let linked = name == "README.md" || index.contains(&format!("({name})"));
        assert!(linked, "{name} is not in the index");
    }
}

/// The list that the pages are tested against must be the codes that are sent.
#[test]
fn every_error_has_a_listed_code_and_a_failing_status() {
    let errors = [
        Error::BodyTooLarge {
            declared: None,
            bytes_max: 1,
        },
        Error::BodyTimeout(Duration::from_secs(1)),
        Error::BodyIncomplete(axum::Error::new("gone")),
        Error::BufferFull { bytes_max: 1 },
        Error::RequestTimeout(Duration::from_secs(1)),
        Error::UnknownPath,
        Error::MethodNotAllowed(http::Method::PUT),
        Error::ContentEncoding("gzip".to_owned()),
        Error::InvalidTopic,
        Error::InvalidHandshake("no origin"),
        Error::HeadersTooMany {
            count: 2,
            count_max: 1,
        },
        Error::HeadersTooLarge {
            bytes: 2,
            bytes_max: 1,
        },
        Error::ConnectionsFull { connections_max: 1 },
        Error::ShuttingDown,
        Error::NotReady("no stream".to_owned()),
    ];
    let mut codes: Vec<_> = errors.iter().map(Error::code).collect();
    codes.dedup();
    codes.sort_unstable();
    assert_eq!(codes, Error::CODES);
    for error in errors {
        let status = error.status();
        assert!(
            status.is_client_error() || status.is_server_error(),
            "{error}"
        );
        let again =
            status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS;
        assert_eq!(error.retry_after().is_some(), again, "{error}");
    }
}
