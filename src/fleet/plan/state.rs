//! State of the plan: the tables, the order book and the outbox, and the operations that need
//! several of them.
//!
//! The operations decide nothing about health, and start no successor on their own.

use std::sync::Arc;
use std::time::Instant;

use super::backoff::Backoff;
use super::effects::Effects;
use super::followed_service::FollowedService;
use super::former_versions::VersionHistory;
use super::handover::{DeferredRemoval, Handover};
use super::mass_silence::MassSilence;
use super::order_book::OrderBook;
use super::replica::{Phase, Replica};
use super::replica_table::ReplicaTable;
use super::seat::SeatRecord;
use super::seat_history::PastHolder;
use super::seat_table::SeatTable;
use super::types::{Action, Environment, OrderId, Policy};
use crate::fleet::engine::StopMode;
use crate::fleet::events::{EventKind, ReplicaEvent};
use crate::fleet::version::Version;
use crate::orders::{BackendSeat, OrderError};
use crate::ring::{Ring, Seat};
use crate::roster::{Health, ReplicaId, ReplicaName};

/// State that a step reads and changes.
#[derive(Debug)]
pub(super) struct PlanState {
    pub(super) policy: Policy,
    /// Time of the present step.
    pub(super) now: Instant,
    /// Ring over the wanted seats.
    pub(super) ring: Arc<dyn Ring>,
    pub(super) seats: SeatTable,
    pub(super) replicas: ReplicaTable,
    pub(super) orders: OrderBook,
    /// Version of new seats and standbys; `None` with fixed backends.
    pub(super) version: Option<Version>,
    /// Versions from before each of the last replacements by another one that was not taken back.
    pub(super) former: VersionHistory,
    /// Delay before the next start of a standby.
    pub(super) standby_backoff: Backoff,
    pub(super) mass_silence: MassSilence,
    pub(super) handover: Handover,
    /// Service that is followed, if there is one.
    pub(super) service: FollowedService,
    /// Set when everything is to end.
    pub(super) shutdown: Option<Shutdown>,
    pub(super) effects: Effects,
}

/// Shutdown that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shutdown {
    /// `true` if the serving replicas are left to another balancer. The roster then stays as it is.
    pub(super) leave: bool,
    /// `true` once no replica is left and the caller was told.
    pub(super) finished: bool,
}

impl PlanState {
    /// Describes a change, with the present counts of the fleet.
    pub(super) fn event(
        &self,
        kind: EventKind,
        seat: impl Into<Option<Seat>>,
        name: ReplicaName,
        reason: impl Into<String>,
    ) -> ReplicaEvent {
        ReplicaEvent {
            kind,
            seat: seat.into(),
            name,
            before: None,
            reason: reason.into(),
            detected_within: None,
            replaced_after: None,
            saved: None,
            up: self.seats.up_count(),
            wanted: self.seats.wanted_count(),
        }
    }

    /// Records a change.
    pub(super) fn record(
        &mut self,
        kind: EventKind,
        seat: impl Into<Option<Seat>>,
        name: ReplicaName,
        reason: impl Into<String>,
    ) {
        let event = self.event(kind, seat, name, reason);
        self.effects.push(Action::Record(event));
    }

    /// Records a change of a replica, if the engine still holds it.
    pub(super) fn record_of(&mut self, id: ReplicaId, kind: EventKind, reason: impl Into<String>) {
        if let Some(replica) = self.replicas.get(id) {
            let (seat, name) = (replica.seat, replica.name.clone());
            self.record(kind, seat, name, reason);
        }
    }

    /// Answers an order with the names that `/rep` lists.
    pub(super) fn answer_with_list(&mut self, order_id: OrderId) {
        let listed = self.seats.listed();
        self.effects.answer(order_id, Ok(listed));
    }

    /// Adds the holder to the history of its seat: it died, was replaced, or its seat moved.
    pub(super) fn record_past_holder(&mut self, id: ReplicaId, reason: String) {
        let Some(replica) = self.replicas.get(id) else {
            return;
        };
        let holder = PastHolder::new(id, replica.name.clone(), self.now, reason);
        if let Some(record) = replica.seat.and_then(|seat| self.seats.get_mut(seat)) {
            record.past.push(holder);
        }
    }

    /// Sets the health of a replica that holds a seat, in the roster too.
    pub(super) fn set_health(&mut self, id: ReplicaId, health: Health) {
        let changed = self.seats.set_health(id, health, self.now);
        self.effects.publish_if(changed);
    }

    /// Starts a replica of this version for `seat`, or a standby.
    pub(super) fn start(
        &mut self,
        seat: Option<Seat>,
        name: ReplicaName,
        version: Option<Version>,
    ) -> ReplicaId {
        let until = self.now + self.policy.start_timeout;
        let mut replica = Replica::new(seat, name.clone(), until);
        replica.version = version;
        let id = self.replicas.insert(replica);
        self.effects.push(Action::Start(id, seat, name));
        id
    }

    /// Has the engine remove a replica, once. The removal of a shared replica is deferred.
    pub(super) fn remove(&mut self, id: ReplicaId, mode: StopMode) {
        let is_shared = self.is_shared(id);
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        if replica.is_removing() {
            return;
        }
        replica.phase = Phase::Removing {
            exit_unknown: false,
        };
        if is_shared && self.shutdown.is_none() {
            return self.handover.defer(DeferredRemoval { id, mode });
        }
        // The new balancer may have promoted it meanwhile.
        let is_theirs = self.handover.is_released() || is_shared;
        let mode = if is_theirs { StopMode::Detach } else { mode };
        self.effects.push(Action::Remove(id, mode));
    }

    /// Drains a replica that is off the ring, or kills it if it does not serve.
    pub(super) fn drain(&mut self, id: ReplicaId) {
        let until = self.now + self.policy.drain_timeout;
        let Some(replica) = self.replicas.get_mut(id) else {
            return;
        };
        if let Phase::Up | Phase::Suspect = replica.phase {
            replica.phase = Phase::Draining { until };
            self.effects.push(Action::Drain(id));
        } else {
            self.remove(id, StopMode::Kill);
        }
    }

    /// Removes the successor that is being started for `seat`, if there is one.
    pub(super) fn cancel_successor(&mut self, seat: Seat, reason: &str) {
        let record = self.seats.get_mut(seat);
        let Some(id) = record.and_then(|record| record.successor.take()) else {
            return;
        };
        if let Some(replica) = self.replicas.get(id) {
            let name = replica.name.clone();
            self.record(EventKind::Withdrawn, seat, name, reason);
        }
        self.remove(id, StopMode::Kill);
    }

    /// Returns `true` if a replica of this name exists, or if a seat is kept for one.
    pub(super) fn is_name_taken(&self, name: &ReplicaName) -> bool {
        self.is_name_in_use(name) || self.seats.iter().any(|record| record.is_kept_for(name))
    }

    /// Returns `true` if a replica of this name exists, dead holders and starting replicas
    /// included.
    pub(super) fn is_name_in_use(&self, name: &ReplicaName) -> bool {
        let mut holders = self.seats.iter().filter_map(|seat| seat.holder.as_ref());
        holders.any(|holder| holder.name == *name)
            || self.replicas.values().any(|replica| replica.name == *name)
    }

    /// Returns a random name that is not taken.
    pub(super) fn free_name(&self, env: &mut dyn Environment) -> ReplicaName {
        loop {
            let name = env.name();
            if !self.is_name_taken(&name) {
                return name;
            }
        }
    }

    /// Returns the seat whose holder or successor has this name.
    ///
    /// # Errors
    /// When the name is that of a standby, or unknown.
    pub(super) fn seat_named(&self, name: &ReplicaName) -> Result<Seat, OrderError> {
        let is_named = |record: &&SeatRecord| {
            let holder = record.holder.as_ref().map(|holder| &holder.name);
            let successor = record.successor.and_then(|id| self.replicas.get(id));
            holder == Some(name)
                || successor.is_some_and(|replica| replica.name == *name)
                || record.is_kept_for(name)
        };
        if let Some(record) = self.seats.iter().find(is_named) {
            return Ok(record.seat);
        }
        let mut replicas = self.replicas.values();
        let is_standby = replicas.any(|replica| replica.name == *name && replica.seat.is_none());
        Err(if is_standby {
            OrderError::invalid(format!("{name} is a standby and has no seat"))
        } else {
            OrderError::not_found(name)
        })
    }

    /// Returns `true` if another balancer may still serve from this replica.
    pub(super) fn is_shared(&self, id: ReplicaId) -> bool {
        let replica = self.replicas.get(id);
        self.handover.is_acquiring()
            && self.policy.keeper.is_managed()
            && replica.is_some_and(Replica::was_found)
    }

    /// Returns `true` if another balancer may still serve from the holder of this seat, whatever
    /// its health is here.
    pub(super) fn is_left_to_old_balancer(&self, record: &SeatRecord) -> bool {
        let holder = record.holder_id().filter(|id| self.is_shared(*id));
        let replica = holder.and_then(|id| self.replicas.get(id));
        replica.is_some_and(|replica| replica.ended.is_none())
    }

    /// Returns the fixed backends in the order of `/rep`, those that are being removed excluded.
    pub(super) fn backend_seats(&self) -> Vec<BackendSeat> {
        let seat = |record: &SeatRecord| {
            let backend = record.backend.as_ref()?;
            Some(BackendSeat {
                seat: record.seat,
                name: record.display_name().clone(),
                addr: backend.addr.clone(),
                weight: self.ring.weights().of(record.seat),
            })
        };
        self.seats.wanted().filter_map(seat).collect()
    }

    /// Returns `true` if heartbeats of this replica are sent, or would be if there were any.
    pub(super) fn is_probed(&self, id: ReplicaId) -> bool {
        let replica = self.replicas.get(id);
        replica.is_some_and(|replica| !replica.is_removing())
    }

    /// Returns `true` if a replica holds its seat and routing skips it for missed heartbeats.
    pub(super) fn is_skipped(&self, id: ReplicaId) -> bool {
        let replica = self.replicas.get(id);
        replica.is_some_and(|replica| replica.is_skipped(self.policy.misses))
    }

    /// Returns `true` if the holder of this seat is silent, and may answer again.
    pub(super) fn is_silent(&self, record: &SeatRecord) -> bool {
        let is_silent =
            |id| self.replicas.phase(id) == Some(Phase::Unresponsive) || self.is_skipped(id);
        !record.leaving && record.holder_id().is_some_and(is_silent)
    }
}
