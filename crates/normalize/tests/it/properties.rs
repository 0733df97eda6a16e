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

/// Requests that are taken, to be broken at any place.
const TAKEN: [&str; 6] = [
    "<O><IDOC BEGIN='1'><EDI_DC40><MANDT>1</MANDT><DOCNUM>2</DOCNUM><IDOCTYP>I</IDOCTYP><MESTYP>M</MESTYP><CREDAT>20261120</CREDAT><CRETIM>141502</CRETIM></EDI_DC40></IDOC><IDOC><EDI_DC40><IDOCTYP>I</IDOCTYP><MESTYP>&#228;</MESTYP></EDI_DC40></IDOC></O>",
    "<!DOCTYPE cXML SYSTEM 'x'><cXML payloadID='p' timestamp='2026-11-20 10:00:00'><Header><From><Credential><Identity>A</Identity><SharedSecret>s</SharedSecret></Credential></From></Header><!-- <SharedSecret>t</SharedSecret> --><Request><OrderRequest><OrderRequestHeader orderID='1'/></OrderRequest></Request></cXML>",
    "<s:Envelope xmlns:s='u'><s:Body><e:ExternalEvent xmlns:e='http://notification.event.successfactors.com'><e:externalEventMeta><e:type>t</e:type></e:externalEventMeta><e:events><e:event><e:entityType>E</e:entityType><e:publishedAt>1795440912345</e:publishedAt><k><p><name>n</name><value>v</value></p></k></e:event></e:events></e:ExternalEvent></s:Body></s:Envelope>",
    r#"{"cloudEventsVersion":"0.1","eventID":"a+/=","eventType":"t","source":"/s","extensions":{"A":1},"data":{"KEY":[{"X":"1"}]}}"#,
    r#"{"specversion":"0.3","id":"1","source":"/s","type":"t","schemaurl":"/x","time":"2026-11-20 10:00:00","subject":7,"data":{"a":[1.5e3]}}"#,
    r#"{"type":"t","workspaceId":"w","createdAt":1795443000,"eventType":"e","topic":"concur.t","resourceType":"r","events":[{"type":"t","timestamp":1,"data":{"uid":1e400}}],"facts":{"id":0.1}}"#,
];

proptest! {
    /// What systems send, with a piece of it gone or replaced.
    #[test]
    fn broken_requests_never_panic(
        reading in reading(),
        whole in proptest::sample::select(TAKEN.to_vec()),
        at in any::<proptest::sample::Index>(),
        gone in 0..12_usize,
        put in prop_oneof![
            vec(any::<u8>(), 0..6),
            proptest::sample::select(vec!["&#x1F;", "<SharedSecret>", "]]>", "<![CDATA[", "\u{feff}", "%", "\u{e9}", "{", "\\u"])
                .prop_map(|text| text.as_bytes().to_vec()),
        ],
    ) {
        let at = at.index(whole.len());
        let mut body = whole.as_bytes().to_vec();
        body.splice(at..(at + gone).min(whole.len()), put);
        let headers = [("x-qos", "1"), ("x-address", "topic:a/b/c/ce/d")];
        if let Ok(events) = read(reading, Some("app"), &headers, &body) {
            for event in events {
                prop_assert_eq!(validate(&event), Ok(()));
            }
        }
    }

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
