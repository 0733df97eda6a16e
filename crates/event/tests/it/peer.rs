//! cloudevents-sdk as the independent other side, on what it gets right.

use bytes::Bytes;
use cloudevents::{AttributesReader, Data};
use serde_json::{Value as Json, json};
use tidegate_event::{Event, Leniency, Name, Value, json as format};

fn event() -> Event {
    let mut event = Event::new("1", "/default/sap.s4.beh/ER9CLNT001", "sap.s4.order.v1");
    event.subject = Some("order".into());
    event.time = Some("2020-08-14T06:21:52Z".into());
    event.datacontenttype = Some("application/json".into());
    event.data = Some(Bytes::from_static(
        br#"{"SalesOrder":"3016329","total":1.5}"#,
    ));
    event
        .extensions
        .insert(Name::from_static("anumber"), Value::Integer(7));
    event
        .extensions
        .insert(Name::from_static("aflag"), Value::Boolean(true));
    event
}

/// What we write, they read.
#[test]
fn the_peer_reads_what_we_write() {
    let ours = event();
    let theirs: cloudevents::Event = serde_json::from_slice(&format::encode(&ours)).unwrap();
    assert_eq!(theirs.id(), &*ours.id);
    assert_eq!(theirs.source(), &*ours.source);
    assert_eq!(theirs.ty(), &*ours.r#type);
    assert_eq!(theirs.subject(), ours.subject.as_deref());
    assert_eq!(theirs.datacontenttype(), ours.datacontenttype.as_deref());
    assert_eq!(theirs.iter_extensions().count(), 2);
    let Some(Data::Json(data)) = theirs.data() else {
        panic!("{:?}", theirs.data())
    };
    assert_eq!(data, &json!({"SalesOrder": "3016329", "total": 1.5}));
}

/// What they write, we read.
#[test]
fn we_read_what_the_peer_writes() {
    use cloudevents::{EventBuilder, EventBuilderV10};
    let theirs = EventBuilderV10::new()
        .id("1")
        .source("/s")
        .ty("t")
        .time("2020-08-14T06:21:52Z")
        .extension("anumber", 7)
        .data("application/json", json!({"a": [1, 2]}))
        .build()
        .unwrap();
    let text = Bytes::from(serde_json::to_vec(&theirs).unwrap());
    let ours = format::decode(text, Leniency::Strict).unwrap();
    assert_eq!((&*ours.id, &*ours.source, &*ours.r#type), ("1", "/s", "t"));
    assert_eq!(ours.extensions.get("anumber"), Some(&Value::Integer(7)));
    let data: Json = serde_json::from_slice(ours.data.as_ref().unwrap()).unwrap();
    assert_eq!(data, json!({"a": [1, 2]}));
}

/// The conversions lead there and back.
#[cfg(feature = "cloudevents-sdk")]
#[test]
fn conversions_lead_there_and_back() {
    let ours = event();
    let theirs = cloudevents::Event::try_from(&ours).unwrap();
    let mut back = Event::try_from(&theirs).unwrap();
    assert_eq!(
        back.time.take().as_deref(),
        Some("2020-08-14T06:21:52+00:00")
    );
    assert_eq!(back, Event { time: None, ..ours });
}
