//! CloudEvents in the headers of NATS.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::codec_nats(input));
