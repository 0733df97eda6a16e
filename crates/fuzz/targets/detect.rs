//! Requests whose format is seen from what they hold.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::detect(input));
