//! The state of a seat's replica in one word, as routing sees it: for `where`, `stats`, the metrics
//! and the dashboard.

use crate::roster::{Health, Member};

/// All words that [`seat_state`] returns.
pub(super) const SEAT_STATES: [&str; 7] = [
    "up", "slow", "ejected", "drained", "suspect", "down", "empty",
];

/// Returns the state of a seat's replica: `empty` without one, `drained` by an order, `slow` or
/// `ejected` while some worker diverts requests from it (`--slow-guard`, `--eject-5xx`).
pub(super) fn seat_state(member: Option<&Member>) -> &'static str {
    let Some(member) = member else {
        return "empty";
    };
    match member.health {
        Health::Down => "down",
        Health::Up | Health::Suspect if member.drained => "drained",
        Health::Suspect => "suspect",
        Health::Up if member.counters.is_ejected() => "ejected",
        Health::Up if member.counters.is_slow() => "slow",
        Health::Up => "up",
    }
}
