//! Requests of the format `generic-json`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("generic-json", input));
