//! The engine of fixed backends: addresses that somebody else runs.
//!
//! It never starts or stops anything and keeps no number. To start one means to say where it is, to
//! remove one means to forget it.

use std::collections::HashMap;

use super::{Engine, EngineEvent, EngineEvents, Management, StopMode};
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

/// Addresses by name.
#[derive(Debug)]
pub(in crate::fleet) struct Fixed {
    backends: HashMap<ReplicaName, ReplicaAddr>,
    reports: EngineEvents,
}

impl Fixed {
    /// An engine of these backends.
    pub(in crate::fleet) fn new(
        backends: &[(ReplicaName, ReplicaAddr)],
        reports: EngineEvents,
    ) -> Self {
        Self {
            backends: backends.iter().cloned().collect(),
            reports,
        }
    }
}

impl Engine for Fixed {
    fn management(&self) -> Management {
        Management::External
    }

    fn start(&mut self, id: ReplicaId, _seat: Option<Seat>, name: &ReplicaName) {
        self.reports.send(match self.backends.get(name) {
            Some(addr) => EngineEvent::Started { id, addr: *addr },
            None => EngineEvent::Failed {
                id,
                why: format!("no backend is named {name}"),
            },
        });
    }

    fn handle(&self, _id: ReplicaId) -> Option<String> {
        None
    }

    fn check_alive(&mut self, _id: ReplicaId) {}

    fn remove(&mut self, id: ReplicaId, _farewell: StopMode) {
        self.reports.send(EngineEvent::Removed { id });
    }
}
