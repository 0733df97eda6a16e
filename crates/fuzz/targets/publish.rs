//! CloudEvents as Kyma's publisher takes them.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::publish(input));
