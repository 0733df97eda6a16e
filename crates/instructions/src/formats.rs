//! `normalize`: requests of the formats that carry most events.

use std::hint::black_box;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use tidegate_application::{Application, Format};
use tidegate_event::{http::encode_binary, json};
use tidegate_normalize::{Input, Reading, normalize};

use crate::{
    case::{Case, repeat},
    sample,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "normalize.binary",
        times: 1_000,
        work: binary,
    },
    Case {
        name: "normalize.structured",
        times: 1_000,
        work: structured,
    },
    Case {
        name: "normalize.batch",
        times: 20,
        work: batch,
    },
    Case {
        name: "normalize.kyma-legacy",
        times: 1_000,
        work: legacy,
    },
    Case {
        name: "normalize.idoc",
        times: 200,
        work: idoc,
    },
];

const LEGACY: &str = r#"{
  "event-type": "order.shipped", "event-type-version": "v2",
  "event-id": "0f2cbd5e-4f5b-4a08-9c3e-52f0a7d1b0a3",
  "event-time": "2026-09-14T09:31:05.500+02:00",
  "data": {"orderCode": "20000117", "consignment": "a00002", "entries": [1, 2.50, "three"]}
}"#;

const IDOC: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<DESADV01>
  <IDOC BEGIN="1">
    <EDI_DC40 SEGMENT="1">
      <TABNAM>EDI_DC40</TABNAM><MANDT>200</MANDT><DOCNUM>0000000000241701</DOCNUM>
      <DIRECT>1</DIRECT><IDOCTYP>DESADV01</IDOCTYP><MESTYP>DESADV</MESTYP>
      <SNDPOR>SAPQE4</SNDPOR><SNDPRT>LS</SNDPRT><SNDPRN>QE4CLNT200</SNDPRN>
      <RCVPOR>MESH</RCVPOR><RCVPRT>LS</RCVPRT><RCVPRN>MESH</RCVPRN>
      <CREDAT>20260914</CREDAT><CRETIM>093105</CRETIM>
    </EDI_DC40>
    <E1EDK07 SEGMENT="1"><VBELN>008001701</VBELN><BOLNR>A&amp;B</BOLNR></E1EDK07>
    <E1EDP07 SEGMENT="1"><POSNR>000010</POSNR><LFIMG>5.000</LFIMG><VRKME>PCE</VRKME></E1EDP07>
    <E1EDP07 SEGMENT="1"><POSNR>000020</POSNR><LFIMG>2.000</LFIMG><VRKME>PCE</VRKME></E1EDP07>
  </IDOC>
</DESADV01>"#;

fn binary(times: u32) {
    let event = sample::event(0);
    let mut headers = HeaderMap::new();
    encode_binary(&event, &mut headers);
    let body = event.data.unwrap_or_default();
    normalized(times, Reading::Publish, &headers, &body, 1);
}

fn structured(times: u32) {
    let headers = content_type("application/cloudevents+json");
    let body = json::encode(&sample::event(0)).into();
    normalized(times, Reading::Seen, &headers, &body, 1);
}

fn batch(times: u32) {
    let headers = content_type("application/cloudevents-batch+json");
    let body = json::encode_batch(&sample::events(sample::BATCH)).into();
    normalized(times, Reading::Seen, &headers, &body, 100);
}

fn legacy(times: u32) {
    let headers = content_type("application/json");
    let reading = Reading::As(Format::KymaLegacy);
    normalized(
        times,
        reading,
        &headers,
        &Bytes::from_static(LEGACY.as_bytes()),
        1,
    );
}

fn idoc(times: u32) {
    let headers = content_type("text/xml; charset=UTF-8");
    let reading = Reading::As(Format::Idoc);
    normalized(
        times,
        reading,
        &headers,
        &Bytes::from_static(IDOC.as_bytes()),
        1,
    );
}

fn content_type(value: &str) -> HeaderMap {
    sample::headers([("content-type", value), ("user-agent", "SAP NetWeaver")])
}

fn normalized(times: u32, reading: Reading, headers: &HeaderMap, body: &Bytes, events: usize) {
    let application = Application::unnamed("s4");
    repeat(times, || {
        let normalized = normalize(black_box(Input {
            reading,
            application: &application,
            proven: true,
            headers,
            body: body.clone(),
            topic: None,
            place: None,
            batch_events_max: 1_000,
            received_at: Timestamp::UNIX_EPOCH,
        }));
        let normalized = normalized.expect("it is taken");
        assert_eq!(normalized.events.as_slice().len(), events);
        normalized
    });
}
