//! Any bytes as the ClientHello of a connection, after two that say the limit.

#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target feeds one of them")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::client_hello(bytes));
