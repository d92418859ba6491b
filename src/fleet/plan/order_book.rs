//! Orders that wait, and the one that is being carried out.
//!
//! At most one order is active, and the others wait in the order of their arrival.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::backend_change::BackendOrder;
use super::rolling_replace::RollingReplace;
use super::types::OrderId;
use crate::fleet::engine::ExitReport;
use crate::orders::{MAX_QUEUED_ORDERS, Order, OrderError, ReplaceRequest, ReplacementInfo};
use crate::ring::{Ring, Seat};
use crate::roster::ReplicaId;

/// Order that is being carried out.
#[derive(Debug)]
pub(super) enum ActiveOrder {
    /// Complete when all replicas of the group have answered.
    Add(AddGroup),
    /// Complete when no replica of the group is left.
    Undo {
        order_id: OrderId,
        group: Vec<ReplicaId>,
        /// Replica of the group because of which it is undone.
        failed: ReplicaId,
        refusal: OrderError,
    },
    /// Complete when no replica is left in these seats; `None` if the order was answered before.
    Rm {
        order_id: Option<OrderId>,
        seats: BTreeSet<Seat>,
    },
    /// Complete when the engine has looked up the version.
    Prepare {
        order_id: OrderId,
        request: ReplaceRequest,
        seats: Vec<Seat>,
    },
    /// Complete when the change of fixed backends has taken effect, or failed.
    Backend(BackendOrder),
    /// Complete when every seat was replaced, or too many successors have failed.
    Replace(RollingReplace),
}

/// Replicas of one `/add`, and the ring with their seats.
#[derive(Debug)]
pub(super) struct AddGroup {
    pub(super) order_id: OrderId,
    pub(super) replicas: Vec<ReplicaId>,
    pub(super) ring: Arc<dyn Ring>,
}

/// Order whose turn has not come.
#[derive(Debug)]
pub(super) struct QueuedOrder {
    pub(super) order_id: OrderId,
    pub(super) order: Order,
}

/// Queue of the orders, and the active one.
#[derive(Debug, Default)]
pub(super) struct OrderBook {
    active: Option<ActiveOrder>,
    queue: VecDeque<QueuedOrder>,
    closed: bool,
}

impl OrderBook {
    /// Returns `true` if all orders are refused from here on.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Refuses all orders from here on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Returns `true` if [`MAX_QUEUED_ORDERS`] wait.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= MAX_QUEUED_ORDERS
    }

    /// Appends an order to the queue.
    pub(super) fn enqueue(&mut self, order: QueuedOrder) {
        self.queue.push_back(order);
    }

    /// Removes and returns the first waiting order. Returns `None` while an order is active.
    pub(super) fn dequeue(&mut self) -> Option<QueuedOrder> {
        match self.active {
            Some(_) => None,
            None => self.queue.pop_front(),
        }
    }

    /// Removes the waiting replacements and returns the ids of their orders.
    pub(super) fn take_replacements(&mut self) -> Vec<OrderId> {
        let is_replacement = |queued: &QueuedOrder| matches!(queued.order, Order::Replace(_));
        let (taken, kept) = std::mem::take(&mut self.queue)
            .into_iter()
            .partition(is_replacement);
        self.queue = kept;
        let taken: VecDeque<QueuedOrder> = taken;
        taken.into_iter().map(|queued| queued.order_id).collect()
    }

    /// Returns the progress of the active replacement, or of its preparation.
    pub(super) fn replacement(&self) -> Option<ReplacementInfo> {
        match &self.active {
            Some(ActiveOrder::Replace(rolling)) => Some(rolling.info()),
            Some(ActiveOrder::Prepare { request, seats, .. }) => Some(ReplacementInfo {
                version: request.version.as_ref().map(ToString::to_string),
                back: false,
                done: 0,
                total: seats.len(),
                failures: 0,
                preparing: true,
            }),
            _ => None,
        }
    }

    /// Empties the queue and returns the ids of its orders.
    pub(super) fn take_queue(&mut self) -> Vec<OrderId> {
        self.queue.drain(..).map(|queued| queued.order_id).collect()
    }

    /// Returns `true` if an order is being carried out.
    pub(super) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// Sets or clears the active order.
    pub(super) fn set_active(&mut self, order: Option<ActiveOrder>) {
        self.active = order;
    }

    /// Returns the active order and clears it.
    pub(super) fn take_active(&mut self) -> Option<ActiveOrder> {
        self.active.take()
    }

    /// Returns the group of the active `/add` and clears it. Another active order stays.
    pub(super) fn take_add(&mut self) -> Option<AddGroup> {
        match self.active.take() {
            Some(ActiveOrder::Add(group)) => Some(group),
            other => {
                self.active = other;
                None
            }
        }
    }

    /// Returns `true` if the active `/add` started `id`.
    pub(super) fn is_adding(&self, id: ReplicaId) -> bool {
        matches!(&self.active, Some(ActiveOrder::Add(group)) if group.replicas.contains(&id))
    }

    /// Returns the active change of fixed backends.
    pub(super) fn backend(&self) -> Option<&BackendOrder> {
        match &self.active {
            Some(ActiveOrder::Backend(order)) => Some(order),
            _ => None,
        }
    }

    /// Returns the active change of fixed backends, mutably.
    pub(super) fn backend_mut(&mut self) -> Option<&mut BackendOrder> {
        match &mut self.active {
            Some(ActiveOrder::Backend(order)) => Some(order),
            _ => None,
        }
    }

    /// Returns the active replacement.
    pub(super) fn rolling(&self) -> Option<&RollingReplace> {
        match &self.active {
            Some(ActiveOrder::Replace(rolling)) => Some(rolling),
            _ => None,
        }
    }

    /// Returns the active replacement, mutably.
    pub(super) fn rolling_mut(&mut self) -> Option<&mut RollingReplace> {
        match &mut self.active {
            Some(ActiveOrder::Replace(rolling)) => Some(rolling),
            _ => None,
        }
    }

    /// Adds the exit report of `id` to the failure of the active order that is its death. The
    /// engine tells how a replica ended after its connections have told that it did.
    pub(super) fn record_exit(&mut self, id: ReplicaId, exit: &ExitReport) {
        match &mut self.active {
            Some(ActiveOrder::Undo {
                failed, refusal, ..
            }) if *failed == id => refusal.sentence += &format!("; {exit}"),
            Some(ActiveOrder::Replace(rolling)) => rolling.record_exit(id, exit),
            _ => {}
        }
    }

    /// Returns `true` if the active `replace` is at this seat.
    pub(super) fn is_replacing(&self, seat: Seat) -> bool {
        let mut steps = self.rolling().into_iter().flat_map(RollingReplace::current);
        steps.any(|step| step.seat == seat)
    }
}
