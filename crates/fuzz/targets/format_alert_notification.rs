//! Requests of the format `alert-notification`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("alert-notification", input));
