//! How long to wait before the next start: not at all, unless starts fail or deaths become a habit.
//!
//! It counts and waits for one seat, or for all standbys together; it starts nobody.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The window in which deaths are counted, and how long health must last to clear the back-off.
const WINDOW: Duration = Duration::from_secs(60);
/// Deaths within [`MEMORY`] after which a successor is still started at once.
const IMMEDIATE_RESTARTS: usize = 10;
/// The first back-off.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);
/// The longest back-off.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// What is remembered of past starts and deaths.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// No start before this time.
    pub(super) retry_at: Option<Instant>,
    back_off: Option<Duration>,
    deaths: VecDeque<Instant>,
}

impl Backoff {
    /// Whether nothing may be started yet.
    pub(super) fn must_wait(&self, now: Instant) -> bool {
        self.retry_at.is_some_and(|at| at > now)
    }

    /// One was well for so long.
    pub(super) fn reset_after(&mut self, up_for: Duration) {
        if up_for >= WINDOW {
            self.back_off = None;
        }
    }

    /// One who had answered, and was up for so long, died: the next may start at once, unless this is a habit.
    pub(super) fn record_death(&mut self, now: Instant, up_for: Option<Duration>) {
        self.reset_after(up_for.unwrap_or_default());
        self.deaths.retain(|death| now - *death < WINDOW);
        self.deaths.push_back(now);
        if self.deaths.len() <= IMMEDIATE_RESTARTS {
            self.retry_at = None;
        } else if !self.must_wait(now) {
            // Many that die together are one reason to wait, not many.
            self.record_failure(now);
        }
    }

    /// What was given time is dead for certain: the next may start at once, unless starts have failed.
    pub(super) fn is_certain(&mut self) {
        if self.back_off.is_none() {
            self.retry_at = None;
        }
    }

    /// Nothing is started for a while; every time twice as long as before.
    pub(super) fn record_failure(&mut self, now: Instant) {
        let next = self.back_off.map_or(BACK_OFF_MIN, |last| 2 * last);
        let next = next.min(BACK_OFF_MAX);
        self.back_off = Some(next);
        self.retry_at = Some(now + next);
    }
}
