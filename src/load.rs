//! Load counters, the load bound and the slow guard. They decide whether the replica of a key's
//! home seat takes one more request, and which replica takes it otherwise.
//!
//! Each worker has its own [`LoadView`], and routing reads nothing else: a decayed count of
//! requests per seat. The worker's own requests are counted at once. Those of all workers are
//! merged after every [`MERGE_INTERVAL`]th request of its own. Pure: counter values and the time
//! are parameters.
//!
//! A seat of weight 2 may have twice the load of one of weight 1.
//!
//! A seat that is down or slow counts neither in the mean nor as a target of overflow. If it
//! counted in the mean, all other seats would be full for the whole outage, and no key would be at
//! home. A seat that returns starts at the mean: if it had to catch up, it would draw the requests
//! of all others.

mod bound;
mod error_guard;
mod seat_input;
mod slow_guard;
mod slow_start;

pub use bound::{LoadBound, ParseLoadBoundError};
pub use error_guard::{
    EjectionRule, ErrorEvidence, ErrorVerdict, ErrorWatch, ParseEjectionRuleError,
};
pub use seat_input::SeatInput;
pub use slow_guard::{GuardVerdict, Relief, ReplyOutcome};
pub use slow_start::SlowStart;

use std::time::Instant;

use crate::ring::Seat;
use slow_guard::SlowGuard;

/// Number of later requests after which a request counts half.
const LOAD_HALF_LIFE: f64 = 20_000.0;
/// Requests that a seat may have above its bound, so that a few requests never spill.
const BOUND_SLACK: f64 = 8.0;
/// Number of its own requests after which a worker merges the counters of all workers.
pub const MERGE_INTERVAL: u32 = 64;
/// Lower limit of the share in all requests that a worker assumes for itself.
const MIN_OWN_SHARE: f64 = 1.0 / 64.0;

/// Recent load of one seat.
#[derive(Clone, Copy, Debug)]
struct SeatLoad {
    seat: Seat,
    replica_id: u64,
    weight: f64,
    open: bool,
    /// `true` if the seat was open and not slow at the last decay, so that it counts in the mean.
    in_mean: bool,
    /// Decayed count at the last merge.
    decayed: f64,
    /// Decayed count with the worker's own requests since.
    count: f64,
    /// Value of its counters at the last merge.
    last_read: u64,
}

/// View of the load in one worker. Indices follow the order of the members of the last update.
#[derive(Debug)]
pub struct LoadView {
    bound: LoadBound,
    guard: SlowGuard,
    seats: Vec<SeatLoad>,
    /// Seats of this ring that have no replica.
    absent: Vec<SeatLoad>,
    /// Count by weight above which a seat is full.
    threshold: f64,
    /// Increase of the threshold for each further request.
    threshold_step: f64,
    /// The worker's own requests since the last merge.
    own_choices: u32,
    /// Their share in all requests of the last merge round.
    own_share: f64,
}

impl Default for LoadView {
    fn default() -> Self {
        Self {
            bound: LoadBound::OFF,
            guard: SlowGuard::default(),
            seats: Vec::new(),
            absent: Vec::new(),
            threshold: f64::INFINITY,
            threshold_step: 0.0,
            own_choices: 0,
            own_share: 1.0,
        }
    }
}

impl LoadView {
    /// Adopts a new roster.
    ///
    /// With `reset`, because the seats, the ring or the bound have changed, all counts start at 0
    /// again: otherwise a seat that joins would draw nearly all requests. Without it, each seat
    /// keeps its count, also when its replica has changed.
    pub fn update(
        &mut self,
        bound: LoadBound,
        slow_guard: bool,
        reset: bool,
        members: &[SeatInput],
    ) {
        self.guard.update(slow_guard, members);
        let mut before = std::mem::take(&mut self.seats);
        before.append(&mut self.absent);
        if reset {
            before.clear();
        }
        let mean = mean(&before);
        for member in members {
            let known = before.iter().position(|load| load.seat == member.seat);
            let known = known.map(|at| before.swap_remove(at));
            let mut load = known.unwrap_or(SeatLoad {
                seat: member.seat,
                replica_id: member.replica_id,
                weight: 1.0,
                open: false,
                in_mean: false,
                decayed: 0.0,
                count: 0.0,
                // Requests from before a reset do not count.
                last_read: if reset { member.requests } else { 0 },
            });
            if load.replica_id != member.replica_id {
                (load.replica_id, load.last_read) = (member.replica_id, 0);
            }
            load.open = member.open;
            load.weight = f64::from(member.weight.get());
            self.seats.push(load.with_requests(member.requests));
        }
        self.absent = before;
        for load in &mut self.absent {
            (load.open, load.in_mean, load.count) = (false, false, 0.0);
        }
        self.bound = bound;
        self.decay(mean);
    }

    /// Merges the counters of all workers, in the order of the members.
    pub fn merge(&mut self, requests: impl IntoIterator<Item = u64>) {
        let mean = mean(&self.seats);
        for (load, requests) in self.seats.iter_mut().zip(requests) {
            *load = load.with_requests(requests);
        }
        self.decay(mean);
    }

    /// Returns `true` if the seat at this index is above its bound.
    #[must_use]
    pub fn is_full(&self, at: usize) -> bool {
        let load = &self.seats[at];
        load.count > self.threshold * load.weight
    }

    /// Returns the open seat with the least load by weight that is not slow and passes `may`. It
    /// takes the requests that a full home seat does not take.
    #[must_use]
    pub fn least_loaded(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let loads = self.seats.iter().enumerate();
        let open = loads.filter(|(at, load)| load.open && !self.guard.is_slow(*at) && may(*at));
        let by_weight = |load: &SeatLoad| load.count / load.weight;
        let least = open.min_by(|(_, one), (_, other)| by_weight(one).total_cmp(&by_weight(other)));
        least.map(|(at, _)| at)
    }

    /// Returns the slow guard's decision about one more request for this seat.
    pub fn verdict(&mut self, at: usize, now: Instant) -> GuardVerdict {
        self.guard.verdict(at, now)
    }

    /// Returns `true` if this worker considers the replica at this index slow.
    #[must_use]
    pub fn is_slow(&self, at: usize) -> bool {
        self.guard.is_slow(at)
    }

    /// Counts a request for this seat; the caller counts it in the replica's counters too. Returns
    /// `true` when [`Self::merge`] is due.
    #[must_use]
    pub fn record_choice(&mut self, at: usize, now: Instant) -> bool {
        self.guard.record_sent(at, now);
        if self.bound.is_off() {
            return false;
        }
        if let Some(load) = self.seats.get_mut(at) {
            load.count += 1.0;
            if load.in_mean {
                self.threshold += self.threshold_step;
            }
        }
        self.own_choices += 1;
        self.own_choices == MERGE_INTERVAL
    }

    /// Records the end of a request's wait for this seat's reply head.
    pub fn record_end(&mut self, at: usize, end: ReplyOutcome) -> Relief {
        self.guard.record_outcome(at, end)
    }

    /// Ends a merge round: new requests count whole, older ones decay. `before` is the mean of the
    /// previous round, with which a returning seat starts.
    fn decay(&mut self, before: Option<f64>) {
        let new_requests: f64 = self.seats.iter().map(|load| load.count).sum();
        let factor = (-new_requests / LOAD_HALF_LIFE).exp2();
        for (at, load) in self.seats.iter_mut().enumerate() {
            let in_mean = load.open && !self.guard.is_slow(at);
            if let Some(before) = before.filter(|_| in_mean && !load.in_mean) {
                load.decayed = load.decayed.max(before * load.weight);
            }
            load.in_mean = in_mean;
        }
        for load in self.seats.iter_mut().chain(&mut self.absent) {
            load.decayed = load.decayed * factor + load.count;
        }
        // After a round that a new roster cut short, the share would be inaccurate.
        if self.own_choices >= MERGE_INTERVAL / 2 {
            self.own_share = (f64::from(self.own_choices) / new_requests).clamp(MIN_OWN_SHARE, 1.0);
        }
        self.own_choices = 0;
        for load in &mut self.seats {
            load.count = load.decayed;
        }
        self.recompute_threshold();
    }

    fn recompute_threshold(&mut self) {
        match mean(&self.seats) {
            Some(mean) if !self.bound.is_off() => {
                let counted = self.seats.iter().filter(|load| load.in_mean);
                let weights: f64 = counted.map(|load| load.weight).sum();
                self.threshold_step = self.bound.factor() / weights;
                self.threshold = self.bound.factor() * mean + BOUND_SLACK;
                // The workers reduce the excess together, so each of them takes only its own share.
                for load in &mut self.seats {
                    let limit = self.threshold * load.weight;
                    if load.count > limit {
                        load.count = limit + (load.count - limit) * self.own_share;
                    }
                }
            }
            _ => (self.threshold_step, self.threshold) = (0.0, f64::INFINITY),
        }
    }
}

/// Returns the mean count by weight of the seats that are open and not slow.
fn mean(loads: &[SeatLoad]) -> Option<f64> {
    let counts = loads.iter().filter(|load| load.in_mean);
    let (weights, sum) = counts.fold((0.0, 0.0), |(weights, sum), load| {
        (weights + load.weight, sum + load.decayed)
    });
    (weights > 0.0).then(|| sum / weights)
}

impl SeatLoad {
    /// Returns the seat with `count` set to the requests since the last read of its counters.
    fn with_requests(self, requests: u64) -> Self {
        let new_requests = u32::try_from(requests.saturating_sub(self.last_read));
        Self {
            count: f64::from(new_requests.unwrap_or(u32::MAX)),
            last_read: requests,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
