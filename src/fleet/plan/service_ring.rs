//! Ring of a service: its seats are the slots that are seen, and the rest of its settings stands in
//! the service, or in the flags if the service does not say it.
//!
//! The ring depends on nothing else, so that all balancers of the service have the same one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::seat::SeatRecord;
use super::state::PlanState;
use super::types::OrderId;
use super::{ring_settings, seating};
use crate::fleet::engine::{ServiceChange, ServiceSnapshot};
use crate::fleet::events::EventKind;
use crate::ring::{Ring, RingError, Seat, Spec, Weights};

/// Adapts the ring, the bound and the seats to a snapshot.
pub(super) fn follow(state: &mut PlanState, service: &ServiceSnapshot) {
    // The first answers in the first slots make the fleet complete.
    let is_first = !std::mem::replace(&mut state.service.begun, true);
    let flags = (state.policy.ring.clone(), state.policy.bound);
    let flags = state.service.flags.get_or_insert(flags).clone();
    let spec = service.settings.ring.clone().unwrap_or(flags.0);
    let bound = service.settings.bound.unwrap_or(flags.1);
    if bound != state.policy.bound {
        let by = order_of(state, &ServiceChange::Bound(bound));
        ring_settings::switch_bound(state, by, bound);
    }
    follow_slots(state, service, spec, is_first);
}

/// Puts new slots on the ring, and takes those off that have no wanted task.
fn follow_slots(state: &mut PlanState, service: &ServiceSnapshot, spec: Spec, is_first: bool) {
    let none = Weights::NONE;
    let weights = match spec.has_weights() {
        true => &service.settings.weights,
        false => &none,
    };
    let seen: BTreeSet<Seat> = service.seats.keys().copied().collect();
    let before = state.seats.wanted_seats();
    state.service.refused.retain(|seat| seen.contains(seat));
    let is_same_kind = spec == state.policy.ring
        && weights.of_seats(&before) == state.ring.weights().of_seats(&before);
    if is_same_kind && &seen - &state.service.refused == before {
        return;
    }
    let (target, ring, refusal) = fitting(&spec, &seen, weights);
    let Some(ring) = ring else {
        return;
    };
    if let Some(err) = refusal {
        refuse(state, service, &seen - &target, &err);
    }
    state.service.refused = &seen - &target;
    let former = set_ring(state, spec, ring);
    for seat in &target - &before {
        if let Some(name) = service.seats.get(&seat) {
            // A record that is leaving goes at once: its replicas finish without it.
            state.seats.remove(seat);
            let mut record = SeatRecord::new(seat, name.clone(), None);
            record.awaits_first_answer = is_first;
            state.seats.push(record);
        }
    }
    for seat in &before - &target {
        seating::begin_leaving(state, seat);
    }
    for seat in &before & &target {
        ring_settings::record_weight(state, seat, &former);
    }
}

/// Returns the lowest seats for which such a ring has room, the ring over them, and the reason why
/// the others are left out.
fn fitting(
    spec: &Spec,
    seen: &BTreeSet<Seat>,
    weights: &Weights,
) -> (BTreeSet<Seat>, Option<Arc<dyn Ring>>, Option<RingError>) {
    let (mut seats, mut refusal) = (seen.clone(), None);
    loop {
        match spec.build_weighted(&seats, weights) {
            Ok(ring) => return (seats, Some(ring), refusal),
            Err(err) => refusal = Some(err),
        }
        if seats.pop_last().is_none() {
            return (seats, None, refusal);
        }
    }
}

/// Replaces the ring, and returns the former one.
fn set_ring(state: &mut PlanState, spec: Spec, ring: Arc<dyn Ring>) -> Arc<dyn Ring> {
    let former = Arc::clone(&state.ring);
    if spec == state.policy.ring {
        state.ring = ring;
        state.effects.publish();
    } else {
        let by = order_of(state, &ServiceChange::Ring(spec.clone()));
        ring_settings::set_ring(state, by, spec, ring);
    }
    former
}

/// Returns the order of this balancer that made a change, if there is one.
fn order_of(state: &PlanState, change: &ServiceChange) -> Option<OrderId> {
    let mut orders = state.service.orders.iter();
    let found = orders.find(|order| order.change == *change);
    found.map(|order| order.order_id)
}

/// Records once that the ring has no room for these new slots.
fn refuse(state: &mut PlanState, service: &ServiceSnapshot, new: BTreeSet<Seat>, err: &RingError) {
    for seat in &new - &state.service.refused {
        if let Some(name) = service.seats.get(&seat) {
            state.record(EventKind::Failing, seat, name.clone(), err.to_string());
        }
    }
}
