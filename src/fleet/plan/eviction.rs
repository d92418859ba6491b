//! Eviction: a silent task of our own node is killed, so that the orchestrator fills its slot.
//!
//! An orchestrator does not notice that a task is frozen. Exactly one balancer can kill it, the one
//! on its node, so that no vote is needed. It kills only while at least half of the seats are up:
//! otherwise this process or its network is at fault. No successor runs before, so one task is
//! killed at a time.

use std::time::{Duration, Instant};

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
    let (up, wanted) = (state.seats.up_count(), state.seats.wanted_count());
    if 2 * up < wanted {
        return;
    }
    if let Some((id, seat, container)) = due(state)
        && let Some(replica) = state.replicas.get_mut(id)
    {
        replica.evicted_at = Some(state.now);
        let name = replica.name.clone();
        state.effects.push(Action::KillTask(container));
        let reason = format!("silent for {:?}", state.policy.replace_after);
        state.record(EventKind::Evicted, seat, name, reason);
    }
}

/// Returns the task that is killed now, if there is one.
fn due(state: &PlanState) -> Option<(ReplicaId, Seat, TaskContainer)> {
    let service = state.service.latest.as_ref()?;
    let silent = state.seats.wanted().filter_map(|record| {
        let id = record.holder_id()?;
        let replica = state.replicas.get(id)?;
        replica
            .is_dead_by_silence()
            .then_some((id, record.seat, replica))
    });
    let silent: Vec<_> = silent.collect();
    let is_recent = |at: Instant| state.now < at + EVICT_AGAIN;
    let mut evicted = silent
        .iter()
        .filter_map(|(_, _, replica)| replica.evicted_at);
    if evicted.any(is_recent) {
        return None;
    }
    silent.into_iter().find_map(|(id, seat, replica)| {
        let task = service.tasks.get(replica.task.as_ref()?)?;
        let container = task.container.clone()?;
        (task.stage == TaskStage::Runs).then_some((id, seat, container))
    })
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
