//! Deaths of replicas: the verdict takes effect in the seat, the roster, the history and the
//! events.
//!
//! The verdict itself comes from elsewhere: from heartbeats in `health`, from reports of the engine
//! in `engine_events`.

use std::time::Instant;

use super::replica::{Phase, Replica};
use super::state::PlanState;
use super::types::{Action, Environment};
use crate::fleet::engine::{ExitReport, StopMode};
use crate::fleet::events::EventKind;
use crate::roster::{Health, ReplicaId};

/// Marks a holder dead. If it was down already, only the reason is new.
pub(super) fn mark_dead(
    state: &mut PlanState,
    id: ReplicaId,
    reason: String,
    env: &dyn Environment,
) {
    let replica = state.replicas.get(id);
    let last = replica.and_then(Replica::last_ok);
    mark_dead_since(state, id, reason, last.max(env.last_answer(id)));
}

/// Marks a holder dead that was last well at `last`.
pub(super) fn mark_dead_since(
    state: &mut PlanState,
    id: ReplicaId,
    reason: String,
    last: Option<Instant>,
) {
    let now = state.now;
    let is_managed = state.policy.keeper.is_managed();
    let Some(record) = state.seats.held_by_mut(id) else {
        return;
    };
    if !record.is_held() {
        // A replica that was found and has never answered had time to. Now its death is certain.
        record.backoff.confirm_death();
        return state.record_of(id, EventKind::Ended, reason);
    }
    record.holder_died(now);
    let died = record.holder.as_ref().filter(|_| is_managed);
    record.failure = died.map(|holder| format!("{} died: {reason}", holder.name));
    state.set_health(id, Health::Down);
    state.record_past_holder(id, reason.clone());
    let Some(replica) = state.replicas.get(id) else {
        return;
    };
    let (seat, name) = (replica.seat, replica.name.clone());
    if let (Some(seat), Some(rolling)) = (seat, state.orders.rolling_mut()) {
        rolling.record_death(seat, id, &name, &reason);
    }
    let mut event = state.event(EventKind::Down, seat, name, reason);
    event.detected_within = last.map(|at| now.saturating_duration_since(at));
    state.effects.push(Action::Record(event));
}

/// Marks a holder dead that is still probed, because it may answer again or may not be removed.
pub(super) fn mark_unresponsive(
    state: &mut PlanState,
    id: ReplicaId,
    reason: String,
    env: &dyn Environment,
) {
    if let Some(replica) = state.replicas.get_mut(id) {
        replica.phase = Phase::Unresponsive;
        mark_dead(state, id, reason, env);
    }
}

/// Kills a draining replica that is dead: other replicas may retry its requests.
pub(super) fn abandon_drain(state: &mut PlanState, id: ReplicaId, reason: String) {
    state.set_health(id, Health::Down);
    state.record_of(id, EventKind::Ended, reason);
    state.remove(id, StopMode::Kill);
}

/// Records that a shared replica has ended. Its removal is deferred.
pub(super) fn shared_ended(
    state: &mut PlanState,
    id: ReplicaId,
    exit: &ExitReport,
    env: &dyn Environment,
) {
    let reason = exit.to_string();
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    replica.ended = Some(reason.clone());
    if let Phase::Up | Phase::Suspect | Phase::Unresponsive = replica.phase {
        mark_unresponsive(state, id, reason, env);
    }
    state.seats.record_exit(id, exit);
}
