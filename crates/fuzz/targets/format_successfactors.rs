//! Requests of the format `successfactors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("successfactors", input));
