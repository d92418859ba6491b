//! Seats of a service, whose orchestrator keeps the number of tasks: each slot with a wanted task
//! is a seat.
//!
//! Several balancers follow one service, so the ring depends on nothing but the service. A seat is
//! on the ring as soon as its slot is seen, before any task of it answers. Nothing is started here.
//! A task that runs is probed, and takes its seat with its first answer. It gets no new requests
//! once it is to end or another task has the seat.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::replica::{Phase, Replica};
use super::state::PlanState;
use super::types::{Action, Environment};
use super::{deaths, seating, service_ring};
use crate::fleet::engine::{Management, ServiceSnapshot, StopMode, Task, TaskId, TaskStage};
use crate::fleet::events::EventKind;
use crate::roster::ReplicaId;

/// Handles a snapshot of the service.
pub(super) fn on_snapshot(state: &mut PlanState, snapshot: Arc<ServiceSnapshot>) {
    state.service.latest = Some(snapshot);
}

/// Returns `true` if the seats are not known yet.
pub(super) fn is_unknown(state: &PlanState) -> bool {
    state.policy.keeper == Management::Orchestrated && state.service.latest.is_none()
}

/// Adapts seats and replicas to the latest snapshot.
pub(super) fn follow(state: &mut PlanState, env: &dyn Environment) {
    let Some(service) = state.service.latest.clone() else {
        return;
    };
    service_ring::follow(state, &service);
    follow_tasks(state, &service, env);
    follow_candidates(state, &service);
    let left = state.seats.iter().filter(|record| record.leaving);
    for seat in left.map(|record| record.seat).collect::<Vec<_>>() {
        let is_left = |replica: &Replica| replica.seat == Some(seat);
        if !state.replicas.any(is_left) {
            seating::forget(state, seat);
        }
    }
}

/// Judges each replica by the stage of its task.
fn follow_tasks(state: &mut PlanState, service: &ServiceSnapshot, env: &dyn Environment) {
    let followed = state.replicas.iter();
    let followed = followed.filter(|(_, replica)| !replica.is_candidate());
    let stages: Vec<(ReplicaId, Phase, TaskStage, bool)> = followed
        .filter_map(|(id, replica)| {
            let task_id = replica.task.as_ref()?;
            let task = service.tasks.get(task_id);
            let stage = task.map_or_else(gone, |task| task.stage.clone());
            let is_drained = service.settings.drained.contains(task_id);
            Some((id, replica.phase, stage, is_drained))
        })
        .collect();
    for (id, phase, stage, is_drained) in stages {
        match (phase, stage) {
            (Phase::Up | Phase::Suspect | Phase::Unresponsive, TaskStage::Ended(reason)) => {
                deaths::mark_dead(state, id, reason, env);
                state.remove(id, StopMode::Detach);
            }
            (Phase::Up | Phase::Suspect | Phase::Unresponsive, stage) => {
                let is_leaving = stage == TaskStage::Leaving;
                set_drained(state, id, is_leaving, is_leaving || is_drained);
            }
            // Its requests may be retried elsewhere.
            (Phase::Draining { .. }, TaskStage::Ended(_)) => state.remove(id, StopMode::Detach),
            _ => {}
        }
    }
}

/// Stage of a task that the orchestrator no longer knows.
fn gone() -> TaskStage {
    TaskStage::Ended("its task is gone".to_owned())
}

/// Keeps new requests from a holder, or no longer. One whose task is to end serves no more until a
/// successor takes its seat.
fn set_drained(state: &mut PlanState, id: ReplicaId, is_leaving: bool, drained: bool) {
    let now = state.now;
    let Some(record) = state.seats.held_by_mut(id) else {
        return;
    };
    let (seat, name) = (record.seat, record.display_name().clone());
    let Some(holder) = record.holder.as_mut() else {
        return;
    };
    if holder.drained == drained {
        return;
    }
    holder.drained = drained;
    if !drained {
        record.joined_at = Some(now);
    }
    state.effects.publish();
    let kind = match drained {
        true => EventKind::Drained,
        false => EventKind::Ready,
    };
    let reason = match is_leaving {
        true => "its task is to end",
        false => "",
    };
    state.record(kind, seat, name, reason);
}

/// Probes the running tasks that may take a seat, and gives the others up.
fn follow_candidates(state: &mut PlanState, service: &ServiceSnapshot) {
    let running = service.tasks.iter();
    let running = running.filter(|(id, task)| may_take_seat(state, service, id, task));
    let running: BTreeMap<&TaskId, &Task> = running.collect();
    let is_unwanted = |replica: &Replica| {
        let runs = |task| running.contains_key(task);
        replica.is_candidate() && !replica.task.as_ref().is_some_and(runs)
    };
    let unwanted = state.replicas.iter();
    let unwanted = unwanted.filter(|(_, replica)| is_unwanted(replica));
    for id in unwanted.map(|(id, _)| id).collect::<Vec<_>>() {
        state.remove(id, StopMode::Detach);
    }
    let known = state.replicas.values();
    let known: BTreeSet<TaskId> = known.filter_map(|replica| replica.task.clone()).collect();
    for (id, task) in running {
        let is_known = known.contains(id);
        let name = service.seats.get(&task.seat);
        if let (Some(name), Some(addr), false) = (name, task.addr, is_known) {
            let mut replica = Replica::candidate(task.seat, name.clone(), addr, state.now);
            replica.task = Some(id.clone());
            let id = state.replicas.insert(replica);
            state.effects.push(Action::StartProbing(id, addr));
        }
    }
}

/// Returns `true` if a task runs and is not the holder of its seat, and the holder is older or does
/// not serve.
fn may_take_seat(state: &PlanState, service: &ServiceSnapshot, id: &TaskId, task: &Task) -> bool {
    let record = state.seats.get(task.seat).filter(|record| !record.leaving);
    let Some(record) = record.filter(|_| task.stage == TaskStage::Runs) else {
        return false;
    };
    let Some(holder) = &record.holder else {
        return true;
    };
    let replica = state.replicas.get(holder.id);
    let held_by = replica.filter(|replica| !replica.is_removing());
    let Some(held_by) = held_by.and_then(|replica| replica.task.as_ref()) else {
        return true;
    };
    let serves = record.is_held() && !holder.drained && !state.is_silent(record);
    let is_newer = |other: &Task| (task.created, id) > (other.created, held_by);
    held_by != id && (!serves || service.tasks.get(held_by).is_none_or(is_newer))
}
