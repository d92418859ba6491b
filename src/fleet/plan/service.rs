//! Seats of a service, whose orchestrator keeps the number of tasks: each slot with a wanted task
//! is a seat.
//!
//! Several balancers follow one service, so the ring depends on nothing but the set of slots. A
//! seat is on the ring as soon as its slot is seen, before any task of it answers. Nothing is
//! started here. A task that runs is probed, and takes its seat with its first answer. It gets no
//! new requests once it is to end or another task has the seat.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::replica::{Phase, Replica};
use super::seat::SeatRecord;
use super::state::PlanState;
use super::types::{Action, Environment};
use super::{deaths, seating};
use crate::fleet::engine::{Management, ServiceSnapshot, StopMode, Task, TaskId, TaskStage};
use crate::fleet::events::EventKind;
use crate::orders::{Order, OrderError};
use crate::ring::{RingError, Seat};
use crate::roster::ReplicaId;

/// Handles a snapshot of the service.
pub(super) fn on_snapshot(state: &mut PlanState, snapshot: ServiceSnapshot) {
    state.service.latest = Some(Arc::new(snapshot));
}

/// Returns `true` if the seats are not known yet.
pub(super) fn is_unknown(state: &PlanState) -> bool {
    state.policy.keeper == Management::Orchestrated && state.service.latest.is_none()
}

/// Returns the refusal of an order, with the command that does its work: the orchestrator keeps the
/// replicas, and all balancers of a service must have the same ring.
pub(super) fn refusal(state: &PlanState, order: &Order) -> OrderError {
    let latest = state.service.latest.as_ref();
    let service = latest.map_or("SERVICE", |latest| &*latest.service);
    OrderError::invalid(match order {
        Order::Add(_) | Order::Rm(_) | Order::Scale(_) => {
            format!("the swarm keeps the number of replicas: docker service scale {service}=N")
        }
        Order::Replace(_) | Order::StopReplace | Order::ReplaceBack => {
            format!("the swarm replaces its tasks itself: docker service update --force {service}")
        }
        Order::Kill(name) => {
            format!("{name} is a task of the swarm: docker kill its container on its node")
        }
        Order::Drain(_) | Order::Ready(_) => {
            "the swarm says which tasks serve: docker node update --availability drain NODE"
                .to_owned()
        }
        Order::Ring(spec) => format!(
            "the balancers of {service} must have one ring: restart all of them with --ring {spec}"
        ),
        Order::Bound(bound) => format!(
            "the balancers of {service} must have one bound: restart all of them with --bound {bound}"
        ),
        Order::Weight(..) => {
            format!("the balancers of {service} must have one ring, in which all weights are 1")
        }
        Order::AddBackend(_) | Order::SetBackend(_) => {
            "only fixed backends (--backend) have addresses of yours".to_owned()
        }
    })
}

/// Adapts seats and replicas to the latest snapshot.
pub(super) fn follow(state: &mut PlanState, env: &dyn Environment) {
    let Some(service) = state.service.latest.clone() else {
        return;
    };
    follow_slots(state, &service);
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

/// Puts new slots on the ring, and takes those off that have no wanted task.
fn follow_slots(state: &mut PlanState, service: &ServiceSnapshot) {
    // The first answers in the first slots make the fleet complete.
    let is_first = !std::mem::replace(&mut state.service.begun, true);
    let seen: BTreeSet<Seat> = service.seats.keys().copied().collect();
    let before = state.seats.wanted_seats();
    state.service.refused.retain(|seat| seen.contains(seat));
    if &seen - &state.service.refused == before {
        return;
    }
    let target = match state.ring.reseated(&seen) {
        Ok(ring) => {
            state.ring = ring;
            state.service.refused.clear();
            seen
        }
        Err(err) => {
            refuse(state, service, &seen - &before, &err);
            let kept = &seen & &before;
            match state.ring.reseated(&kept) {
                Ok(ring) => state.ring = ring,
                // The present ring has room for its own seats; requests skip those without holder.
                Err(_) => return,
            }
            kept
        }
    };
    state.effects.publish();
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
}

/// Records once that the ring has no room for these new slots.
fn refuse(state: &mut PlanState, service: &ServiceSnapshot, new: BTreeSet<Seat>, err: &RingError) {
    for seat in &new - &state.service.refused {
        if let Some(name) = service.seats.get(&seat) {
            state.record(EventKind::Failing, seat, name.clone(), err.to_string());
        }
    }
    state.service.refused.extend(new);
}

/// Judges each replica by the stage of its task.
fn follow_tasks(state: &mut PlanState, service: &ServiceSnapshot, env: &dyn Environment) {
    let followed = state.replicas.iter();
    let followed = followed.filter(|(_, replica)| !replica.is_candidate());
    let stages: Vec<(ReplicaId, Phase, TaskStage)> = followed
        .filter_map(|(id, replica)| {
            let task = service.tasks.get(replica.task.as_ref()?);
            let stage = task.map_or_else(gone, |task| task.stage.clone());
            Some((id, replica.phase, stage))
        })
        .collect();
    for (id, phase, stage) in stages {
        match (phase, stage) {
            (Phase::Up | Phase::Suspect | Phase::Unresponsive, TaskStage::Ended(reason)) => {
                deaths::mark_dead(state, id, reason, env);
                state.remove(id, StopMode::Detach);
            }
            (Phase::Up | Phase::Suspect | Phase::Unresponsive, stage) => {
                set_leaving(state, id, stage == TaskStage::Leaving);
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

/// Keeps new requests from a holder whose task is to end, until a successor takes its seat.
fn set_leaving(state: &mut PlanState, id: ReplicaId, is_leaving: bool) {
    let Some(record) = state.seats.held_by_mut(id) else {
        return;
    };
    let (seat, name) = (record.seat, record.display_name().clone());
    let Some(holder) = record.holder.as_mut() else {
        return;
    };
    if holder.drained == is_leaving {
        return;
    }
    holder.drained = is_leaving;
    state.effects.publish();
    let kind = match is_leaving {
        true => EventKind::Drained,
        false => EventKind::Ready,
    };
    state.record(kind, seat, name, "its task is to end");
}

/// Probes the running tasks that may take a seat, and gives the others up.
fn follow_candidates(state: &mut PlanState, service: &ServiceSnapshot) {
    let running = service.tasks.iter();
    let running = running.filter(|(id, task)| may_take_seat(state, service, id, task));
    let running: Vec<(&TaskId, &Task)> = running.collect();
    let is_unwanted = |replica: &Replica| {
        let mut running = running.iter();
        replica.is_candidate() && !running.any(|(id, _)| replica.task.as_ref() == Some(*id))
    };
    let unwanted = state.replicas.iter();
    let unwanted = unwanted.filter(|(_, replica)| is_unwanted(replica));
    for id in unwanted.map(|(id, _)| id).collect::<Vec<_>>() {
        state.remove(id, StopMode::Detach);
    }
    for (id, task) in running {
        let is_same = |replica: &Replica| replica.task.as_ref() == Some(id);
        let is_known = state.replicas.any(is_same);
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
