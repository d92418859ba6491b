//! A change of how keys are given out: another kind of ring, another bound. Seats and replicas stay as
//! they are, so it is done in one step, and the next roster has it.

use std::collections::BTreeSet;

use super::{Action, Plan, Ticket};
use crate::fleet::events::{Dial, Switch};
use crate::load::LoadBound;
use crate::orders::OrderError;
use crate::ring::{Seat, Spec};

impl Plan {
    /// Gives the keys out by `spec`, or changes nothing when that has no room for the seats.
    pub(super) fn switch_ring(&mut self, ticket: Ticket, spec: Spec) -> Result<(), OrderError> {
        let staying = self.places.iter().filter(|place| !place.leaving);
        let seats: BTreeSet<Seat> = staying.map(|place| place.seat).collect();
        let ring = spec.build(&seats);
        self.ring = ring.map_err(|err| OrderError::invalid(err.to_string()))?;
        let before = std::mem::replace(&mut self.policy.ring, spec);
        self.changed = true;
        let after = self.policy.ring.clone();
        self.switched(ticket, Dial::Ring, before, after);
        Ok(())
    }

    /// Lets loads lie so far above the mean.
    pub(super) fn switch_bound(&mut self, ticket: Ticket, bound: LoadBound) {
        let before = std::mem::replace(&mut self.policy.bound, bound);
        self.changed |= before != bound;
        self.switched(ticket, Dial::Bound, before, bound);
    }

    fn switched<T: ToString>(&mut self, ticket: Ticket, dial: Dial, from: T, to: T) {
        let switch = Switch {
            dial,
            from: from.to_string(),
            to: to.to_string(),
            up: self.up(),
            wanted: self.wanted(),
        };
        self.actions.push(Action::Switched(ticket, switch));
    }
}
