//! `event`: reading, judging and writing events.

use std::hint::black_box;

use bytes::Bytes;
use http::HeaderMap;
use tidegate_event::{
    Leniency,
    http::{decode_binary, encode_binary},
    json, nats, validate,
};

use crate::{
    case::{Case, repeat},
    sample,
};

pub(crate) const CASES: &[Case] = &[
    Case {
        name: "event.structured.read",
        times: 1_000,
        work: read_structured,
    },
    Case {
        name: "event.structured.write",
        times: 1_000,
        work: write_structured,
    },
    Case {
        name: "event.batch.read",
        times: 20,
        work: read_batch,
    },
    Case {
        name: "event.binary.read",
        times: 1_000,
        work: read_binary,
    },
    Case {
        name: "event.binary.write",
        times: 1_000,
        work: write_binary,
    },
    Case {
        name: "event.message.read",
        times: 1_000,
        work: read_message,
    },
    Case {
        name: "event.message.write",
        times: 1_000,
        work: write_message,
    },
    Case {
        name: "event.validate",
        times: 1_000,
        work: validate_one,
    },
];

fn read_structured(times: u32) {
    let text = Bytes::from(json::encode(&sample::event(0)));
    repeat(times, || {
        json::decode(black_box(text.clone()), Leniency::Strict).expect("an event")
    });
}

fn write_structured(times: u32) {
    let event = sample::event(0);
    repeat(times, || json::encode(black_box(&event)));
}

fn read_batch(times: u32) {
    let text = Bytes::from(json::encode_batch(&sample::events(sample::BATCH)));
    repeat(times, || {
        json::decode_batch(black_box(text.clone()), 1_000, Leniency::Strict).expect("a batch")
    });
}

fn read_binary(times: u32) {
    let event = sample::event(0);
    let mut headers = HeaderMap::new();
    encode_binary(&event, &mut headers);
    let body = event.data.unwrap_or_default();
    repeat(times, || {
        decode_binary(black_box(&headers), body.clone(), Leniency::Strict).expect("an event")
    });
}

fn write_binary(times: u32) {
    let event = sample::event(0);
    repeat(times, || {
        let mut headers = HeaderMap::with_capacity(16);
        encode_binary(black_box(&event), &mut headers);
        headers
    });
}

fn read_message(times: u32) {
    let event = sample::event(0);
    let mut headers = Vec::new();
    nats::encode(&event, |name, value| {
        headers.push((name.to_owned(), value.to_owned()));
    });
    let payload = event.data.unwrap_or_default();
    repeat(times, || {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        nats::decode(headers, black_box(payload.clone())).expect("an event")
    });
}

fn write_message(times: u32) {
    let event = sample::event(0);
    repeat(times, || {
        let mut lines = String::with_capacity(1_024);
        nats::encode(black_box(&event), |name, value| {
            for part in [name, ": ", value, "\r\n"] {
                lines.push_str(part);
            }
        });
        lines
    });
}

fn validate_one(times: u32) {
    let event = sample::event(0);
    repeat(times, || validate(black_box(&event)).expect("it is legal"));
}
