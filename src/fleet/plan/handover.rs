//! Ownership of the fleet while one process takes over from another.
//!
//! While this process acquires the fleet, the old balancer still serves from the replicas that were
//! found. None of them is removed or promoted. A replica that does not answer gets no successor:
//! this process may be probing the wrong port or path, and must not become ready then. A replica
//! that has ended for certain gets a successor at once, because no balancer serves from it. Its
//! removal is deferred until the takeover is complete.

use std::mem;

use super::types::Ownership;
use crate::fleet::engine::StopMode;
use crate::roster::ReplicaId;

/// Owner of the fleet, and the removals that wait for a change of it.
#[derive(Debug)]
pub(super) struct Handover {
    ownership: Ownership,
    deferred: Vec<DeferredRemoval>,
}

/// Removal that waits until the takeover is complete.
#[derive(Clone, Copy, Debug)]
pub(super) struct DeferredRemoval {
    pub(super) id: ReplicaId,
    pub(super) mode: StopMode,
}

impl Handover {
    /// Fleet that this process owns.
    pub(super) fn new() -> Self {
        Self {
            ownership: Ownership::Owned,
            deferred: Vec::new(),
        }
    }

    /// Returns the present owner.
    pub(super) fn ownership(&self) -> Ownership {
        self.ownership
    }

    /// Returns `true` if no handover is under way and none was completed away from this process.
    pub(super) fn is_owned(&self) -> bool {
        self.ownership == Ownership::Owned
    }

    /// Returns `true` if a change that is under way may begin its next steps.
    pub(super) fn allows_next_steps(&self) -> bool {
        matches!(self.ownership, Ownership::Owned | Ownership::Yielding)
    }

    /// Returns `true` if another balancer still serves from the replicas that were found.
    pub(super) fn is_acquiring(&self) -> bool {
        self.ownership == Ownership::Acquiring
    }

    /// Returns `true` if another balancer owns the fleet.
    pub(super) fn is_released(&self) -> bool {
        self.ownership == Ownership::Released
    }

    /// Changes the owner. Returns the former one.
    pub(super) fn set(&mut self, ownership: Ownership) -> Ownership {
        mem::replace(&mut self.ownership, ownership)
    }

    /// Defers a removal until the takeover is complete.
    pub(super) fn defer(&mut self, removal: DeferredRemoval) {
        self.deferred.push(removal);
    }

    /// Returns the deferred removals and clears them.
    pub(super) fn take_deferred(&mut self) -> Vec<DeferredRemoval> {
        mem::take(&mut self.deferred)
    }
}
