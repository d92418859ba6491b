//! Delay before the next start: none, unless starts fail or deaths are frequent.
//!
//! A `Backoff` counts for one seat, or for all standbys together. It never starts a replica.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Window in which deaths are counted, and time in health that resets the delay.
const WINDOW: Duration = Duration::from_secs(60);
/// Number of deaths within [`WINDOW`] after which a successor still starts at once.
const IMMEDIATE_RESTARTS: usize = 10;
/// First delay after a failure.
const BACK_OFF_MIN: Duration = Duration::from_millis(500);
/// Longest delay. The delay doubles with every failure up to this limit.
const BACK_OFF_MAX: Duration = Duration::from_secs(30);

/// Recent failures and deaths, and the delay that follows from them.
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    not_before: Option<Instant>,
    delay: Option<Duration>,
    deaths: VecDeque<Instant>,
}

impl Backoff {
    /// Time before which no start is allowed.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Forbids starts before `time`.
    pub(super) fn hold_until(&mut self, time: Instant) {
        self.not_before = Some(time);
    }

    /// Allows the next start at once. The length of the next delay is kept.
    pub(super) fn allow_now(&mut self) {
        self.not_before = None;
    }

    /// Returns `true` if no start is allowed at `now`.
    pub(super) fn must_wait(&self, now: Instant) -> bool {
        self.not_before.is_some_and(|at| at > now)
    }

    /// Resets the delay if a replica was up for at least [`WINDOW`].
    pub(super) fn reset_after(&mut self, up_for: Duration) {
        if up_for >= WINDOW {
            self.delay = None;
        }
    }

    /// Records the death of a replica that had answered and was up for `up_for`. The next start is
    /// allowed at once, unless there were more than [`IMMEDIATE_RESTARTS`] deaths within
    /// [`WINDOW`].
    pub(super) fn record_death(&mut self, now: Instant, up_for: Option<Duration>) {
        self.reset_after(up_for.unwrap_or_default());
        self.deaths.retain(|death| now - *death < WINDOW);
        self.deaths.push_back(now);
        if self.deaths.len() <= IMMEDIATE_RESTARTS {
            self.not_before = None;
        } else if !self.must_wait(now) {
            // Many replicas that die together are one failure.
            self.record_failure(now);
        }
    }

    /// Ends the wait for a replica that is now known to be dead, unless starts have failed.
    pub(super) fn confirm_death(&mut self) {
        if self.delay.is_none() {
            self.not_before = None;
        }
    }

    /// Records a failed start and doubles the delay before the next one.
    pub(super) fn record_failure(&mut self, now: Instant) {
        let next = self.delay.map_or(BACK_OFF_MIN, |last| 2 * last);
        let next = next.min(BACK_OFF_MAX);
        self.delay = Some(next);
        self.not_before = Some(now + next);
    }
}
