//! `/add`: its checks, its group of replicas, and its undoing.
//!
//! An `/add` is all or nothing. The replicas of the group have no seat record and are on no ring
//! until the last of them has answered, so undoing the order only removes them.

use std::sync::Arc;

use super::order_book::{ActiveOrder, AddGroup};
use super::replica::Phase;
use super::seat::{Holder, SeatRecord};
use super::state::PlanState;
use super::types::{Environment, OrderId};
use crate::fleet::engine::StopMode;
use crate::fleet::events::EventKind;
use crate::orders::{ChangeRequest, OrderError};
use crate::ring::{Ring, Seat};
use crate::roster::{Health, ReplicaId};

/// Checks an `/add` and starts its replicas.
///
/// # Errors
/// When a name is taken, or there would be too many replicas for the limit or the ring.
pub(super) fn begin(
    state: &mut PlanState,
    order_id: OrderId,
    change: &ChangeRequest,
    env: &mut dyn Environment,
) -> Result<ActiveOrder, OrderError> {
    if let Some(name) = change.names.iter().find(|name| state.is_name_taken(name)) {
        return Err(OrderError::invalid(format!("the name {name} is taken")));
    }
    let (seats, ring) = next_seats(state, change.n)?;
    let mut names = change.names.iter().cloned();
    let mut replicas = Vec::new();
    // Replicas with given names start first, so that no random name equals one of them.
    for seat in seats {
        let name = names.next().unwrap_or_else(|| state.free_name(env));
        let version = state.version.clone();
        replicas.push(state.start(Some(seat), name, version));
    }
    Ok(ActiveOrder::Add(AddGroup {
        order_id,
        replicas,
        ring,
    }))
}

/// Returns `n` free seats, and the ring with them.
///
/// # Errors
/// There would be too many replicas for the limit or the ring.
pub(super) fn next_seats(
    state: &PlanState,
    n: usize,
) -> Result<(Vec<Seat>, Arc<dyn Ring>), OrderError> {
    let (wanted, max) = (state.seats.wanted_count(), state.policy.max_replicas);
    if wanted.saturating_add(n) > max {
        return Err(OrderError::too_many(n, wanted, max));
    }
    let mut all = state.seats.all_seats();
    let free = (1..).map(Seat).filter(|seat| !all.contains(seat));
    let seats: Vec<Seat> = free.take(n).collect();
    all.extend(&seats);
    let ring = state.ring.reseated(&all);
    let ring = ring.map_err(|err| OrderError::invalid(err.to_string()))?;
    Ok((seats, ring))
}

/// Undoes the active `/add` because one of its replicas failed.
pub(super) fn undo(state: &mut PlanState, failed: ReplicaId, why: String) {
    let replica = state.replicas.get(failed);
    let sentence = replica.map(|replica| format!("could not start {}: {why}", replica.name));
    let refusal = OrderError::unavailable(sentence.unwrap_or(why));
    refuse(state, failed, refusal);
}

/// Undoes the active `/add` because of its replica `failed`, and refuses it with this error.
pub(super) fn refuse(state: &mut PlanState, failed: ReplicaId, refusal: OrderError) {
    let Some(group) = state.orders.take_add() else {
        return;
    };
    state.record_of(failed, EventKind::Failed, refusal.sentence.clone());
    for id in &group.replicas {
        state.remove(*id, StopMode::Kill);
    }
    state.orders.set_active(Some(ActiveOrder::Undo {
        order_id: group.order_id,
        group: group.replicas,
        failed,
        refusal,
    }));
}

/// Returns `true` if all replicas of the group have answered.
pub(super) fn is_complete(state: &PlanState, group: &AddGroup) -> bool {
    let has_answered = |id: &ReplicaId| state.replicas.phase(*id) == Some(Phase::Answered);
    group.replicas.iter().all(has_answered)
}

/// Puts the replicas of a complete group on the ring and answers the order.
pub(super) fn complete(state: &mut PlanState, group: AddGroup) {
    state.ring = group.ring;
    state.effects.publish();
    for id in group.replicas {
        add_to_ring(state, id);
    }
    state.answer_with_list(group.order_id);
}

fn add_to_ring(state: &mut PlanState, id: ReplicaId) {
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    let (Some(seat), Some(addr)) = (replica.seat, replica.addr) else {
        return;
    };
    replica.phase = Phase::Up;
    let (name, version) = (replica.name.clone(), replica.version.clone());
    let holder = Holder {
        id,
        name: name.clone(),
        addr,
        health: Health::Up,
        drained: false,
        version: version.clone(),
        stands_in: false,
    };
    let mut record = SeatRecord::new(seat, name.clone(), version);
    record.set_holder(holder, state.now);
    state.seats.push(record);
    state.record(EventKind::Joined, seat, name, "");
}
