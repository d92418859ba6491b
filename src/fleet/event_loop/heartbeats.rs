//! How the task has its replicas asked for health, and gives a standby its seat by the way.
//!
//! A replica has one heart at a time; a new one ends the old.

use std::sync::Arc;

use super::FleetLoop;
use crate::fleet::heartbeat::{HeartbeatHandle, ProbeTarget};
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId};

impl FleetLoop {
    /// Begins its heartbeats, or begins them anew, to give it a seat.
    pub(super) fn watch(&mut self, id: ReplicaId, addr: ReplicaAddr, gives: Option<Seat>) {
        let Some(rhythm) = self.rhythm.clone() else {
            return;
        };
        let patient = ProbeTarget {
            id,
            addr,
            expected: self.work.started.get(&id).cloned(),
            gives,
        };
        let seat = self.plan.seat(id);
        // Nobody asks how the heartbeats of a standby go.
        let cells = seat.map_or_else(Arc::default, |seat| self.ledger.seat(seat));
        let heart = HeartbeatHandle::start(patient, rhythm, cells, self.pulses.clone());
        self.work.hearts.insert(id, heart);
    }
}
