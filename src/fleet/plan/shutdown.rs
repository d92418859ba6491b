//! Shutdown: all replicas are removed, or the serving ones are left running.

use super::orders;
use super::replica::Phase;
use super::state::{PlanState, Shutdown};
use super::types::Action;
use crate::fleet::engine::StopMode;
use crate::roster::ReplicaId;

/// Closes the order book, and removes or detaches every replica. `leave`: serving replicas and
/// standbys are left to another balancer.
pub(super) fn begin(state: &mut PlanState, leave: bool) {
    // The balancer that serves on has no use for the replicas that this process started.
    let detach = (leave || state.policy.keep) && !state.handover.is_acquiring();
    orders::close(state);
    state.orders.set_active(None);
    state.shutdown = Some(Shutdown {
        leave,
        finished: false,
    });
    for removal in state.handover.take_deferred() {
        let action = Action::Remove(removal.id, StopMode::Detach);
        state.effects.push(action);
    }
    let replicas = state.replicas.iter();
    let replicas: Vec<_> = replicas.map(|(id, replica)| (id, replica.phase)).collect();
    for (id, phase) in replicas {
        let mode = stop_mode(state, id, phase, detach);
        state.remove(id, mode);
    }
}

fn stop_mode(state: &PlanState, id: ReplicaId, phase: Phase, detach: bool) -> StopMode {
    match phase {
        Phase::Suspect if !detach && state.is_skipped(id) => StopMode::Kill,
        Phase::Starting { .. } | Phase::Promoting { .. } => StopMode::Kill,
        Phase::Up | Phase::Suspect | Phase::Unresponsive | Phase::Standby { .. } if detach => {
            StopMode::Detach
        }
        Phase::Unresponsive => StopMode::Kill,
        _ => StopMode::Graceful,
    }
}

/// Reports once that no replica is left.
pub(super) fn finish(state: &mut PlanState) {
    let is_empty = state.replicas.is_empty();
    if let Some(shutdown) = &mut state.shutdown
        && is_empty
        && !shutdown.finished
    {
        shutdown.finished = true;
        state.effects.push(Action::Finished);
    }
}
