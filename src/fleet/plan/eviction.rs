//! Eviction: a silent task of our own node is killed, so that the orchestrator fills its slot.
//!
//! An orchestrator does not notice that a task is frozen. Exactly one balancer can kill it, the one
//! on its node, so that no vote is needed. The rule of self-suspicion holds as for a managed fleet.

use std::time::{Duration, Instant};

use super::replacement;
use super::state::PlanState;
use super::types::Action;
use crate::fleet::engine::{Management, TaskContainer, TaskStage};
use crate::fleet::events::EventKind;
use crate::ring::Seat;
use crate::roster::ReplicaId;

/// Time after which a task that was killed and still seems to run is killed again.
const EVICT_AGAIN: Duration = Duration::from_secs(5);

/// Kills the silent tasks of our own node that are due.
pub(super) fn evict(state: &mut PlanState) {
    if state.policy.keeper != Management::Orchestrated || state.orders.is_closed() {
        return;
    }
    let allowed = replacement::allowed_for_silent(state);
    for (id, seat, container) in due(state, allowed) {
        if let Some(replica) = state.replicas.get_mut(id) {
            replica.evicted_at = Some(state.now);
            let name = replica.name.clone();
            state.effects.push(Action::KillTask(container));
            let reason = format!("silent for {:?}", state.policy.replace_after);
            state.record(EventKind::Evicted, seat, name, reason);
        }
    }
}

/// Returns the tasks that are killed now, at most `allowed` for the first time.
fn due(state: &PlanState, mut allowed: usize) -> Vec<(ReplicaId, Seat, TaskContainer)> {
    let Some(service) = state.service.latest.as_ref() else {
        return Vec::new();
    };
    let mut due = Vec::new();
    for record in state.seats.wanted() {
        let holder = record
            .holder_id()
            .and_then(|id| Some((id, state.replicas.get(id)?)));
        let Some((id, replica)) = holder.filter(|(_, replica)| replica.is_dead_by_silence()) else {
            continue;
        };
        let task = replica
            .task
            .as_ref()
            .and_then(|task| service.tasks.get(task));
        let task = task.filter(|task| task.stage == TaskStage::Runs);
        let Some(container) = task.and_then(|task| task.container.clone()) else {
            continue;
        };
        match replica.evicted_at {
            Some(at) if state.now < at + EVICT_AGAIN => continue,
            Some(_) => {}
            None if allowed == 0 => continue,
            None => allowed -= 1,
        }
        due.push((id, record.seat, container));
    }
    due
}

/// Returns the time at which a task is killed again, unless it has ended until then.
pub(super) fn deadline(state: &PlanState) -> Option<Instant> {
    let evicted = state.replicas.values();
    let evicted = evicted.filter(|replica| replica.is_dead_by_silence());
    evicted
        .filter_map(|replica| replica.evicted_at)
        .map(|at| at + EVICT_AGAIN)
        .min()
}
