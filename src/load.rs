//! Load counters, the bound and the slow guard: whether the replica of a key's home takes one more request,
//! and which replica takes it otherwise.
//!
//! Each worker has a [`Balance`] of its own, which is all that choosing reads: a decayed count of requests
//! per seat, in which the worker's own are counted at once and those of all others with every
//! [`FOLD_EVERY`]th of its own. Pure: what the cells hold and the time come in as values.
//!
//! A seat that is down or slow counts neither in the mean nor among those that overflow goes to. With it in
//! the mean, all others would be full for as long as it lasts, and no key would be at home. When the seat is
//! back it counts as much as the mean: a seat that had to catch up would draw the requests of all others.

mod bound;
mod slow_guard;

pub use bound::{LoadBound, ParseLoadBoundError};
pub use slow_guard::{GuardVerdict, Relief, ReplyOutcome};

use std::time::Instant;

use crate::ring::Seat;
use slow_guard::SlowGuard;

/// A request counts half after so many more.
const LOAD_HALF_LIFE: f64 = 20_000.0;
/// Requests that a seat may have beyond its bound, so that few requests never spill.
const BOUND_SLACK: f64 = 8.0;
/// Requests of its own after which a worker reads the cells of all.
pub const MERGE_INTERVAL: u32 = 64;
/// No worker takes its share of all requests to be smaller than this.
const MIN_OWN_SHARE: f64 = 1.0 / 64.0;

/// A replica in its seat, as a new roster has it.
#[derive(Clone, Copy, Debug)]
pub struct SeatInput {
    /// Where it sits.
    pub seat: Seat,
    /// Which life it is: cells are made anew for each, and counting goes on.
    pub replica_id: u64,
    /// Whether requests are routed to it without hesitation.
    pub open: bool,
    /// Requests for which it was chosen, summed over the cells of all workers.
    pub requests: u64,
}

#[derive(Clone, Copy, Debug)]
struct SeatLoad {
    seat: Seat,
    life: u64,
    open: bool,
    /// Whether it counted in the mean when that was last worked out: it was open and not slow.
    level: bool,
    /// Its decayed count when the cells were last read, and with the worker's own requests since.
    folded: f64,
    count: f64,
    /// What its cells said then.
    read: u64,
}

/// One worker's view of the load. Places are numbered in the order of the members last given.
#[derive(Debug)]
pub struct LoadView {
    bound: LoadBound,
    guard: SlowGuard,
    seats: Vec<SeatLoad>,
    /// Seats of this ring in which nobody sits.
    absent: Vec<SeatLoad>,
    /// A seat with a count above this is full.
    threshold: f64,
    /// How much one request more raises that.
    threshold_step: f64,
    /// Its own requests since the cells were last read, and their share in all of the last round.
    own_choices: u32,
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
    /// Takes in a new roster. `afresh`: the seats, the ring or the bound have changed, and all counts
    /// begin at 0 again: a seat that joins would draw nearly all requests otherwise. If not, whoever sits
    /// in a seat goes on with its count.
    pub fn update(
        &mut self,
        bound: LoadBound,
        slow_guard: bool,
        afresh: bool,
        members: &[SeatInput],
    ) {
        self.guard.update(slow_guard, members);
        let mut before = std::mem::take(&mut self.seats);
        before.append(&mut self.absent);
        if afresh {
            before.clear();
        }
        let mean = mean(&before);
        for member in members {
            let known = before.iter().position(|place| place.seat == member.seat);
            let known = known.map(|at| before.swap_remove(at));
            let mut place = known.unwrap_or(SeatLoad {
                seat: member.seat,
                life: member.replica_id,
                open: false,
                level: false,
                folded: 0.0,
                count: 0.0,
                // What its cells hold from before a change does not count.
                read: if afresh { member.requests } else { 0 },
            });
            if place.life != member.replica_id {
                (place.life, place.read) = (member.replica_id, 0);
            }
            place.open = member.open;
            self.seats.push(place.read_now(member.requests));
        }
        self.absent = before;
        for place in &mut self.absent {
            (place.open, place.level, place.count) = (false, false, 0.0);
        }
        self.bound = bound;
        self.decay(mean);
    }

    /// Takes in the requests that all cells hold, in the order of the places.
    pub fn merge(&mut self, requests: impl IntoIterator<Item = u64>) {
        let mean = mean(&self.seats);
        for (place, requests) in self.seats.iter_mut().zip(requests) {
            *place = place.read_now(requests);
        }
        self.decay(mean);
    }

    /// Whether the seat in this place is at its bound.
    #[must_use]
    pub fn is_full(&self, at: usize) -> bool {
        self.seats[at].count > self.threshold
    }

    /// Of the open places that `may` serve it, the least loaded that is not slow: there goes what a full
    /// home does not take.
    #[must_use]
    pub fn least_loaded(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let places = self.seats.iter().enumerate();
        let open = places.filter(|(at, place)| place.open && !self.guard.is_slow(*at) && may(*at));
        let least = open.min_by(|(_, one), (_, other)| one.count.total_cmp(&other.count));
        least.map(|(at, _)| at)
    }

    /// Whether the slow guard lets one more request go to this place.
    pub fn verdict(&mut self, at: usize, now: Instant) -> GuardVerdict {
        self.guard.verdict(at, now)
    }

    /// Whether the replica in this place is slow, as far as this worker knows.
    #[must_use]
    pub fn is_slow(&self, at: usize) -> bool {
        self.guard.is_slow(at)
    }

    /// Counts a request for the one in this place, which its cells count too. Whether it is time to [`Self::fold`].
    #[must_use]
    pub fn record_choice(&mut self, at: usize, now: Instant) -> bool {
        self.guard.record_sent(at, now);
        if self.bound.is_off() {
            return false;
        }
        if let Some(place) = self.seats.get_mut(at) {
            place.count += 1.0;
            if place.level {
                self.threshold += self.threshold_step;
            }
        }
        self.own_choices += 1;
        self.own_choices == MERGE_INTERVAL
    }

    /// Ends a wait for this place.
    pub fn record_end(&mut self, at: usize, end: ReplyOutcome) -> Relief {
        self.guard.record_outcome(at, end)
    }

    /// Ends a round of reading: what was new counts whole, what was there a little less than before.
    /// `before` is the mean of the round before: a seat that comes back to it counts as much.
    fn decay(&mut self, before: Option<f64>) {
        let fresh: f64 = self.seats.iter().map(|place| place.count).sum();
        let kept = (-fresh / LOAD_HALF_LIFE).exp2();
        for (at, place) in self.seats.iter_mut().enumerate() {
            let level = place.open && !self.guard.is_slow(at);
            if let Some(before) = before.filter(|_| level && !place.level) {
                place.folded = place.folded.max(before);
            }
            place.level = level;
        }
        for place in self.seats.iter_mut().chain(&mut self.absent) {
            place.folded = place.folded * kept + place.count;
        }
        // A round that a new roster cut short says little.
        if self.own_choices >= MERGE_INTERVAL / 2 {
            self.own_share = (f64::from(self.own_choices) / fresh).clamp(MIN_OWN_SHARE, 1.0);
        }
        self.own_choices = 0;
        for place in &mut self.seats {
            place.count = place.folded;
        }
        self.recompute_threshold();
    }

    fn recompute_threshold(&mut self) {
        match mean(&self.seats) {
            Some(mean) if !self.bound.is_off() => {
                let number = self.seats.iter().filter(|place| place.level).count();
                self.threshold_step = self.bound.factor() / number as f64;
                self.threshold = self.bound.factor() * mean + BOUND_SLACK;
                // What a seat is above it, all workers together make it do without, not each of them.
                for place in self.seats.iter_mut().filter(|p| p.count > self.threshold) {
                    place.count = self.threshold + (place.count - self.threshold) * self.own_share;
                }
            }
            _ => (self.threshold_step, self.threshold) = (0.0, f64::INFINITY),
        }
    }
}

/// The mean count of the places that are open and not slow.
fn mean(places: &[SeatLoad]) -> Option<f64> {
    let counts = places.iter().filter(|place| place.level);
    let (number, sum) = counts.fold((0.0, 0.0), |(n, sum), place| (n + 1.0, sum + place.folded));
    (number > 0.0).then(|| sum / number)
}

impl SeatLoad {
    /// The place with `count` being what is new since its cells were last read.
    fn read_now(self, requests: u64) -> Self {
        let fresh = u32::try_from(requests.saturating_sub(self.read));
        Self {
            count: f64::from(fresh.unwrap_or(u32::MAX)),
            read: requests,
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
