//! Any bytes as a body, chunked or not: the first one says how many of the next are lengths of
//! pieces.

#![no_main]

#[path = "../checks.rs"]
#[allow(dead_code, reason = "each target feeds one of them")]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((count, rest)) = bytes.split_first() {
        let (splits, body) = rest.split_at(usize::from(count % 8).min(rest.len()));
        checks::body(body, splits);
    }
});
