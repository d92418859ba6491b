//! `/rm`: its checks, and the removal of its seats.
//!
//! Its seats leave the ring together and at once, and their replicas finish the requests that they
//! have begun. The name of a seat is that of its holder, dead or alive, or of its starting
//! successor.

use std::collections::BTreeSet;

use super::order_book::ActiveOrder;
use super::seating;
use super::state::PlanState;
use super::types::{Environment, OrderId};
use crate::orders::{ChangeRequest, OrderError};
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Checks an `/rm`, takes its seats off the ring and drains their replicas.
///
/// # Errors
/// When a name is unknown, or more replicas are to be removed than there are.
pub(super) fn begin(
    state: &mut PlanState,
    order_id: OrderId,
    change: &ChangeRequest,
    env: &mut dyn Environment,
) -> Result<ActiveOrder, OrderError> {
    let mut seats = named_seats(state, &change.names)?;
    let (n, wanted) = (change.n, state.seats.wanted_count());
    if n > wanted {
        return Err(OrderError::too_few(n, wanted));
    }
    let mut others: Vec<Seat> = state.seats.iter().map(|record| record.seat).collect();
    others.retain(|seat| !seats.contains(seat));
    while seats.len() < n && !others.is_empty() {
        seats.insert(others.swap_remove(env.below(others.len())));
    }
    remove_seats(state, order_id, seats)
}

/// Returns the seats of these replicas.
///
/// # Errors
/// A name is unknown.
pub(super) fn named_seats(
    state: &PlanState,
    names: &[ReplicaName],
) -> Result<BTreeSet<Seat>, OrderError> {
    // The contract asks for "invalid" here, not for "not found".
    let invalid = |refusal: OrderError| OrderError::invalid(refusal.sentence);
    let seats = names
        .iter()
        .map(|name| state.seat_named(name).map_err(invalid));
    seats.collect()
}

/// Takes these seats off the ring and drains their replicas.
///
/// # Errors
/// When the ring cannot be built without the seats.
pub(super) fn remove_seats(
    state: &mut PlanState,
    order_id: OrderId,
    seats: BTreeSet<Seat>,
) -> Result<ActiveOrder, OrderError> {
    let rest = &state.seats.all_seats() - &seats;
    let ring = state.ring.reseated(&rest);
    state.ring = ring.map_err(|err| OrderError::unavailable(err.to_string()))?;
    state.effects.publish();
    for seat in &seats {
        seating::begin_leaving(state, *seat);
    }
    Ok(ActiveOrder::Rm {
        order_id: Some(order_id),
        seats,
    })
}

/// Returns `true` if no replica is left in these seats.
pub(super) fn is_complete(state: &PlanState, seats: &BTreeSet<Seat>) -> bool {
    let mut taken = state.replicas.values().filter_map(|replica| replica.seat);
    !taken.any(|seat| seats.contains(&seat))
}

/// Forgets the seats of a complete `/rm` and answers the order, unless it was answered before.
pub(super) fn complete(state: &mut PlanState, order_id: Option<OrderId>, seats: BTreeSet<Seat>) {
    for seat in seats {
        seating::forget(state, seat);
    }
    if let Some(order_id) = order_id {
        state.answer_with_list(order_id);
    }
}
