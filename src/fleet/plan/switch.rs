//! A change of how keys are given out: another kind of ring, another bound. Seats and replicas stay as
//! they are, so it is done in one step, and the next roster has it.
//!
//! Surprising: a bound that was never given changes with the ring, since the coursework's rings have none.

use std::collections::BTreeSet;

use super::{Action, Plan};
use crate::admin::{Answer, Refusal};
use crate::balance::Bound;
use crate::ring::{Seat, Spec};

impl Plan {
    /// The bound in force.
    pub(super) fn bound(&self) -> Bound {
        let given = self.policy.bound;
        given.unwrap_or_else(|| Bound::fit_for(&self.policy.ring))
    }

    /// Gives the keys out by `spec`, or changes nothing when that has no room for the seats.
    pub(super) fn switch_ring(&mut self, spec: Spec) -> Answer {
        let staying = self.places.iter().filter(|place| !place.leaving);
        let seats: BTreeSet<Seat> = staying.map(|place| place.seat).collect();
        let ring = spec.build(&seats);
        self.ring = ring.map_err(|err| Refusal::bad(err.to_string()))?;
        let before = std::mem::replace(&mut self.policy.ring, spec);
        self.changed = true;
        let (after, bound) = (&self.policy.ring, self.bound());
        let line = format!("the ring is {after}, it was {before}; the bound is {bound}");
        self.actions.push(Action::Tell(line));
        Ok(self.listed())
    }

    /// Lets loads lie so far above the mean.
    pub(super) fn switch_bound(&mut self, bound: Bound) {
        let before = self.bound();
        self.policy.bound = Some(bound);
        self.changed |= before != bound;
        let line = format!("the bound is {bound}, it was {before}");
        self.actions.push(Action::Tell(line));
    }
}
