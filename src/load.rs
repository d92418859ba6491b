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

pub use bound::{Bound, ParseBoundError};
pub use slow_guard::{End, Relief, Verdict};

use std::time::Instant;

use crate::ring::Seat;
use slow_guard::Guard;

/// A request counts half after so many more.
const HALF_LIFE: f64 = 20_000.0;
/// Requests that a seat may have beyond its bound, so that few requests never spill.
const SLACK: f64 = 8.0;
/// Requests of its own after which a worker reads the cells of all.
pub const FOLD_EVERY: u32 = 64;
/// No worker takes its share of all requests to be smaller than this.
const MIN_SHARE: f64 = 1.0 / 64.0;

/// A replica in its seat, as a new roster has it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Where it sits.
    pub seat: Seat,
    /// Which life it is: cells are made anew for each, and counting goes on.
    pub life: u64,
    /// Whether requests are routed to it without hesitation.
    pub open: bool,
    /// Requests for which it was chosen, summed over the cells of all workers.
    pub requests: u64,
}

#[derive(Clone, Copy, Debug)]
struct Place {
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
pub struct Balance {
    bound: Bound,
    guard: Guard,
    places: Vec<Place>,
    /// Seats of this ring in which nobody sits.
    away: Vec<Place>,
    /// A seat with a count above this is full.
    full: f64,
    /// How much one request more raises that.
    step: f64,
    /// Its own requests since the cells were last read, and their share in all of the last round.
    own: u32,
    own_share: f64,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            bound: Bound::OFF,
            guard: Guard::default(),
            places: Vec::new(),
            away: Vec::new(),
            full: f64::INFINITY,
            step: 0.0,
            own: 0,
            own_share: 1.0,
        }
    }
}

impl Balance {
    /// Takes in a new roster. `afresh`: the seats, the ring or the bound have changed, and all counts
    /// begin at 0 again: a seat that joins would draw nearly all requests otherwise. If not, whoever sits
    /// in a seat goes on with its count.
    pub fn follow(&mut self, bound: Bound, slow_guard: bool, afresh: bool, members: &[Member]) {
        self.guard.follow(slow_guard, members);
        let mut before = std::mem::take(&mut self.places);
        before.append(&mut self.away);
        if afresh {
            before.clear();
        }
        let mean = mean(&before);
        for member in members {
            let known = before.iter().position(|place| place.seat == member.seat);
            let known = known.map(|at| before.swap_remove(at));
            let mut place = known.unwrap_or(Place {
                seat: member.seat,
                life: member.life,
                open: false,
                level: false,
                folded: 0.0,
                count: 0.0,
                // What its cells hold from before a change does not count.
                read: if afresh { member.requests } else { 0 },
            });
            if place.life != member.life {
                (place.life, place.read) = (member.life, 0);
            }
            place.open = member.open;
            self.places.push(place.read_now(member.requests));
        }
        self.away = before;
        for place in &mut self.away {
            (place.open, place.level, place.count) = (false, false, 0.0);
        }
        self.bound = bound;
        self.decay(mean);
    }

    /// Takes in the requests that all cells hold, in the order of the places.
    pub fn fold(&mut self, requests: impl IntoIterator<Item = u64>) {
        let mean = mean(&self.places);
        for (place, requests) in self.places.iter_mut().zip(requests) {
            *place = place.read_now(requests);
        }
        self.decay(mean);
    }

    /// Whether the seat in this place is at its bound.
    #[must_use]
    pub fn is_full(&self, at: usize) -> bool {
        self.places[at].count > self.full
    }

    /// Of the open places that `may` serve it, the least loaded that is not slow: there goes what a full
    /// home does not take.
    #[must_use]
    pub fn least(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let places = self.places.iter().enumerate();
        let open = places.filter(|(at, place)| place.open && !self.guard.is_slow(*at) && may(*at));
        let least = open.min_by(|(_, one), (_, other)| one.count.total_cmp(&other.count));
        least.map(|(at, _)| at)
    }

    /// Whether the slow guard lets one more request go to this place.
    pub fn judge(&mut self, at: usize, now: Instant) -> Verdict {
        self.guard.judge(at, now)
    }

    /// Whether the replica in this place is slow, as far as this worker knows.
    #[must_use]
    pub fn is_slow(&self, at: usize) -> bool {
        self.guard.is_slow(at)
    }

    /// Counts a request for the one in this place, which its cells count too. Whether it is time to [`Self::fold`].
    #[must_use]
    pub fn chosen(&mut self, at: usize, now: Instant) -> bool {
        self.guard.begin(at, now);
        if self.bound.is_off() {
            return false;
        }
        if let Some(place) = self.places.get_mut(at) {
            place.count += 1.0;
            if place.level {
                self.full += self.step;
            }
        }
        self.own += 1;
        self.own == FOLD_EVERY
    }

    /// Ends a wait for this place.
    pub fn end(&mut self, at: usize, end: End) -> Relief {
        self.guard.end(at, end)
    }

    /// Ends a round of reading: what was new counts whole, what was there a little less than before.
    /// `before` is the mean of the round before: a seat that comes back to it counts as much.
    fn decay(&mut self, before: Option<f64>) {
        let fresh: f64 = self.places.iter().map(|place| place.count).sum();
        let kept = (-fresh / HALF_LIFE).exp2();
        for (at, place) in self.places.iter_mut().enumerate() {
            let level = place.open && !self.guard.is_slow(at);
            if let Some(before) = before.filter(|_| level && !place.level) {
                place.folded = place.folded.max(before);
            }
            place.level = level;
        }
        for place in self.places.iter_mut().chain(&mut self.away) {
            place.folded = place.folded * kept + place.count;
        }
        // A round that a new roster cut short says little.
        if self.own >= FOLD_EVERY / 2 {
            self.own_share = (f64::from(self.own) / fresh).clamp(MIN_SHARE, 1.0);
        }
        self.own = 0;
        for place in &mut self.places {
            place.count = place.folded;
        }
        self.level();
    }

    fn level(&mut self) {
        match mean(&self.places) {
            Some(mean) if !self.bound.is_off() => {
                let number = self.places.iter().filter(|place| place.level).count();
                self.step = self.bound.factor() / number as f64;
                self.full = self.bound.factor() * mean + SLACK;
                // What a seat is above it, all workers together make it do without, not each of them.
                for place in self.places.iter_mut().filter(|p| p.count > self.full) {
                    place.count = self.full + (place.count - self.full) * self.own_share;
                }
            }
            _ => (self.step, self.full) = (0.0, f64::INFINITY),
        }
    }
}

/// The mean count of the places that are open and not slow.
fn mean(places: &[Place]) -> Option<f64> {
    let counts = places.iter().filter(|place| place.level);
    let (number, sum) = counts.fold((0.0, 0.0), |(n, sum), place| (n + 1.0, sum + place.folded));
    (number > 0.0).then(|| sum / number)
}

impl Place {
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
