//! The fleet under fire: replicas that die, fall silent, start and leave under load, and the start
//! and end of the program itself.

mod at_most_once;
mod backends;
mod busy;
mod custom_command;
mod deaths;
mod failing;
mod failing_engine;
mod iterative;
mod late_recovery;
mod names;
mod orders;
mod rollout;
mod saved_requests;
mod scale;
mod standbys;
mod start;
mod state_file;
mod stderr;
mod stop;
mod weights;

use serde_json::Value;

/// Returns a time of an event in milliseconds.
#[track_caller]
fn millis(event: &Value, field: &str) -> f64 {
    let found = event[field].as_f64();
    found.unwrap_or_else(|| panic!("no {field}: {event}"))
}
