//! CloudEvents in the headers of HTTP.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::codec_http(input));
