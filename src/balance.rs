//! Load counters and the bound: whether a key's home takes one more request, and who does if it does not.
//!
//! Each worker has a [`Balance`] of its own, which is all that choosing reads: a decayed count of requests
//! per seat, in which the worker's own are counted at once and those of all others with every
//! [`FOLD_EVERY`]th of its own. Pure: what the cells hold comes in as values.
//!
//! Surprising: a seat that is down counts neither in the mean nor among those that overflow goes to. With
//! it in the mean, all others would be full for as long as it is down, and no key would be at home.

mod bound;

pub use bound::{Bound, ParseBoundError};

use crate::ring::Seat;

/// A request counts half after so many more.
const HALF_LIFE: f64 = 20_000.0;
/// Requests that a seat may have beyond its bound, so that few requests never spill.
const SLACK: f64 = 8.0;
/// Requests of its own after which a worker reads the cells of all.
pub const FOLD_EVERY: u32 = 64;
/// The most requests that a seat makes up for which was down: until it has, it draws nearly all.
const CATCH_UP: f64 = 1_000.0;
/// No worker takes its share of all requests to be smaller than this.
const MIN_SHARE: f64 = 1.0 / 64.0;
/// With fewer requests waiting per seat than this, on the average, nobody counts as slow.
const GUARD_FROM: f64 = 4.0;
/// How far above the mean a seat may lie that is not slow: in proportion, and in standard deviations.
const GUARD_RATIO: f64 = 1.25;
const GUARD_DEVIATIONS: f64 = 3.0;

/// What the cells of a replica say, summed over all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Requests for which it was chosen; it only grows.
    pub requests: u64,
    /// Requests that wait for the head of its reply.
    pub awaiting: u64,
}

/// A replica in its seat, as a new roster has it.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Where it sits.
    pub seat: Seat,
    /// Which life it is: cells are made anew for each, and counting goes on.
    pub life: u64,
    /// Whether requests are routed to it without hesitation.
    pub open: bool,
    /// What its cells say.
    pub reading: Reading,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    seat: Seat,
    life: u64,
    open: bool,
    /// Its decayed count when the cells were last read, and with the worker's own requests since.
    folded: f64,
    count: f64,
    /// What its cells said then.
    read: u64,
    /// Requests waiting for the head of its reply: the others' as last read, the own as they are.
    awaiting: u32,
}

/// One worker's view of the load. Places are numbered in the order of the members last given.
#[derive(Debug)]
pub struct Balance {
    bound: Bound,
    places: Vec<Place>,
    /// Seats of this ring in which nobody sits.
    away: Vec<Place>,
    /// A seat with a count above this is full.
    full: f64,
    /// How much one request more raises that.
    step: f64,
    /// One divided by the number of open places.
    share: f64,
    /// Requests waiting over all open places.
    awaiting: f64,
    /// Its own requests since the cells were last read, and their share in all of the last round.
    own: u32,
    own_share: f64,
}

impl Default for Balance {
    fn default() -> Self {
        Self {
            bound: Bound::OFF,
            places: Vec::new(),
            away: Vec::new(),
            full: f64::INFINITY,
            step: 0.0,
            share: 0.0,
            awaiting: 0.0,
            own: 0,
            own_share: 1.0,
        }
    }
}

impl Balance {
    /// Takes in a new roster. `afresh`: the seats, the ring or the bound have changed, and all counts
    /// begin at 0 again: a seat that joins would draw nearly all requests otherwise. If not, whoever sits
    /// in a seat goes on with its count.
    pub fn follow(
        &mut self,
        bound: Bound,
        afresh: bool,
        members: impl IntoIterator<Item = Member>,
    ) {
        let mean = self.mean();
        let mut before = std::mem::take(&mut self.places);
        before.append(&mut self.away);
        if afresh {
            before.clear();
        }
        for member in members {
            let known = before.iter().position(|place| place.seat == member.seat);
            let known = known.map(|at| before.swap_remove(at));
            let mut place = known.unwrap_or(Place {
                seat: member.seat,
                life: member.life,
                open: false,
                folded: 0.0,
                count: 0.0,
                // What its cells hold from before a change does not count.
                read: if afresh { member.reading.requests } else { 0 },
                awaiting: 0,
            });
            if place.life != member.life {
                (place.life, place.read) = (member.life, 0);
            }
            if let Some(mean) = mean.filter(|_| member.open && !place.open && !afresh) {
                place.folded = place.folded.max(mean - CATCH_UP);
            }
            place.open = member.open;
            self.places.push(place.read_now(member.reading));
        }
        self.away = before;
        for place in &mut self.away {
            (place.open, place.count) = (false, 0.0);
        }
        self.bound = bound;
        self.decay();
    }

    /// Takes in what all cells say, in the order of the places.
    pub fn fold(&mut self, readings: impl IntoIterator<Item = Reading>) {
        for (place, reading) in self.places.iter_mut().zip(readings) {
            *place = place.read_now(reading);
        }
        self.decay();
    }

    /// Whether the one in this place takes a request whose home it is.
    #[must_use]
    pub fn takes(&self, at: usize) -> bool {
        let place = &self.places[at];
        place.count <= self.full && !self.is_slow(place)
    }

    /// Who takes what a full or slow home does not: of the open places that `may` serve it, the least
    /// loaded.
    #[must_use]
    pub fn least(&self, may: impl Fn(usize) -> bool) -> Option<usize> {
        let open = self.places.iter().enumerate();
        let open = open.filter(|(at, place)| place.open && may(*at));
        let least = |rank: &dyn Fn(&Place) -> bool| {
            let fit = open.clone().filter(|(_, place)| rank(place));
            fit.min_by(|(_, one), (_, other)| one.count.total_cmp(&other.count))
        };
        let least = least(&|place| !self.is_slow(place)).or_else(|| least(&|_| true));
        least.map(|(at, _)| at)
    }

    /// Counts a request for the one in this place, which its cells count too. Whether it is time to [`Self::fold`].
    #[must_use]
    pub fn chosen(&mut self, at: usize) -> bool {
        if self.bound.is_off() {
            return false;
        }
        if let Some(place) = self.places.get_mut(at) {
            place.count += 1.0;
            place.awaiting += 1;
            if place.open {
                self.full += self.step;
                self.awaiting += 1.0;
            }
        }
        self.own += 1;
        self.own == FOLD_EVERY
    }

    /// The head of a reply came, or will never come.
    pub fn answered(&mut self, at: usize) {
        if let Some(place) = self.places.get_mut(at)
            && place.awaiting > 0
        {
            place.awaiting -= 1;
            if place.open {
                self.awaiting -= 1.0;
            }
        }
    }

    fn is_slow(&self, place: &Place) -> bool {
        let mean = self.awaiting * self.share;
        let waiting = f64::from(place.awaiting);
        // In the order of their cost; most often the first already says no.
        waiting > GUARD_RATIO * mean
            && mean >= GUARD_FROM
            && waiting > mean + GUARD_DEVIATIONS * mean.sqrt()
            && !self.bound.is_off()
    }

    /// The mean count of the open places.
    fn mean(&self) -> Option<f64> {
        let counts = self.places.iter().filter(|place| place.open);
        let (number, sum) =
            counts.fold((0.0, 0.0), |(n, sum), place| (n + 1.0, sum + place.folded));
        (number > 0.0).then(|| sum / number)
    }

    /// Ends a round of reading: what was new counts whole, what was there a little less than before.
    fn decay(&mut self) {
        let fresh: f64 = self.places.iter().map(|place| place.count).sum();
        let kept = (-fresh / HALF_LIFE).exp2();
        for place in self.places.iter_mut().chain(&mut self.away) {
            place.folded = place.folded * kept + place.count;
        }
        // A round that a new roster cut short says little.
        if self.own >= FOLD_EVERY / 2 {
            self.own_share = (f64::from(self.own) / fresh).clamp(MIN_SHARE, 1.0);
        }
        self.own = 0;
        self.excuse_the_slow();
        for place in &mut self.places {
            place.count = place.folded;
        }
        self.level();
    }

    /// A seat for which more requests wait than for others, although it had fewer, is slow. It need not
    /// catch up: as long as it lags, the others are full, and none of their keys is at home.
    fn excuse_the_slow(&mut self) {
        let open = || self.places.iter().filter(|place| place.open);
        let number = open().fold(0.0, |number, _| number + 1.0);
        let waiting = open().map(|place| f64::from(place.awaiting)).sum::<f64>() / number;
        let (Some(mean), true) = (self.mean(), waiting >= GUARD_FROM) else {
            return;
        };
        // All others at their bound would leave it twice as far behind.
        let least = mean * (1.0 - (self.bound.factor() - 1.0) * (number - 1.0) / 2.0);
        let open = self.places.iter_mut().filter(|place| place.open);
        for place in open.filter(|place| f64::from(place.awaiting) > waiting) {
            place.folded = place.folded.max(least);
        }
    }

    fn level(&mut self) {
        let open = || self.places.iter().filter(|place| place.open);
        let number = open().fold(0.0, |number, _| number + 1.0);
        self.awaiting = open().map(|place| f64::from(place.awaiting)).sum();
        match self.mean() {
            Some(mean) if !self.bound.is_off() => {
                self.share = 1.0 / number;
                self.step = self.bound.factor() / number;
                self.full = self.bound.factor() * mean + SLACK;
                // What a seat is above it, all workers together make it do without, not each of them.
                for place in self.places.iter_mut().filter(|p| p.count > self.full) {
                    place.count = self.full + (place.count - self.full) * self.own_share;
                }
            }
            _ => (self.share, self.step, self.full) = (0.0, 0.0, f64::INFINITY),
        }
    }
}

impl Place {
    /// The place with `count` being what is new since its cells were last read.
    fn read_now(self, reading: Reading) -> Self {
        let fresh = u32::try_from(reading.requests.saturating_sub(self.read));
        Self {
            count: f64::from(fresh.unwrap_or(u32::MAX)),
            read: reading.requests,
            awaiting: u32::try_from(reading.awaiting).unwrap_or(u32::MAX),
            ..self
        }
    }
}

#[cfg(test)]
mod tests;
