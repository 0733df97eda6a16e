//! Requests of the format `event-mesh-events-api`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("event-mesh-events-api", input));
