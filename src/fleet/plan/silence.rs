//! Length of a replica's silence: the time without an answer that nothing explains.
//!
//! A missed heartbeat proves little: a replica whose event loop computes answers nothing meanwhile.
//! So routing skips a silent replica after a few misses, and it is killed only after a long
//! silence. The clock restarts while bytes of the replica's replies arrive. It stands still while
//! the replica holds a request with which another replica fell silent before. It also stands still,
//! for at most [`BUSY_AT_MOST`], while the replica serves the only connection that it accepts.

use std::time::{Duration, Instant};

use super::types::Traffic;

/// Time for which requests under way explain the silence of a replica that serves one connection at
/// a time. A longer computation cannot be told from a replica that is stuck.
const BUSY_AT_MOST: Duration = Duration::from_secs(30);

/// Run of unanswered heartbeats.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    /// Time at which the first of them was sent, or of the last explanation.
    since: Instant,
    /// Time at which the first of them was sent, or of the last bytes of the replica's replies.
    mute_since: Instant,
    /// Bytes of the replica's replies at the last miss.
    replied: u64,
}

impl Silence {
    /// Silence that begins with an unanswered heartbeat, sent at `sent`.
    pub(super) fn new(sent: Instant, traffic: Traffic) -> Self {
        Self {
            since: sent,
            mute_since: sent,
            replied: traffic.replied,
        }
    }

    /// Restarts the clock if the traffic at `now` explains the silence. `iterative` replicas serve
    /// one connection at a time. Returns `true` for one that is busy with it, so that the heartbeat
    /// only waits for its turn.
    pub(super) fn account_for(&mut self, traffic: Traffic, iterative: bool, now: Instant) -> bool {
        if self.replied != traffic.replied {
            self.replied = traffic.replied;
            self.mute_since = now;
            self.since = now;
        }
        let mute_for = now.saturating_duration_since(self.mute_since);
        let is_busy = iterative && traffic.in_flight > 0 && mute_for < BUSY_AT_MOST;
        if traffic.slow > 0 || is_busy {
            self.since = now;
        }
        is_busy
    }

    /// Returns the unexplained time at `now`.
    pub(super) fn lasted(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }
}
