//! Slow guard: detects a replica that is slow in comparison with the others at the same time.
//!
//! Requests in flight are no evidence: on a busy machine every replica lets them wait. The evidence
//! is what this worker counted since the replica's last timely reply: requests sent to it, and
//! timely replies of the others. A reply is timely within [`LATE_AFTER`], or within [`LATE_FACTOR`]
//! times the typical reply time of the slowest other replica.
//!
//! - *In doubt*: [`MIN_SENT`] requests without a timely reply, and [`MIN_REPLIES_ELSEWHERE`] timely
//!   replies of the others. While [`MIN_SENT`] replies are pending, further requests for the
//!   replica wait here, so that not all clients get stuck with it.
//! - *Slow*: in doubt for [`SLOW_AFTER`], or for twice the longest recent reply of the others if
//!   that is more. The limit is the greater of [`SLOW_AFTER_MAX`] and the time within which a reply
//!   is timely. Its keys go to the next seat. One request at a time still goes home as a probe.
//!   [`RECOVERY_PROBES`] timely replies in a row end the state.
//!
//! A few slow paths do not make a replica slow: one timely reply, on any path, clears the doubt. A
//! replica that gets far fewer requests than the others is not compared with them
//! ([`MAX_TRAFFIC_RATIO`]).
//!
//! Pure: the time is a parameter. Without replies of other replicas there is no verdict, so the
//! guard never avoids all replicas.

mod seat_watch;

use std::time::{Duration, Instant};

use super::SeatInput;
use seat_watch::SeatWatch;

/// Time within which a reply is timely, whatever the others take.
const LATE_AFTER: Duration = Duration::from_millis(50);
/// A reply within this multiple of the typical time of the slowest other replica is timely, too.
const LATE_FACTOR: f32 = 4.0;
/// Requests without a timely reply that put a replica in doubt. While as many replies are pending,
/// further requests wait.
const MIN_SENT: u32 = 6;
/// Timely replies of all others, in the same time, that put a replica in doubt.
const MIN_REPLIES_ELSEWHERE: u64 = 24;
/// Maximum ratio between the replies of each other replica and the requests sent to this one. Above
/// it they are not comparable, and the observation restarts.
const MAX_TRAFFIC_RATIO: u64 = 8;
/// Minimum time from the first request without a timely reply until a replica in doubt is slow. It
/// is longer than a process waits for a CPU that a few others keep busy.
const SLOW_AFTER: Duration = Duration::from_millis(400);
/// Maximum of that time, for replicas that answer some requests late: longer holds would do more
/// harm than good.
const SLOW_AFTER_MAX: Duration = Duration::from_secs(1);
/// Consecutive timely probe replies after which a replica is not slow any more.
const RECOVERY_PROBES: u32 = 4;

/// Decision about one request for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardVerdict {
    /// Send the request to the replica.
    Send,
    /// Hold the request until the replica replies to any other, at most until this time, and decide
    /// again.
    Hold(Instant),
    /// Send the request to another replica: this one is slow.
    Avoid {
        /// `true` if the replica was not slow before this request.
        news: bool,
    },
}

/// End of a request's wait for the reply head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyOutcome {
    /// The reply head arrived.
    Answer {
        /// Time at which the request was sent to the replica.
        sent: Instant,
        /// Time of the reply head.
        now: Instant,
    },
    /// The exchange waits for its client, which is no evidence about the replica.
    Client,
    /// The exchange ended without a reply.
    Gone,
}

/// Effect of the end of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// No effect.
    None,
    /// Requests on hold are decided again.
    Room,
    /// The replica is not slow any more.
    Recovered,
}

/// Guard of one worker over all replicas, in the order of the members of the last update.
#[derive(Debug, Default)]
pub(super) struct SlowGuard {
    on: bool,
    watches: Vec<SeatWatch>,
    /// Timely replies of all replicas.
    timely_replies: u64,
    /// Number of open replicas minus one.
    other_open: u64,
}

impl SlowGuard {
    /// Replaces the observed members. The observations of those that stay are kept.
    pub(super) fn update(&mut self, on: bool, members: &[SeatInput]) {
        let before = std::mem::take(&mut self.watches);
        let watch = |member: &SeatInput| {
            let mut known = before.iter();
            let known = known
                .find(|known| (known.seat, known.replica_id) == (member.seat, member.replica_id));
            let watch = known.copied().unwrap_or_else(|| SeatWatch::new(member));
            SeatWatch {
                open: member.open,
                ..watch
            }
        };
        self.on = on;
        self.watches = members.iter().map(watch).collect();
        let open = self.watches.iter().filter(|watch| watch.open);
        self.other_open = (open.count() as u64).saturating_sub(1);
    }

    /// Returns `true` if the replica at this index is slow.
    pub(super) fn is_slow(&self, at: usize) -> bool {
        let watch = self.watches.get(at);
        watch.is_some_and(|watch| watch.slow_since.is_some())
    }

    /// Decides about one more request for the replica at this index.
    pub(super) fn verdict(&mut self, at: usize, now: Instant) -> GuardVerdict {
        let Some(watch) = self.watches.get(at).filter(|_| self.on) else {
            return GuardVerdict::Send;
        };
        if watch.slow_since.is_some() {
            return match watch.probing {
                true => GuardVerdict::Avoid { news: false },
                false => GuardVerdict::Send,
            };
        }
        let is_doubtful = watch.sent_count >= MIN_SENT
            && self.timely_replies - watch.timely_at_start >= MIN_REPLIES_ELSEWHERE;
        let Some(since) = watch.since.filter(|_| watch.in_doubt || is_doubtful) else {
            return GuardVerdict::Send;
        };
        let longest = self.other_watches(at).map(|watch| 2 * watch.longest);
        let longest = longest.max().unwrap_or_default();
        let hold_time = longest.clamp(SLOW_AFTER, SLOW_AFTER_MAX);
        let deadline = since + hold_time.max(self.late_after(at));
        let watch = &mut self.watches[at];
        watch.in_doubt = true;
        if now >= deadline {
            watch.restart();
            watch.slow_since = Some(now);
            (watch.probing, watch.timely_probes) = (false, 0);
            GuardVerdict::Avoid { news: true }
        } else if watch.pending >= MIN_SENT {
            GuardVerdict::Hold(deadline)
        } else {
            GuardVerdict::Send
        }
    }

    /// Counts a request that is sent to the replica at this index.
    pub(super) fn record_sent(&mut self, at: usize, now: Instant) {
        let Some(watch) = self.watches.get_mut(at).filter(|_| self.on) else {
            return;
        };
        let answered = self.timely_replies - watch.timely_at_start;
        let incomparable =
            answered > MAX_TRAFFIC_RATIO * self.other_open * u64::from(watch.sent_count + 1);
        if watch.since.is_none() || incomparable && !watch.in_doubt {
            watch.restart();
            (watch.since, watch.timely_at_start) = (Some(now), self.timely_replies);
        }
        watch.sent_count += 1;
        watch.pending += 1;
        watch.probing = watch.slow_since.is_some();
    }

    /// Records the end of a wait for the replica at this index.
    pub(super) fn record_outcome(&mut self, at: usize, end: ReplyOutcome) -> Relief {
        let Some(watch) = self.watches.get_mut(at).filter(|_| self.on) else {
            return Relief::None;
        };
        // An end without a reply may belong to a request before the observation, which does no
        // harm.
        let is_of = |begin: Option<Instant>| match end {
            ReplyOutcome::Answer { sent, .. } => begin.is_some_and(|begin| sent >= begin),
            ReplyOutcome::Client | ReplyOutcome::Gone => true,
        };
        if is_of(watch.since) {
            watch.pending = watch.pending.saturating_sub(1);
            watch.sent_count -= u32::from(end == ReplyOutcome::Client && watch.sent_count > 0);
        }
        let probe = is_of(watch.slow_since);
        watch.probing &= !probe;
        let room = match watch.in_doubt {
            true => Relief::Room,
            false => Relief::None,
        };
        let ReplyOutcome::Answer { sent, now } = end else {
            return room;
        };
        let took = now.saturating_duration_since(sent);
        watch.record_reply_time(took, now);
        if took > LATE_AFTER && took > self.late_after(at) {
            let watch = &mut self.watches[at];
            watch.timely_probes *= u32::from(!probe);
            return room;
        }
        self.timely_replies += 1;
        let watch = &mut self.watches[at];
        if watch.slow_since.is_some() {
            watch.timely_probes += u32::from(probe);
            if watch.timely_probes < RECOVERY_PROBES {
                return Relief::None;
            }
            watch.slow_since = None;
            watch.restart();
            return Relief::Recovered;
        }
        watch.restart();
        room
    }

    /// Returns the longest time within which a reply of this replica is timely.
    fn late_after(&self, at: usize) -> Duration {
        let typical = self.other_watches(at).map(|watch| watch.typical);
        let slowest = typical.fold(0.0, f32::max);
        LATE_AFTER.max(Duration::from_secs_f32(LATE_FACTOR * slowest / 1e6))
    }

    /// Returns the other open replicas that are not slow.
    fn other_watches(&self, at: usize) -> impl Iterator<Item = &SeatWatch> {
        let all = self.watches.iter().enumerate();
        let others = all
            .filter(move |(other, watch)| *other != at && watch.open && watch.slow_since.is_none());
        others.map(|(_, watch)| watch)
    }
}

#[cfg(test)]
mod tests;
