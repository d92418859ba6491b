//! Orders about a service: each is one change of it, which all of its balancers follow, except for
//! `kill`.
//!
//! An order is checked against the latest snapshot, and again by the engine against the newest
//! state of the service. It is complete when this balancer has seen its effect. Nothing is undone:
//! a task that does not answer is tried again by the orchestrator. Orders do not wait for one
//! another.

use std::time::Instant;

use super::followed_service::{ServiceOrder, Stage};
use super::service_change::OrderWork;
use super::state::PlanState;
use super::types::{Action, OrderId};
use super::{service_change, service_effect};
use crate::fleet::engine::{ChangedService, ServiceChange, ServiceSnapshot};
use crate::orders::{MAX_QUEUED_ORDERS, Order, OrderError, ReplacementInfo};

/// Has the engine change the service for an order, or refuses it.
pub(super) fn accept(state: &mut PlanState, order_id: OrderId, order: Order) {
    let work = match state.service.latest.clone() {
        _ if state.orders.is_closed() => Err(OrderError::stopping()),
        None => Err(OrderError::unavailable(
            "the slots of the service are not known yet; try again in a moment",
        )),
        Some(service) => service_change::work_for(state, &service, order),
    };
    let is_full = state.service.orders.len() >= MAX_QUEUED_ORDERS;
    match work {
        Err(refusal) => state.effects.answer(order_id, Err(refusal)),
        Ok(OrderWork::KillTask(container)) => {
            state.effects.push(Action::KillTask(container));
            state.answer_with_list(order_id);
        }
        Ok(OrderWork::Change(_)) if is_full => {
            state
                .effects
                .answer(order_id, Err(OrderError::queue_full()));
        }
        Ok(OrderWork::Change(change)) => {
            let change_service = Action::ChangeService(order_id, change.clone());
            state.effects.push(change_service);
            state.service.orders.push(ServiceOrder {
                order_id,
                change,
                before: state.seats.wanted_seats(),
                stage: Stage::Writing,
            });
        }
    }
}

/// Returns the progress of an update that an order began.
pub(super) fn replacement(state: &PlanState) -> Option<ReplacementInfo> {
    let service = state.service.latest.as_ref()?;
    state.service.orders.iter().find_map(|order| {
        let ServiceChange::Replace(image) = &order.change else {
            return None;
        };
        let updated = match order.stage {
            Stage::Writing => None,
            Stage::Written { updated, .. } => Some(updated),
        };
        Some(ReplacementInfo {
            version: image.clone(),
            back: false,
            done: updated.unwrap_or_default(),
            total: service.seats.len(),
            failures: 0,
            preparing: updated.is_none(),
        })
    })
}

/// Returns the time at which the first of the orders is given up.
pub(super) fn deadline(state: &PlanState) -> Option<Instant> {
    let service = state.service.latest.as_ref()?;
    let deadline = |order: &ServiceOrder| match order.stage {
        // The engine has a deadline of its own.
        Stage::Writing => None,
        Stage::Written { since, .. } => Some(since + order.limit(&state.policy, service)),
    };
    state.service.orders.iter().filter_map(deadline).min()
}

/// Handles the result of a change.
pub(super) fn changed(
    state: &mut PlanState,
    order_id: OrderId,
    result: Result<ChangedService, OrderError>,
) {
    let now = state.now;
    let mut orders = state.service.orders.iter_mut();
    let Some(order) = orders.find(|order| order.order_id == order_id) else {
        return;
    };
    match result {
        Ok(service) => {
            order.stage = Stage::Written {
                service,
                since: now,
                updated: 0,
            };
        }
        Err(refusal) => {
            state
                .service
                .orders
                .retain(|order| order.order_id != order_id);
            state.effects.answer(order_id, Err(refusal));
        }
    }
}

/// Answers the orders whose effect is seen, and those whose time is over.
pub(super) fn advance(state: &mut PlanState) {
    let Some(service) = state.service.latest.clone() else {
        return;
    };
    for mut order in std::mem::take(&mut state.service.orders) {
        match progress(state, &service, &mut order) {
            None => state.service.orders.push(order),
            Some(Ok(())) => state.answer_with_list(order.order_id),
            Some(Err(refusal)) => state.effects.answer(order.order_id, Err(refusal)),
        }
    }
}

/// Returns the result of an order; `None` while it is under way.
fn progress(
    state: &PlanState,
    service: &ServiceSnapshot,
    order: &mut ServiceOrder,
) -> Option<Result<(), OrderError>> {
    let limit = order.limit(&state.policy, service);
    let Stage::Written {
        service: written,
        since,
        updated,
    } = &mut order.stage
    else {
        return None;
    };
    let missing = if service.version < written.version {
        Some("the swarm has the change, and this balancer has not read it".to_owned())
    } else {
        match &order.change {
            ServiceChange::Add { n, .. } => {
                service_effect::missing_of_scale(state, service, &order.before, Some(*n))
            }
            ServiceChange::Remove(_) | ServiceChange::Scale(_) => {
                service_effect::missing_of_scale(state, service, &order.before, None)
            }
            ServiceChange::Replace(_) => {
                if let Some(reason) = &service.stopped_update {
                    let sentence = format!("the swarm has stopped the update: {reason}");
                    return Some(Err(OrderError::unavailable(sentence)));
                }
                let reached = service_effect::updated_seats(state, service, written.generation);
                if reached > *updated {
                    (*updated, *since) = (reached, state.now);
                }
                service_effect::missing_of_update(state, service, written.generation, reached)
            }
            // A setting is in effect when it is read.
            _ => None,
        }
    };
    let Some(missing) = missing else {
        return Some(Ok(()));
    };
    (state.now >= *since + limit).then(|| {
        Err(OrderError::unavailable(format!(
            "{missing} within {limit:?}; the swarm goes on (docker service ps {})",
            service.service
        )))
    })
}

/// Ends the orders that are under way. Their changes stay, and the orchestrator goes on.
pub(super) fn close(state: &mut PlanState) {
    for order in std::mem::take(&mut state.service.orders) {
        let stopping = OrderError::stopping().sentence;
        let refusal = OrderError::unavailable(format!(
            "{stopping}; the swarm may have the order, and goes on"
        ));
        state.effects.answer(order.order_id, Err(refusal));
    }
}
