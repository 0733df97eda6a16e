//! Requests of the format `kafka-record`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("kafka-record", input));
