//! Observation of one replica: requests sent, replies pending, and reply times.

use std::time::{Duration, Instant};

use crate::load::SeatInput;
use crate::ring::Seat;

/// Age at which the longest reply of a replica is forgotten.
const LONGEST_REPLY_AGE: Duration = Duration::from_secs(5);
/// Factor by which one reply moves the typical time up or down. It converges to the median of the
/// last dozens.
const TYPICAL_STEP: f32 = 1.07;

/// Observation of one replica by one worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct SeatWatch {
    pub(super) seat: Seat,
    pub(super) replica_id: u64,
    pub(super) open: bool,
    /// Time of the first request after the last timely reply.
    pub(super) since: Option<Instant>,
    /// Timely replies of all replicas at that time.
    pub(super) timely_at_start: u64,
    /// Requests since then.
    pub(super) sent_count: u32,
    /// Requests since then whose reply is pending.
    pub(super) pending: u32,
    pub(super) in_doubt: bool,
    /// Microseconds that about half of its replies take; 0 before the first reply.
    pub(super) typical: f32,
    /// Longest reply time of the last seconds, and its time.
    pub(super) longest: Duration,
    pub(super) longest_at: Option<Instant>,
    pub(super) slow_since: Option<Instant>,
    /// While slow: `true` while a probe is in flight.
    pub(super) probing: bool,
    /// While slow: consecutive timely probe replies.
    pub(super) timely_probes: u32,
}

impl SeatWatch {
    /// Starts observing a member.
    pub(super) fn new(member: &SeatInput) -> Self {
        Self {
            seat: member.seat,
            replica_id: member.replica_id,
            open: member.open,
            since: None,
            timely_at_start: 0,
            sent_count: 0,
            pending: 0,
            in_doubt: false,
            typical: 0.0,
            longest: Duration::ZERO,
            longest_at: None,
            slow_since: None,
            probing: false,
            timely_probes: 0,
        }
    }

    /// Restarts the observation.
    pub(super) fn restart(&mut self) {
        self.since = None;
        (self.sent_count, self.pending, self.in_doubt) = (0, 0, false);
    }

    /// Updates the reply times with a reply that arrived at `now`.
    pub(super) fn record_reply_time(&mut self, took: Duration, now: Instant) {
        let is_fresh = |at| now.saturating_duration_since(at) < LONGEST_REPLY_AGE;
        if took >= self.longest || !self.longest_at.is_some_and(is_fresh) {
            (self.longest, self.longest_at) = (took, Some(now));
        }
        let took = took.as_secs_f32() * 1e6;
        self.typical = match self.typical {
            0.0 => took,
            typical if took > typical => typical * TYPICAL_STEP,
            typical => typical / TYPICAL_STEP,
        };
    }
}
