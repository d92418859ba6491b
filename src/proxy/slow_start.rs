//! The way of a key whose seat has a replica in slow start (`--slow-start`): keys that it does not
//! take yet go to the next seat of the ring whose replica is not in slow start.

use tokio::time::Instant;

use super::roster_view::RosterView;
use crate::ring::Key;

/// Returns the index of the seat that serves `key`, which would go to `first`. Without another seat
/// that is `up` and not in slow start, it goes there nevertheless.
pub(super) fn serving_seat(
    view: &RosterView,
    key: Key,
    first: usize,
    now: Instant,
    up: impl Fn(usize) -> bool,
) -> usize {
    match view.roster.members()[first].slow_start {
        Some(started) if !started.takes(key, now.into_std()) => {
            let other = view.first_up(key, |at| up(at) && is_whole(view, at, now));
            other.unwrap_or(first)
        }
        _ => first,
    }
}

/// Returns `true` if the seat at this index is not in slow start.
pub(super) fn is_whole(view: &RosterView, at: usize, now: Instant) -> bool {
    let started = view.roster.members()[at].slow_start;
    started.is_none_or(|started| started.is_over(now.into_std()))
}
