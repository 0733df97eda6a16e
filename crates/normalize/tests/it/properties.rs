//! Nothing that comes in makes a format panic, and what comes out is a valid event.

use proptest::{collection::vec, prelude::*};
use tidegate_event::validate;
use tidegate_normalize::Format;

use crate::read;

fn format() -> impl Strategy<Value = Format> {
    prop_oneof![
        Just(Format::CloudEvents),
        Just(Format::KymaPublish),
        Just(Format::KymaLegacy)
    ]
}

proptest! {
    /// Any bytes, any format, with and without headers.
    #[test]
    fn arbitrary_requests_never_panic(
        format in format(),
        application in "\\PC{0,10}",
        binary in any::<bool>(),
        body in vec(any::<u8>(), 0..100),
    ) {
        let mut headers = vec![("content-type", "application/json")];
        if binary {
            headers.extend([("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "a.b")]);
        }
        if let Ok(events) = read(format, Some(&application), &headers, &body) {
            for event in events {
                prop_assert_eq!(validate(&event), Ok(()));
            }
        }
    }

    /// Text that is nearly a legacy request.
    #[test]
    fn legacy_requests_are_events_or_refused(
        text in r#"\{("(event-type|event-type-version|event-time|event-id|data|x)":("a\.b"|"v1"|"2026-04-02T21:37:00Z"|1\.5|null|\{\}|\[|"\\u00e9"),?){0,7}\}?"#
    ) {
        if let Ok(events) = read(Format::KymaLegacy, Some("app"), &[], text.as_bytes()) {
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(validate(&events[0]), Ok(()));
        }
    }
}
