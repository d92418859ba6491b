//! A change of how keys are given out: another kind of ring, another bound. Seats and replicas stay as
//! they are, so it is done in one step, and the next roster has it.

use std::collections::BTreeSet;

use super::{Action, OrderId, Plan};
use crate::fleet::events::{Setting, SettingChange};
use crate::load::LoadBound;
use crate::orders::OrderError;
use crate::ring::{Seat, Spec};

impl Plan {
    /// Gives the keys out by `spec`, or changes nothing when that has no room for the seats.
    pub(super) fn switch_ring(&mut self, ticket: OrderId, spec: Spec) -> Result<(), OrderError> {
        let staying = self.places.iter().filter(|place| !place.leaving);
        let seats: BTreeSet<Seat> = staying.map(|place| place.seat).collect();
        let ring = spec.build(&seats);
        self.ring = ring.map_err(|err| OrderError::invalid(err.to_string()))?;
        let before = std::mem::replace(&mut self.policy.ring, spec);
        self.changed = true;
        let after = self.policy.ring.clone();
        self.switched(ticket, Setting::Ring, before, after);
        Ok(())
    }

    /// Lets loads lie so far above the mean.
    pub(super) fn switch_bound(&mut self, ticket: OrderId, bound: LoadBound) {
        let before = std::mem::replace(&mut self.policy.bound, bound);
        self.changed |= before != bound;
        self.switched(ticket, Setting::Bound, before, bound);
    }

    fn switched<T: ToString>(&mut self, ticket: OrderId, dial: Setting, from: T, to: T) {
        let switch = SettingChange {
            dial,
            from: from.to_string(),
            to: to.to_string(),
            up: self.up(),
            wanted: self.wanted(),
        };
        self.actions.push(Action::Switched(ticket, switch));
    }
}
