//! `/add`: its checks, its group of replicas, and its undoing.
//!
//! All or nothing. Surprising: those it adds are on no ring and in no book of seats until the last of
//! them has answered, so to undo it is only to remove them.

use std::collections::BTreeSet;

use super::orders::ActiveOrder;
use super::seats::{Holder, SeatRecord};
use super::{Environment, OrderId, Phase, Plan};
use crate::fleet::engine::StopMode;
use crate::fleet::events::EventKind;
use crate::orders::{self, OrderError};
use crate::ring::Seat;
use crate::roster::{Health, ReplicaId};

impl Plan {
    /// Checks an `/add` and starts what it asks for.
    pub(super) fn begin_add(
        &mut self,
        ticket: OrderId,
        change: &orders::ChangeRequest,
        world: &mut dyn Environment,
    ) -> Result<ActiveOrder, OrderError> {
        if let Some(name) = change.names.iter().find(|name| self.is_taken(name)) {
            return Err(OrderError::invalid(format!("the name {name} is taken")));
        }
        let (n, wanted, max) = (change.n, self.wanted(), self.policy.max_replicas);
        if wanted.saturating_add(n) > max {
            return Err(OrderError::invalid(format!(
                "cannot add {n} to {wanted} replicas: at most {max} are allowed (--max-replicas)"
            )));
        }
        let present: BTreeSet<Seat> = self.places.iter().map(|place| place.seat).collect();
        let free = (1..).map(Seat).filter(|seat| !present.contains(seat));
        let seats: Vec<Seat> = free.take(n).collect();
        let all: BTreeSet<Seat> = present.iter().chain(&seats).copied().collect();
        let ring = self.ring.reseated(&all);
        let ring = ring.map_err(|err| OrderError::invalid(err.to_string()))?;
        let mut given = change.names.iter().cloned();
        let mut group = Vec::new();
        // The given names are started first, so that no random name can be one of them.
        for seat in seats {
            let name = given.next().unwrap_or_else(|| self.free_name(world));
            group.push(self.start(Some(seat), name));
        }
        Ok(ActiveOrder::Add {
            ticket,
            group,
            ring,
        })
    }

    /// Whether `id` is one of those that the present `/add` has started.
    pub(super) fn is_in_group(&self, id: ReplicaId) -> bool {
        matches!(&self.change, Some(ActiveOrder::Add { group, .. }) if group.contains(&id))
    }

    /// One of an `/add` failed: so all of it fails.
    pub(super) fn undo_add(&mut self, failed: ReplicaId, why: String) {
        let life = self.lives.get(&failed);
        let sentence = life.map(|life| format!("could not start {}: {why}", life.name));
        self.refuse_add(failed, OrderError::unavailable(sentence.unwrap_or(why)));
    }

    /// Undoes the present `/add`, because of this one of it, and refuses it so.
    pub(super) fn refuse_add(&mut self, failed: ReplicaId, refusal: OrderError) {
        let Some(ActiveOrder::Add { ticket, group, .. }) = self.change.take() else {
            return;
        };
        if let Some(life) = self.lives.get(&failed) {
            let (seat, name) = (life.seat, life.name.clone());
            self.record(
                EventKind::Failed,
                seat,
                name,
                refusal.sentence.clone(),
                |_| {},
            );
        }
        for id in &group {
            self.remove(*id, StopMode::Kill);
        }
        self.change = Some(ActiveOrder::Undo {
            ticket,
            group,
            refusal,
        });
    }

    /// Gives one of an `/add` its seat.
    pub(super) fn add_to_ring(&mut self, id: ReplicaId) {
        let now = self.now;
        let Some(life) = self.lives.get_mut(&id) else {
            return;
        };
        let Some(addr) = life.addr else { return };
        let Some(seat) = life.seat else { return };
        life.phase = Phase::Up;
        let name = life.name.clone();
        let mut place = SeatRecord::new(seat, name.clone());
        place.holder = Some(Holder {
            id,
            name: name.clone(),
            addr,
            health: Health::Up,
            drained: false,
            stands_in: false,
        });
        place.holder_answers(now);
        self.places.push(place);
        self.record(EventKind::Joined, seat, name, "", |_| {});
    }
}
