//! The engine of fixed backends: addresses of replicas that the operator runs.
//!
//! It never starts or stops a process and keeps no number. `start` reports the address; `remove`
//! forgets it.

use std::collections::HashMap;
use std::future::ready;

use super::interface::{Engine, EngineEvent, EngineEvents, Management, PrepareFuture, StopMode};
use crate::fleet::version::Version;
use crate::orders::VersionRequest;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

/// Addresses by name.
#[derive(Debug)]
pub(in crate::fleet) struct Fixed {
    backends: HashMap<ReplicaName, ReplicaAddr>,
    events: EngineEvents,
}

impl Fixed {
    /// Creates an engine of these backends.
    pub(in crate::fleet) fn new(
        backends: &[(ReplicaName, ReplicaAddr)],
        events: EngineEvents,
    ) -> Self {
        Self {
            backends: backends.iter().cloned().collect(),
            events,
        }
    }
}

impl Engine for Fixed {
    fn management(&self) -> Management {
        Management::External
    }

    fn start(
        &mut self,
        id: ReplicaId,
        _seat: Option<Seat>,
        name: &ReplicaName,
        _version: Option<&Version>,
    ) {
        self.events.send(match self.backends.get(name) {
            Some(addr) => EngineEvent::Started { id, addr: *addr },
            None => EngineEvent::Failed {
                id,
                why: format!("no backend is named {name}"),
            },
        });
    }

    fn prepare(&self, _request: &VersionRequest) -> PrepareFuture {
        // The plan refuses the order before.
        let refusal = "fixed backends are neither started nor stopped";
        Box::pin(ready(Err(refusal.to_owned())))
    }

    fn handle(&self, _id: ReplicaId) -> Option<String> {
        None
    }

    fn check_alive(&mut self, _id: ReplicaId) {}

    fn remove(&mut self, id: ReplicaId, _mode: StopMode) {
        self.events.send(EngineEvent::Removed { id });
    }
}
