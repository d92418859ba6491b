//! The fleet under fire: replicas that die, fall silent, come and go while clients go on asking, and how
//! the program itself begins and ends.

mod busy;
mod deaths;
mod iterative;
mod once;
mod orders;
mod own;
mod saved;
mod scale;
mod silence;
mod standbys;
mod start;
mod stderr;
mod stop;

use serde_json::Value;

/// A time that an event tells, in milliseconds.
#[track_caller]
fn millis(event: &Value, field: &str) -> f64 {
    let found = event[field].as_f64();
    found.unwrap_or_else(|| panic!("no {field}: {event}"))
}
