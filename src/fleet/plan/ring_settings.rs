//! Changes of the ring's kind, of the weights and of the load bound.
//!
//! Seats and replicas stay as they are, so a change takes one step and the next roster has it.

use std::sync::Arc;

use super::state::PlanState;
use super::types::{Action, OrderId};
use crate::fleet::events::{EventKind, Setting, SettingChange};
use crate::load::LoadBound;
use crate::orders::OrderError;
use crate::ring::{Ring, Seat, Spec, Weight};
use crate::roster::ReplicaName;

/// Switches to a ring of this kind.
///
/// # Errors
/// When such a ring has no room for the seats. Then nothing changes.
pub(super) fn switch_ring(
    state: &mut PlanState,
    order_id: OrderId,
    spec: Spec,
) -> Result<(), OrderError> {
    let ring = build(state, &spec)?;
    set_ring(state, Some(order_id), spec, ring);
    Ok(())
}

/// Returns the ring of this kind over the wanted seats.
///
/// # Errors
/// Such a ring has no room for the seats.
pub(super) fn build(state: &PlanState, spec: &Spec) -> Result<Arc<dyn Ring>, OrderError> {
    let (seats, weights) = (state.seats.wanted_seats(), state.ring.weights());
    let ring = spec.build_weighted(&seats, weights);
    ring.map_err(|err| OrderError::invalid(err.to_string()))
}

/// Replaces the ring by one of this kind, which an order asks for if there is one.
pub(super) fn set_ring(
    state: &mut PlanState,
    order_id: Option<OrderId>,
    spec: Spec,
    ring: Arc<dyn Ring>,
) {
    state.ring = ring;
    let before = std::mem::replace(&mut state.policy.ring, spec);
    state.effects.publish();
    let after = state.policy.ring.clone();
    record_switch(state, order_id, Setting::Ring, before, after);
}

/// Checks whether the ring allows this weight, and returns the ring with it.
///
/// # Errors
/// The name is unknown or its seat is being removed, or the kind of ring has no weights.
pub(super) fn reweighted(
    state: &PlanState,
    name: &ReplicaName,
    weight: Weight,
) -> Result<(Seat, Arc<dyn Ring>), OrderError> {
    let seat = state.seat_named(name)?;
    if !state.ring.seats().contains(&seat) {
        return Err(OrderError::invalid(format!("{name} is being removed")));
    }
    let ring = state.ring.reweighted(seat, weight);
    let ring = ring.map_err(|err| OrderError::invalid(err.to_string()))?;
    Ok((seat, ring))
}

/// Replaces the ring by one in which a seat has another weight.
pub(super) fn switch_weight(state: &mut PlanState, seat: Seat, ring: Arc<dyn Ring>) {
    let before = std::mem::replace(&mut state.ring, ring);
    record_weight(state, seat, &before);
}

/// Records the weight of a seat if the ring `before` had another one.
pub(super) fn record_weight(state: &mut PlanState, seat: Seat, before: &Arc<dyn Ring>) {
    let [before, after] = [before, &state.ring].map(|ring| ring.weights().of(seat));
    if before == after {
        return;
    }
    state.effects.publish();
    if let Some(record) = state.seats.get(seat) {
        let name = record.display_name().clone();
        let reason = format!("{after}, it was {before}");
        state.record(EventKind::Weight, seat, name, reason);
    }
}

/// Sets how far a seat's load may lie above the mean, for an order if there is one.
pub(super) fn switch_bound(state: &mut PlanState, order_id: Option<OrderId>, bound: LoadBound) {
    let before = std::mem::replace(&mut state.policy.bound, bound);
    state.effects.publish_if(before != bound);
    record_switch(state, order_id, Setting::Bound, before, bound);
}

fn record_switch<T: ToString>(
    state: &mut PlanState,
    order_id: Option<OrderId>,
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
