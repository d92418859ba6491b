//! Effect of an order about a service, as far as this balancer has seen it.

use std::collections::BTreeSet;

use super::replica::Replica;
use super::seat::SeatRecord;
use super::state::PlanState;
use crate::fleet::engine::ServiceSnapshot;
use crate::ring::Seat;

/// Returns in a phrase what the service lacks for the number of replicas that it wants. `added`:
/// the number of new replicas that an order waits for; `None`: all.
pub(super) fn missing_of_scale(
    state: &PlanState,
    service: &ServiceSnapshot,
    before: &BTreeSet<Seat>,
    added: Option<usize>,
) -> Option<String> {
    let (slots, wanted) = (service.seats.len(), service.wanted);
    if slots != wanted {
        return Some(format!("the swarm has {slots} slots and not {wanted}"));
    }
    let is_held = |seat: &Seat| state.seats.get(*seat).is_some_and(SeatRecord::is_held);
    let new = service.seats.iter();
    let new = new.filter(|(seat, _)| !before.contains(seat));
    let (held, rest): (Vec<_>, Vec<_>) = new.partition(|(seat, _)| is_held(seat));
    let is_enough = added.is_some_and(|n| held.len() >= n);
    if let Some((_, name)) = rest.first().filter(|_| !is_enough) {
        return Some(format!("{name} has not answered"));
    }
    let mut gone = before
        .iter()
        .filter(|seat| !service.seats.contains_key(seat));
    let left = gone.find(|seat| state.seats.get(**seat).is_some());
    left.map(|seat| format!("the replica of seat {seat} has not finished"))
}

/// Returns the number of seats whose replica belongs to this forced update or to a later one.
pub(super) fn updated_seats(
    state: &PlanState,
    service: &ServiceSnapshot,
    generation: u64,
) -> usize {
    let is_updated = |record: &&SeatRecord| {
        let holder = record.holder_id().and_then(|id| state.replicas.get(id));
        let task = holder.and_then(|holder| service.tasks.get(holder.task.as_ref()?));
        record.is_held() && task.is_some_and(|task| task.generation >= generation)
    };
    state.seats.wanted().filter(is_updated).count()
}

/// Returns in a phrase what is left to do of an update.
pub(super) fn missing_of_update(
    state: &PlanState,
    service: &ServiceSnapshot,
    generation: u64,
    updated: usize,
) -> Option<String> {
    let slots = service.seats.len();
    if updated < slots {
        return Some(format!(
            "{updated} of {slots} replicas are new, and no other one came"
        ));
    }
    let is_old = |replica: &Replica| {
        let task = replica
            .task
            .as_ref()
            .and_then(|task| service.tasks.get(task));
        task.is_some_and(|task| task.generation < generation)
    };
    let old = state.replicas.values().find(|replica| is_old(replica));
    old.map(|replica| format!("the former {} has not finished", replica.name))
}
