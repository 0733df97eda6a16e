//! Requests of the format `event-mesh-rest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("event-mesh-rest", input));
