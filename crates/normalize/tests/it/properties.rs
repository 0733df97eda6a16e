//! Nothing that comes in makes a format panic, and what comes out is a valid event.

use proptest::{collection::vec, prelude::*};
use tidegate_application::Format;
use tidegate_event::validate;
use tidegate_normalize::Reading;

use crate::read;

fn reading() -> impl Strategy<Value = Reading> {
    let named = proptest::sample::select(Format::ALL.to_vec()).prop_map(Reading::As);
    prop_oneof![Just(Reading::Seen), Just(Reading::Publish), named]
}

/// JSON of the members that formats look for, with values of every kind.
const NEARLY: &str = r#"\{("(id|type|eventType|topic|facts|events|data|specversion|source|cloudEventsVersion|eventID|timestamp|resource|resourceType|workspaceId|version)":("a\.b"|"1\.0"|17|null|\{\}|\[\]|\[\{"type":"t","data":\{"uid":1\}\}\]|"\\u00e9"),?){0,7}\}"#;

proptest! {
    /// Any bytes, any format, with and without headers.
    #[test]
    fn arbitrary_requests_never_panic(
        reading in reading(),
        application in "\\PC{0,10}",
        binary in any::<bool>(),
        body in prop_oneof![
            vec(any::<u8>(), 0..100),
            NEARLY.prop_map(|text| text.replace(",}", "}").into_bytes()),
        ],
    ) {
        let mut headers = vec![("content-type", "application/json")];
        if binary {
            headers.extend([("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "s"), ("ce-type", "a.b")]);
        }
        if let Ok(events) = read(reading, Some(&application), &headers, &body) {
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
        if let Ok(events) = read(Reading::As(Format::KymaLegacy), Some("app"), &[], text.as_bytes()) {
            prop_assert_eq!(events.len(), 1);
            prop_assert_eq!(validate(&events[0]), Ok(()));
        }
    }
}
