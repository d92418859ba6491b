//! Slow guard: finds the replica that is slow beside the others, by what all of them answer meanwhile.
//!
//! Requests in flight are no evidence: on a busy machine every replica lets them wait. The evidence about
//! a replica is what this worker saw since the replica's last answer *in time*: requests sent to it, and
//! answers in time of the others. An answer is in time within [`LATE`], or within [`LATE_FACTOR`] times
//! what the slowest of the others typically takes.
//!
//! - *In doubt*: [`ASKED`] requests without an answer in time, and [`OTHERS`] such answers of the others.
//!   Further requests for it wait here while [`ASKED`] are owed, so that not all clients get stuck with it.
//! - *Slow*: in doubt for [`SLOW_AFTER`], or twice the longest answer that the others gave of late if that
//!   is more, but for no longer than [`SLOW_AT_MOST`] or the time in which an answer is in time. Its keys go
//!   to the next seat. One request at a time still goes home as a probe; [`PROBES`] answers in time in a row
//!   end it.
//!
//! A few slow paths do not make a replica slow: one timely answer, on any path, clears the doubt, and a
//! replica that is asked much less than the others is not compared with them ([`UNLIKE`]).
//!
//! Pure: the time comes in as a value. Without answers of others there is no verdict, so the guard never
//! turns away from all replicas.

use std::time::{Duration, Instant};

use super::SeatInput;
use crate::ring::Seat;

/// An answer within this time is in time, whatever the others take.
const LATE_AFTER: Duration = Duration::from_millis(50);
/// An answer within so many times the typical answer of the slowest other replica is in time, too.
const LATE_FACTOR: f32 = 4.0;
/// Requests without an answer in time that put a replica in doubt; so many may be owed while it is.
const MIN_SENT: u32 = 6;
/// Answers in time of all others, in the same time, that put a replica in doubt.
const MIN_REPLIES_ELSEWHERE: u64 = 24;
/// A replica of which each of the others answered more than so many times as many requests as it was
/// asked is not comparable, and observing it starts again.
const MIN_UNLIKELY: u64 = 8;
/// From the first request without an answer in time until a replica in doubt is slow, at least. Longer
/// than a process waits for a CPU that a few others keep busy.
const SLOW_AFTER: Duration = Duration::from_millis(400);
/// The same at most, for replicas that answer some requests late: longer holds would hurt more than help.
const SLOW_AT_MOST: Duration = Duration::from_secs(1);
/// Age at which the longest answer of a replica is forgotten.
const MAX_SLOW_TIME: Duration = Duration::from_secs(5);
/// Probes answered in time, one after the other, that end a replica's being slow.
const SLOW_PROBES: u32 = 4;
/// Factor by which one answer moves the typical time up or down: to the median of the last dozens.
const TYPICAL_STEP: f32 = 1.07;

/// Decision about one request for a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardVerdict {
    /// Send it there.
    Send,
    /// Wait until the replica answers anything, at most until this time, and judge again.
    Hold(Instant),
    /// Send it elsewhere: the replica is slow. `news`: it was not before.
    Avoid {
        /// Whether this request found it out.
        news: bool,
    },
}

/// End of a replica's being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyOutcome {
    /// The head of its reply came.
    Answer {
        /// Time at which the request was given to the replica.
        sent: Instant,
        /// Time of the answer.
        now: Instant,
    },
    /// The exchange waits for its client: nothing can be said of the replica.
    Client,
    /// The exchange ended without a reply.
    Gone,
}

/// What the end of a wait brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// Nothing.
    None,
    /// Requests on hold are judged again.
    Room,
    /// The replica is not slow any more.
    Recovered,
}

/// One worker's observation of one replica.
#[derive(Clone, Copy, Debug)]
struct SeatWatch {
    seat: Seat,
    life: u64,
    open: bool,
    /// Time of the first request after its last answer in time, and the others' answers at that time.
    since: Option<Instant>,
    others: u64,
    /// Requests since then, and those of them that are owed an answer.
    asked: u32,
    owed: u32,
    in_doubt: bool,
    /// Microseconds that about half of its answers take; 0 before the first.
    typical: f32,
    /// The longest answer of the last seconds, and when it came.
    longest: Duration,
    longest_at: Option<Instant>,
    slow_since: Option<Instant>,
    /// While slow: whether a probe is under way, and how many were answered in time, in a row.
    probing: bool,
    probed: u32,
}

/// One worker's guard over all replicas, in the order of the members last given.
#[derive(Debug, Default)]
pub(super) struct SlowGuard {
    on: bool,
    watches: Vec<SeatWatch>,
    /// Answers in time of all replicas.
    in_time: u64,
    /// Open replicas beside one of them.
    beside: u64,
}

impl SlowGuard {
    /// Observes these members from now on; what is known of those that stay is kept.
    pub(super) fn update(&mut self, on: bool, members: &[SeatInput]) {
        let before = std::mem::take(&mut self.watches);
        let watch = |member: &SeatInput| {
            let mut known = before.iter();
            let known =
                known.find(|known| (known.seat, known.life) == (member.seat, member.replica_id));
            let watch = known.copied().unwrap_or_else(|| SeatWatch::new(member));
            SeatWatch {
                open: member.open,
                ..watch
            }
        };
        self.on = on;
        self.watches = members.iter().map(watch).collect();
        let open = self.watches.iter().filter(|watch| watch.open);
        self.beside = (open.count() as u64).saturating_sub(1);
    }

    /// Whether the replica in this place is slow.
    pub(super) fn is_slow(&self, at: usize) -> bool {
        let watch = self.watches.get(at);
        watch.is_some_and(|watch| watch.slow_since.is_some())
    }

    /// Judges the replica in this place for one more request.
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
        let enough =
            watch.asked >= MIN_SENT && self.in_time - watch.others >= MIN_REPLIES_ELSEWHERE;
        let Some(since) = watch.since.filter(|_| watch.in_doubt || enough) else {
            return GuardVerdict::Send;
        };
        let longest = self.replies_elsewhere(at).map(|watch| 2 * watch.longest);
        let longest = longest.max().unwrap_or_default();
        let patience = longest.clamp(SLOW_AFTER, SLOW_AT_MOST);
        let due = since + patience.max(self.judge_waiting(at));
        let watch = &mut self.watches[at];
        watch.in_doubt = true;
        if now >= due {
            watch.forget();
            watch.slow_since = Some(now);
            (watch.probing, watch.probed) = (false, 0);
            GuardVerdict::Avoid { news: true }
        } else if watch.owed >= MIN_SENT {
            GuardVerdict::Hold(due)
        } else {
            GuardVerdict::Send
        }
    }

    /// Counts a request that is sent to this place.
    pub(super) fn record_sent(&mut self, at: usize, now: Instant) {
        let Some(watch) = self.watches.get_mut(at).filter(|_| self.on) else {
            return;
        };
        let answered = self.in_time - watch.others;
        let unlike = answered > MIN_UNLIKELY * self.beside * u64::from(watch.asked + 1);
        if watch.since.is_none() || unlike && !watch.in_doubt {
            watch.forget();
            (watch.since, watch.others) = (Some(now), self.in_time);
        }
        watch.asked += 1;
        watch.owed += 1;
        watch.probing = watch.slow_since.is_some();
    }

    /// Counts the end of a wait for this place.
    pub(super) fn record_outcome(&mut self, at: usize, end: ReplyOutcome) -> Relief {
        let Some(watch) = self.watches.get_mut(at).filter(|_| self.on) else {
            return Relief::None;
        };
        // Without an answer it may be older than the observation: that does no harm.
        let is_of = |begin: Option<Instant>| match end {
            ReplyOutcome::Answer { sent, .. } => begin.is_some_and(|begin| sent >= begin),
            ReplyOutcome::Client | ReplyOutcome::Gone => true,
        };
        if is_of(watch.since) {
            watch.owed = watch.owed.saturating_sub(1);
            watch.asked -= u32::from(end == ReplyOutcome::Client && watch.asked > 0);
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
        watch.learn_typical(took, now);
        if took > LATE_AFTER && took > self.judge_waiting(at) {
            let watch = &mut self.watches[at];
            watch.probed *= u32::from(!probe);
            return room;
        }
        self.in_time += 1;
        let watch = &mut self.watches[at];
        if watch.slow_since.is_some() {
            watch.probed += u32::from(probe);
            if watch.probed < SLOW_PROBES {
                return Relief::None;
            }
            watch.slow_since = None;
            watch.forget();
            return Relief::Recovered;
        }
        watch.forget();
        room
    }

    /// The longest time of an answer of this place that is in time.
    fn judge_waiting(&self, at: usize) -> Duration {
        let typical = self.replies_elsewhere(at).map(|watch| watch.typical);
        let slowest = typical.fold(0.0, f32::max);
        LATE_AFTER.max(Duration::from_secs_f32(LATE_FACTOR * slowest / 1e6))
    }

    /// The open replicas beside the one in this place that are not slow.
    fn replies_elsewhere(&self, at: usize) -> impl Iterator<Item = &SeatWatch> {
        let all = self.watches.iter().enumerate();
        let others = all
            .filter(move |(other, watch)| *other != at && watch.open && watch.slow_since.is_none());
        others.map(|(_, watch)| watch)
    }
}

impl SeatWatch {
    fn new(member: &SeatInput) -> Self {
        Self {
            seat: member.seat,
            life: member.replica_id,
            open: member.open,
            since: None,
            others: 0,
            asked: 0,
            owed: 0,
            in_doubt: false,
            typical: 0.0,
            longest: Duration::ZERO,
            longest_at: None,
            slow_since: None,
            probing: false,
            probed: 0,
        }
    }

    /// Starts observing again.
    fn forget(&mut self) {
        self.since = None;
        (self.asked, self.owed, self.in_doubt) = (0, 0, false);
    }

    /// Takes in the time of an answer that came now.
    fn learn_typical(&mut self, took: Duration, now: Instant) {
        let is_fresh = |at| now.saturating_duration_since(at) < MAX_SLOW_TIME;
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

#[cfg(test)]
mod tests;
