//! Orders: accepted or refused, begun one after another, and answered when they are complete.
//!
//! Each order has a file that knows how it is carried out. An order is checked when its turn comes,
//! not when it arrives, because the orders before it change the state.

use super::order_book::{ActiveOrder, QueuedOrder};
use super::state::PlanState;
use super::types::{Action, Environment, OrderId};
use super::{
    add, backend_order, drain, replace, replace_outcome, replace_steps, ring_settings, rm, scale,
    service_order,
};
use crate::fleet::engine::{Management, StopMode};
use crate::orders::{Order, OrderError};
use crate::roster::{ReplicaId, ReplicaName};

/// Queues an order, or refuses it.
pub(super) fn accept(state: &mut PlanState, order_id: OrderId, order: Order) {
    let is_start_or_stop = matches!(
        order,
        Order::Add(_)
            | Order::RmAll
            | Order::Scale(_)
            | Order::Replace(_)
            | Order::StopReplace
            | Order::ReplaceBack
            | Order::Kill(_)
    );
    let is_of_backends = matches!(order, Order::AddBackend(_) | Order::SetBackend(_));
    if state.policy.keeper == Management::Orchestrated {
        return service_order::accept(state, order_id, order);
    }
    let refusal = if state.policy.keeper == Management::External && is_start_or_stop {
        match order {
            Order::Add(_) | Order::RmAll | Order::Scale(_) => {
                OrderError::fixed_number_of_backends()
            }
            _ => OrderError::fixed_backends(),
        }
    } else if state.policy.keeper == Management::Managed && is_of_backends {
        OrderError::no_backends()
    } else if state.orders.is_closed() {
        OrderError::stopping()
    } else {
        // A full queue does not keep an operator from stopping what is under way.
        match interrupt(state, order_id, &order) {
            Ok(true) => return,
            Err(refusal) => refusal,
            Ok(false) if !state.handover.is_owned() => handover_error(),
            Ok(false) if state.orders.is_full() => OrderError::queue_full(),
            Ok(false) => return state.orders.enqueue(QueuedOrder { order_id, order }),
        }
    };
    state.effects.answer(order_id, Err(refusal));
}

/// Carries out an order that does not wait for the change that is under way: it ends a replacement,
/// or kills a replica. Returns `false` for any other order.
fn interrupt(state: &mut PlanState, order_id: OrderId, order: &Order) -> Result<bool, OrderError> {
    match order {
        Order::StopReplace => {
            replace::stop(state, order_id)?;
            state.answer_with_list(order_id);
            Ok(true)
        }
        Order::Kill(name) if state.handover.is_owned() => {
            kill(state, name)?;
            state.answer_with_list(order_id);
            Ok(true)
        }
        Order::ReplaceBack if state.handover.is_owned() => {
            replace::turn_back_active(state, order_id)
        }
        _ => Ok(false),
    }
}

/// Has the engine kill the replica of this name. Its death is noticed as any other.
///
/// # Errors
/// No replica has the name, or the replica is being removed.
fn kill(state: &mut PlanState, name: &ReplicaName) -> Result<(), OrderError> {
    let mut replicas = state.replicas.iter();
    let named = replicas.find(|(_, replica)| replica.name == *name);
    let (id, replica) = named.ok_or_else(|| OrderError::not_found(name))?;
    if replica.is_removing() {
        return Err(OrderError::invalid(format!("{name} is being removed")));
    }
    state.effects.push(Action::Kill(id));
    Ok(())
}

/// Begins the next order if none is active. Returns `true` if it did.
pub(super) fn begin_next(state: &mut PlanState, env: &mut dyn Environment) -> bool {
    let Some(QueuedOrder { order_id, order }) = state.orders.dequeue() else {
        return false;
    };
    let begun = match order {
        Order::Add(change) => add::begin(state, order_id, &change, env).map(Some),
        Order::Rm(change) if state.policy.keeper == Management::External => {
            backend_order::begin_rm(state, order_id, &change).map(Some)
        }
        Order::Rm(change) => rm::begin(state, order_id, &change, env).map(Some),
        Order::AddBackend(change) => backend_order::begin_add(state, order_id, change).map(Some),
        Order::SetBackend(change) => backend_order::begin_set(state, order_id, change).map(Some),
        Order::RmAll => scale::begin(state, order_id, 0, env),
        Order::Scale(n) => scale::begin(state, order_id, n, env),
        Order::Replace(request) => replace::begin(state, order_id, request).map(Some),
        Order::ReplaceBack => replace::begin_back(state, order_id).map(Some),
        // These two are never queued.
        Order::Kill(name) => kill(state, &name).map(|()| None),
        Order::StopReplace => replace::stop(state, order_id).map(|()| None),
        Order::Drain(name) => drain::set_drained(state, &name, true).map(|()| None),
        Order::Ready(name) => drain::set_drained(state, &name, false).map(|()| None),
        Order::Weight(name, weight) if state.policy.keeper == Management::External => {
            backend_order::begin_weight(state, order_id, &name, weight).map(Some)
        }
        Order::Weight(name, weight) => {
            ring_settings::reweighted(state, &name, weight).map(|(seat, ring)| {
                ring_settings::switch_weight(state, seat, ring);
                None
            })
        }
        Order::Ring(spec) => ring_settings::switch_ring(state, order_id, spec).map(|()| None),
        Order::Bound(bound) => {
            ring_settings::switch_bound(state, Some(order_id), bound);
            Ok(None)
        }
    };
    match begun {
        Ok(None) => state.answer_with_list(order_id),
        Ok(active) => state.orders.set_active(active),
        Err(refusal) => state.effects.answer(order_id, Err(refusal)),
    }
    true
}

/// Answers the active order if it is complete. Returns `true` if it was.
pub(super) fn finish_active(state: &mut PlanState, env: &mut dyn Environment) -> bool {
    let Some(mut active) = state.orders.take_active() else {
        return false;
    };
    let is_complete = match &mut active {
        ActiveOrder::Add(group) => add::is_complete(state, group),
        ActiveOrder::Undo { group, .. } => is_gone(state, group),
        ActiveOrder::Rm { seats, .. } => rm::is_complete(state, seats),
        ActiveOrder::Replace(rolling) => replace_steps::advance(state, rolling, env),
        ActiveOrder::Prepare { .. } => false,
        ActiveOrder::Backend(order) => backend_order::advance(state, order),
    };
    if !is_complete {
        state.orders.set_active(Some(active));
        return false;
    }
    match active {
        ActiveOrder::Add(group) => add::complete(state, group),
        ActiveOrder::Undo {
            order_id, refusal, ..
        } => state.effects.answer(order_id, Err(refusal)),
        ActiveOrder::Rm { order_id, seats } => rm::complete(state, order_id, seats),
        ActiveOrder::Replace(rolling) => {
            for (order_id, result) in rolling.into_results() {
                state.effects.answer(order_id, result);
            }
        }
        ActiveOrder::Prepare { .. } => {}
        ActiveOrder::Backend(order) => {
            let rest = backend_order::complete(state, order, env);
            state.orders.set_active(rest);
        }
    }
    true
}

fn is_gone(state: &PlanState, group: &[ReplicaId]) -> bool {
    !group.iter().any(|id| state.replicas.contains(*id))
}

/// Refuses the active order, those that wait and all to come. An `/add` is undone. An `/rm`
/// continues, because its seats have left the ring. A replica that was being replaced and still
/// serves continues to.
pub(super) fn close(state: &mut PlanState) {
    state.orders.close();
    service_order::close(state);
    let active: Vec<OrderId> = match state.orders.take_active() {
        None => Vec::new(),
        Some(ActiveOrder::Add(group)) => {
            for id in group.replicas {
                state.remove(id, StopMode::Kill);
            }
            vec![group.order_id]
        }
        Some(ActiveOrder::Undo { order_id, .. } | ActiveOrder::Prepare { order_id, .. }) => {
            vec![order_id]
        }
        Some(ActiveOrder::Backend(order)) => vec![order.order_id],
        Some(ActiveOrder::Rm { order_id, seats }) => {
            state.orders.set_active(Some(ActiveOrder::Rm {
                order_id: None,
                seats,
            }));
            order_id.into_iter().collect()
        }
        Some(ActiveOrder::Replace(rolling)) => {
            replace_outcome::withdraw(state, &rolling, "ringmaster is stopping");
            replace_outcome::record_stop(state, &rolling, "ringmaster is stopping");
            rolling.order_ids().collect()
        }
    };
    let waiting = state.orders.take_queue();
    for order_id in active.into_iter().chain(waiting) {
        state.effects.answer(order_id, Err(OrderError::stopping()));
    }
}

/// Refuses the orders that wait, because another process takes over. The active order continues.
pub(super) fn refuse_waiting(state: &mut PlanState) {
    for order_id in state.orders.take_queue() {
        state.effects.answer(order_id, Err(handover_error()));
    }
}

fn handover_error() -> OrderError {
    OrderError::unavailable("another process takes over this balancer; try again in a moment")
}
