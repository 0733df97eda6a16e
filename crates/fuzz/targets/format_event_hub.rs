//! Requests of the format `event-hub`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("event-hub", input));
