//! Requests of the format `leanix`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("leanix", input));
