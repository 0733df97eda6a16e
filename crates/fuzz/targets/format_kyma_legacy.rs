//! Requests of the format `kyma-legacy`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("kyma-legacy", input));
