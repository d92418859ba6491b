//! Changes of the ring's kind and of the load bound.
//!
//! Seats and replicas stay as they are, so a change takes one step and the next roster has it.

use super::state::PlanState;
use super::types::{Action, OrderId};
use crate::fleet::events::{Setting, SettingChange};
use crate::load::LoadBound;
use crate::orders::OrderError;
use crate::ring::Spec;

/// Switches to a ring of this kind.
///
/// # Errors
/// When such a ring has no room for the seats. Then nothing changes.
pub(super) fn switch_ring(
    state: &mut PlanState,
    order_id: OrderId,
    spec: Spec,
) -> Result<(), OrderError> {
    let ring = spec.build(&state.seats.wanted_seats());
    state.ring = ring.map_err(|err| OrderError::invalid(err.to_string()))?;
    let before = std::mem::replace(&mut state.policy.ring, spec);
    state.effects.publish();
    let after = state.policy.ring.clone();
    record_switch(state, order_id, Setting::Ring, before, after);
    Ok(())
}

/// Sets how far a seat's load may lie above the mean.
pub(super) fn switch_bound(state: &mut PlanState, order_id: OrderId, bound: LoadBound) {
    let before = std::mem::replace(&mut state.policy.bound, bound);
    state.effects.publish_if(before != bound);
    record_switch(state, order_id, Setting::Bound, before, bound);
}

fn record_switch<T: ToString>(
    state: &mut PlanState,
    order_id: OrderId,
    setting: Setting,
    from: T,
    to: T,
) {
    let change = SettingChange {
        setting,
        from: from.to_string(),
        to: to.to_string(),
        up: state.seats.up_count(),
        wanted: state.seats.wanted_count(),
    };
    state.effects.push(Action::Switched(order_id, change));
}
