//! One module per source format: bytes and headers to CloudEvents. Pure.
