//! Requests of the format `cloudevent-0.1`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("cloudevent-0.1", input));
