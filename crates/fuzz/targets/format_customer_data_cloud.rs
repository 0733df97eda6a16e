//! Requests of the format `customer-data-cloud`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| tidegate_fuzz::format("customer-data-cloud", input));
