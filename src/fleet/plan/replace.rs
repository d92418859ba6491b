//! `replace`: a new replica for one seat, or for all seats one after the other.
//!
//! The new replica starts before the old one leaves, so the seat serves throughout: it is a
//! successor like any other, and takes the seat when it answers. A death of the old replica in
//! between changes nothing, because its successor is already starting. A seat whose holder has
//! changed since the order was given counts as replaced.

use super::order_book::ActiveOrder;
use super::replacement;
use super::rolling_replace::{ReplaceStep, RollingReplace};
use super::state::PlanState;
use super::types::{Environment, OrderId};
use crate::orders::{OrderError, ReplaceTarget};

/// Checks a `replace` and lists its steps.
///
/// # Errors
/// When no seat has this name.
pub(super) fn begin(
    state: &PlanState,
    order_id: OrderId,
    target: &ReplaceTarget,
) -> Result<ActiveOrder, OrderError> {
    let only = match target {
        ReplaceTarget::All => None,
        ReplaceTarget::One(name) => Some(state.seat_named(name)?),
    };
    let wanted = state.seats.wanted();
    let targets = wanted.filter(|record| only.is_none_or(|seat| seat == record.seat));
    let steps = targets.map(|record| ReplaceStep {
        seat: record.seat,
        holder: record.holder_id(),
    });
    let rolling = RollingReplace::new(order_id, steps.collect());
    Ok(ActiveOrder::Replace(rolling))
}

/// Advances a replacement as far as possible. Returns `true` if it is finished.
pub(super) fn advance(
    state: &mut PlanState,
    rolling: &mut RollingReplace,
    env: &mut dyn Environment,
) -> bool {
    while !rolling.is_finished() {
        let step = match rolling.current() {
            Some(step) => Some(step),
            None => rolling
                .next_step()
                .inspect(|step| begin_step(state, *step, env)),
        };
        match step {
            None => rolling.succeed(state.seats.listed()),
            Some(step) if is_complete(state, step) => rolling.complete_step(),
            Some(_) => return false,
        }
    }
    true
}

/// Starts a successor, unless there is one or the holder has changed.
fn begin_step(state: &mut PlanState, step: ReplaceStep, env: &mut dyn Environment) {
    let Some(record) = state.seats.get_mut(step.seat) else {
        return;
    };
    if record.holder_id() == step.holder && record.successor.is_none() {
        record.backoff.allow_now();
        replacement::start_successor(state, step.seat, env);
    }
}

/// Returns `true` if the seat has another holder and the engine no longer holds the former one.
fn is_complete(state: &PlanState, step: ReplaceStep) -> bool {
    let Some(record) = state.seats.get(step.seat) else {
        return true;
    };
    let is_left = step.holder.is_some_and(|id| state.replicas.contains(id));
    record.holder_id() != step.holder && !is_left
}

/// Cancels the successor of the present step, if the seat is served without it.
pub(super) fn cancel(state: &mut PlanState, rolling: &RollingReplace) {
    let Some(step) = rolling.current() else {
        return;
    };
    let record = state.seats.get(step.seat);
    if record.is_some_and(|record| record.is_held()) {
        state.cancel_successor(step.seat, "ringmaster is stopping");
    }
}
