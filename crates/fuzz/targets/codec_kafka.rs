//! CloudEvents in records of Kafka.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::codec_kafka(input));
