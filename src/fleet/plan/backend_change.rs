//! Change of the fixed backends that is under way: what is tried, and how far it has come.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use super::backend::Backend;
use super::types::OrderId;
use crate::orders::OrderError;
use crate::ring::{Ring, Seat};
use crate::roster::{ReplicaAddr, ReplicaId, ReplicaName};

/// Change of the fixed backends that is being carried out.
#[derive(Debug)]
pub(super) struct BackendOrder {
    pub(super) order_id: OrderId,
    pub(super) change: Change,
    pub(super) stage: Stage,
}

/// Kind of change.
#[derive(Debug)]
pub(super) enum Change {
    /// A backend gets a seat, or another address in its seat.
    Address(Box<NewAddress>),
    /// A seat gets another weight, which this ring has.
    Weight { seat: Seat, ring: Arc<dyn Ring> },
    /// These seats are removed.
    Rm(BTreeSet<Seat>),
}

/// Stage of a change.
#[derive(Debug)]
pub(super) enum Stage {
    /// The new address is tried.
    Trying,
    /// The list with the change is being saved.
    Saving,
    /// The list was saved, or the change is refused.
    Done(Result<(), OrderError>),
}

impl BackendOrder {
    /// Change that begins.
    pub(super) fn new(order_id: OrderId, change: Change) -> Self {
        Self {
            order_id,
            change,
            stage: Stage::Trying,
        }
    }

    /// Returns the address that is being tried, until its change has taken effect.
    pub(super) fn new_address(&self) -> Option<&NewAddress> {
        match &self.change {
            Change::Address(new) => Some(new),
            Change::Rm(_) | Change::Weight { .. } => None,
        }
    }

    /// Returns the same, mutably.
    pub(super) fn new_address_mut(&mut self) -> Option<&mut NewAddress> {
        match &mut self.change {
            Change::Address(new) => Some(new),
            Change::Rm(_) | Change::Weight { .. } => None,
        }
    }

    /// Returns the time at which it fails.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let is_trying = matches!(self.stage, Stage::Trying);
        self.new_address()
            .filter(|_| is_trying)
            .map(|new| new.until)
    }
}

/// Address that is being tried for a seat.
#[derive(Debug)]
pub(super) struct NewAddress {
    pub(super) seat: Seat,
    pub(super) name: ReplicaName,
    pub(super) backend: Backend,
    /// Ring with the new seat; `None` for a seat that exists.
    pub(super) ring: Option<Arc<dyn Ring>>,
    /// Candidate that has answered.
    pub(super) answered: Option<ReplicaId>,
    pub(super) until: Instant,
}

impl NewAddress {
    /// Records the answer of a candidate. Returns `false` if its address is not that of the order.
    pub(super) fn record_answer(
        &mut self,
        id: ReplicaId,
        seat: Option<Seat>,
        addr: ReplicaAddr,
    ) -> bool {
        let is_tried = seat == Some(self.seat) && self.backend.has(addr);
        if is_tried {
            self.answered.get_or_insert(id);
        }
        is_tried
    }
}
