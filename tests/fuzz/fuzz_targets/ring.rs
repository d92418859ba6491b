//! Any bytes as the kind of a ring.

#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target feeds one of them")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::ring(bytes));
