//! Table of the replicas that the engine holds.

use std::collections::BTreeMap;

use super::replica::{Phase, Replica};
use crate::roster::ReplicaId;

/// All replicas that the engine holds, by their ids.
#[derive(Debug)]
pub(super) struct ReplicaTable {
    replicas: BTreeMap<ReplicaId, Replica>,
    next_id: u64,
}

impl ReplicaTable {
    pub(super) fn new() -> Self {
        Self {
            replicas: BTreeMap::new(),
            next_id: 1,
        }
    }

    /// Adds a replica under an id that was never used before.
    pub(super) fn insert(&mut self, replica: Replica) -> ReplicaId {
        let id = ReplicaId(self.next_id);
        self.next_id += 1;
        self.replicas.insert(id, replica);
        id
    }

    pub(super) fn remove(&mut self, id: ReplicaId) {
        self.replicas.remove(&id);
    }

    pub(super) fn get(&self, id: ReplicaId) -> Option<&Replica> {
        self.replicas.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: ReplicaId) -> Option<&mut Replica> {
        self.replicas.get_mut(&id)
    }

    pub(super) fn contains(&self, id: ReplicaId) -> bool {
        self.replicas.contains_key(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.replicas.is_empty()
    }

    /// Returns the replicas in the order of their ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (ReplicaId, &Replica)> {
        self.replicas.iter().map(|(id, replica)| (*id, replica))
    }

    /// Returns the replicas without their ids.
    pub(super) fn values(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.values()
    }

    /// Returns `true` if a replica passes the test.
    pub(super) fn any(&self, test: impl FnMut(&Replica) -> bool) -> bool {
        self.replicas.values().any(test)
    }

    /// Returns the exit reasons of the replicas whose removal was deferred, and forgets them.
    pub(super) fn take_ended(&mut self) -> Vec<(ReplicaId, String)> {
        let ended = self.replicas.iter_mut();
        ended
            .filter_map(|(id, replica)| Some((*id, replica.ended.take()?)))
            .collect()
    }

    /// Returns the phase of a replica, or `None` when the engine no longer holds it.
    pub(super) fn phase(&self, id: ReplicaId) -> Option<Phase> {
        self.get(id).map(|replica| replica.phase)
    }
}
