//! Filling seats: a wanted seat without a living holder gets a successor, unless it must wait.
//!
//! It decides when, never whether somebody is dead. Surprising: when more than half of the seats fall
//! silent within one interval, it is more likely that we hung than that they did; so nobody silent is
//! replaced for a while, and then one seat at a time. Those dead for certain are replaced all the same.

use std::time::Duration;

use super::seats::SeatRecord;
use super::{Environment, Ownership, Phase, Plan};
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// How long nobody is replaced after many fell silent at once.
const MASS_SILENCE_HOLD: Duration = Duration::from_secs(2);
/// With fewer seats than this, "more than half" is no sign of our own fault.
const MASS_SILENCE_SEATS: usize = 3;

impl Plan {
    /// Starts a successor for every seat that should have one by now.
    pub(super) fn fill(&mut self, world: &mut dyn Environment) {
        if self.policy.keeper == Management::External || self.hold == Ownership::Released {
            return;
        }
        let mut allowed = self.allowed_for_silent();
        for at in 0..self.places.len() {
            let place = &self.places[at];
            let waits = place.patience.must_wait(self.now);
            if place.leaving || place.is_filled() || place.successor.is_some() || waits {
                continue;
            }
            if self.is_left_to_old_balancer(place) {
                continue;
            }
            let is_empty = !place.is_held();
            if self.is_silent(place) {
                if allowed == 0 {
                    continue;
                }
                allowed -= 1;
            }
            if !is_empty || !self.promote(at) {
                self.start_successor(at, world);
            }
        }
    }

    /// Starts one for the place at `at`, which has no successor.
    pub(super) fn start_successor(&mut self, at: usize, world: &mut dyn Environment) {
        let place = &self.places[at];
        let (seat, first) = (place.seat, place.first_name.clone());
        let name = if place.holder.is_none() && !self.is_in_use(&first) {
            first
        } else {
            self.free_name(world)
        };
        self.places[at].successor = Some(self.start(Some(seat), name));
    }

    /// How many silent seats may get a successor now.
    fn allowed_for_silent(&mut self) -> usize {
        let silent = self.places.iter().filter(|place| self.is_silent(place));
        let (all, filling) = silent.fold((0, 0), |(all, filling), place| {
            (all + 1, filling + usize::from(place.successor.is_some()))
        });
        if all == 0 {
            self.held_until = None;
        }
        match self.held_until {
            None => usize::MAX,
            Some(until) if self.now < until => 0,
            Some(_) => 1_usize.saturating_sub(filling),
        }
    }

    /// Whether its holder may speak again.
    fn is_silent(&self, place: &SeatRecord) -> bool {
        let holder = place.holder.as_ref().map(|holder| holder.id);
        let silent = |id| self.phase(id) == Some(Phase::Unresponsive) || self.is_unresponsive(id);
        !place.leaving && holder.is_some_and(silent)
    }

    /// A random name that nobody has.
    pub(super) fn free_name(&self, world: &mut dyn Environment) -> ReplicaName {
        loop {
            let name = world.name();
            if !self.is_taken(&name) {
                return name;
            }
        }
    }

    /// A seat fell silent: perhaps it is us.
    pub(super) fn record_silence(&mut self, seat: Seat, name: ReplicaName) {
        let (now, interval) = (self.now, self.policy.interval);
        self.silences.retain(|at| now - *at <= interval);
        self.silences.push_back(now);
        let (silent, wanted) = (self.silences.len(), self.wanted());
        let many = wanted >= MASS_SILENCE_SEATS && 2 * silent > wanted;
        if !many || self.held_until.is_some() || self.policy.keeper == Management::External {
            return;
        }
        self.held_until = Some(now + MASS_SILENCE_HOLD);
        let reason = format!("{silent} of {wanted} seats fell silent within {interval:?}");
        self.record(EventKind::Held, seat, name, reason, |_| {});
        let silent = self.places.iter().filter(|place| self.is_silent(place));
        for seat in silent.map(|place| place.seat).collect::<Vec<_>>() {
            if !self.is_step_for(seat) {
                self.cancel_successor(seat, "replacing is held back");
            }
        }
    }

    /// Removes the one that is being started for `seat`, if there is one.
    pub(super) fn cancel_successor(&mut self, seat: Seat, reason: &str) {
        let successor = self.place_mut(seat).and_then(|p| p.successor.take());
        let Some(id) = successor else { return };
        if let Some(life) = self.lives.get(&id) {
            let name = life.name.clone();
            self.record(EventKind::Withdrawn, seat, name, reason, |_| {});
        }
        self.remove(id, StopMode::Kill);
    }
}
