//! Requests of the format `generic-xml`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("generic-xml", input));
