//! `/rm`: its checks, and the parting from the replicas of its seats.
//!
//! Seats leave the ring together and at once; their replicas finish what they have begun. Surprising: a
//! seat is named by its holder, dead or alive, as well as by the successor that is being started for it.

use std::collections::BTreeSet;

use super::orders::ActiveOrder;
use super::seats::{Holder, SeatRecord};
use super::{Action, Environment, OrderId, Phase, Plan};
use crate::fleet::engine::StopMode;
use crate::fleet::events::EventKind;
use crate::orders::{self, OrderError};
use crate::ring::Seat;
use crate::roster::{ReplicaId, ReplicaName};

impl Plan {
    /// Checks an `/rm`, takes its seats off the ring and begins to part from their replicas.
    pub(super) fn begin_rm(
        &mut self,
        ticket: OrderId,
        change: &orders::ChangeRequest,
        world: &mut dyn Environment,
    ) -> Result<ActiveOrder, OrderError> {
        let mut seats = BTreeSet::new();
        for name in &change.names {
            // By contract a bad order, not one about nobody.
            let bad = |refusal: OrderError| OrderError::invalid(refusal.sentence);
            seats.insert(self.seat_named(name).map_err(bad)?);
        }
        let (n, wanted) = (change.n, self.wanted());
        if n > wanted {
            let sentence = format!("cannot remove {n} replicas: there are only {wanted}");
            return Err(OrderError::invalid(sentence));
        }
        let mut others: Vec<Seat> = self.places.iter().map(|place| place.seat).collect();
        others.retain(|seat| !seats.contains(seat));
        while seats.len() < n && !others.is_empty() {
            seats.insert(others.swap_remove(world.below(others.len())));
        }
        self.remove_seats(ticket, seats)
    }

    /// Takes these seats off the ring and begins to part from their replicas.
    pub(super) fn remove_seats(
        &mut self,
        ticket: OrderId,
        seats: BTreeSet<Seat>,
    ) -> Result<ActiveOrder, OrderError> {
        let all = self.places.iter().map(|place| place.seat);
        let rest = all.filter(|seat| !seats.contains(seat)).collect();
        let ring = self.ring.reseated(&rest);
        self.ring = ring.map_err(|err| OrderError::unavailable(err.to_string()))?;
        self.changed = true;
        for seat in &seats {
            self.leave(*seat);
        }
        Ok(ActiveOrder::Rm {
            ticket: Some(ticket),
            seats,
        })
    }

    /// The seat of this name, for an order about it.
    pub(super) fn seat_named(&self, name: &ReplicaName) -> Result<Seat, OrderError> {
        let mut lives = self.lives.values();
        let stands_by = lives.any(|life| life.name == *name && life.seat.is_none());
        self.seat_of(name).ok_or_else(|| match stands_by {
            true => OrderError::invalid(format!("{name} is a standby and has no seat")),
            false => OrderError::not_found(name),
        })
    }

    /// The seat whose present or coming replica has this name.
    pub(super) fn seat_of(&self, name: &ReplicaName) -> Option<Seat> {
        let named = |place: &&SeatRecord| {
            let holder = place.holder.as_ref().map(|holder| &holder.name);
            let coming = place.successor.and_then(|id| self.lives.get(&id));
            let comes = coming.is_some_and(|life| life.name == *name);
            holder == Some(name) || comes || place.is_kept_for(name)
        };
        self.places.iter().find(named).map(|place| place.seat)
    }

    /// Takes a seat off the ring and begins to part from whoever is in it.
    fn leave(&mut self, seat: Seat) {
        let Some(place) = self.place_mut(seat) else {
            return;
        };
        place.leaving = true;
        place.patience.retry_at = None;
        let holder = place.holder.clone();
        let name = holder.as_ref().map(|holder| holder.name.clone());
        let name = name.unwrap_or_else(|| place.first_name.clone());
        self.awaited.remove(&seat);
        self.cancel_successor(seat, "its seat is removed");
        self.record(EventKind::Leaving, seat, name, "", |_| {});
        let Some(Holder { id, .. }) = holder else {
            return;
        };
        self.drain(id);
    }

    /// Parts from one that is off the ring: it finishes what it has begun, if it can.
    pub(super) fn drain(&mut self, id: ReplicaId) {
        let until = self.now + self.policy.drain_timeout;
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        if let Phase::Up | Phase::Suspect = life.phase {
            life.phase = Phase::Draining { until };
            self.actions.push(Action::Drain(id));
        } else {
            self.remove(id, StopMode::Kill);
        }
    }

    /// Strikes a seat from the book.
    pub(super) fn forget_seat(&mut self, seat: Seat) {
        let Some(at) = self.places.iter().position(|place| place.seat == seat) else {
            return;
        };
        let place = self.places.remove(at);
        let name = place.holder.map_or(place.first_name, |holder| holder.name);
        self.record(EventKind::Left, seat, name, "", |_| {});
    }
}
