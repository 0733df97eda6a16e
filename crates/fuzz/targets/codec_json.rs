//! CloudEvents in JSON, single and batch.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::codec_json(input));
