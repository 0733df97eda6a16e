//! Requests of the format `cloudevent`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("cloudevent", input));
