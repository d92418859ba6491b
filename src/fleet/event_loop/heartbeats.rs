//! The heartbeats of all replicas, and the identities that their answers must match.
//!
//! A replica has one heartbeat task at a time; a new task ends the old one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::fleet::heartbeat::{
    ExpectedIdentity, HeartbeatHandle, Identity, ProbeSchedule, ProbeTarget,
};
use crate::fleet::plan::ProbeEvent;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};
use crate::stats::CounterRegistry;

/// The heartbeats of all replicas.
#[derive(Debug)]
pub(in crate::fleet) struct Heartbeats {
    /// `None`: no heartbeats.
    schedule: Option<ProbeSchedule>,
    events: mpsc::UnboundedSender<(ReplicaId, ProbeEvent)>,
    handles: HashMap<ReplicaId, HeartbeatHandle>,
    /// Identities of the replicas that were started, until they are removed.
    identities: HashMap<ReplicaId, ExpectedIdentity>,
}

impl Heartbeats {
    /// Creates heartbeats on this schedule that send their results to `events`.
    pub(in crate::fleet) fn new(
        schedule: Option<ProbeSchedule>,
        events: mpsc::UnboundedSender<(ReplicaId, ProbeEvent)>,
    ) -> Self {
        Self {
            schedule,
            events,
            handles: HashMap::new(),
            identities: HashMap::new(),
        }
    }

    /// Sets the identity that a replica's answers must match.
    pub(super) fn expect_identity(&mut self, id: ReplicaId, name: ReplicaName, seat: Option<Seat>) {
        let identity = ExpectedIdentity::Replica(Identity { name, seat });
        self.identities.insert(id, identity);
    }

    /// Sets the seat that a replica's answers must name, if they name one.
    pub(super) fn expect_seat(&mut self, id: ReplicaId, seat: Seat) {
        self.identities.insert(id, ExpectedIdentity::Seat(seat));
    }

    /// Starts the heartbeats of a replica, which are counted for `seat`.
    pub(super) fn start(
        &mut self,
        id: ReplicaId,
        addr: ReplicaAddr,
        seat: Option<Seat>,
        counters: &CounterRegistry,
    ) {
        self.start_probing(id, addr, None, seat, counters);
    }

    /// Restarts the heartbeats of a standby, to assign it a seat with the next one.
    pub(super) fn assign_seat(
        &mut self,
        id: ReplicaId,
        addr: ReplicaAddr,
        assigned: Seat,
        counters: &CounterRegistry,
    ) {
        if let Some(ExpectedIdentity::Replica(identity)) = self.identities.get_mut(&id) {
            identity.seat = Some(assigned);
        }
        self.start_probing(id, addr, Some(assigned), Some(assigned), counters);
    }

    fn start_probing(
        &mut self,
        id: ReplicaId,
        addr: ReplicaAddr,
        assigned_seat: Option<Seat>,
        counted_for: Option<Seat>,
        counters: &CounterRegistry,
    ) {
        let Some(schedule) = self.schedule.clone() else {
            return;
        };
        let target = ProbeTarget {
            id,
            addr,
            expected: self.identities.get(&id).cloned(),
            assigned_seat,
        };
        // The heartbeats of a standby are counted nowhere.
        let counters = counted_for.map_or_else(Arc::default, |seat| counters.seat(seat));
        let handle = HeartbeatHandle::start(target, schedule, counters, self.events.clone());
        self.handles.insert(id, handle);
    }

    /// Sends the next heartbeat now, on a fresh connection if `fresh`.
    pub(super) fn probe_now(&self, id: ReplicaId, fresh: bool) {
        if let Some(handle) = self.handles.get(&id) {
            handle.probe_now(fresh);
        }
    }

    /// Returns the latency of a replica's last answered heartbeat.
    pub(super) fn latency(&self, id: ReplicaId) -> Option<Duration> {
        self.handles.get(&id)?.latency()
    }

    /// Ends the heartbeats of a replica.
    pub(super) fn remove(&mut self, id: ReplicaId) {
        self.handles.remove(&id);
        self.identities.remove(&id);
    }
}
