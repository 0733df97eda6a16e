//! Requests of the format `event-mesh-webhook`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("event-mesh-webhook", input));
