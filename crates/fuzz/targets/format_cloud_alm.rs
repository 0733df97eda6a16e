//! Requests of the format `cloud-alm`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("cloud-alm", input));
