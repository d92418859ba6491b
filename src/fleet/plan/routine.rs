//! Answers from which nothing follows: nearly all inputs of a fleet at rest.
//!
//! A step looks at every seat, and each seat has several answers a second. Without this shortcut
//! the work would grow with the square of the number of seats.

use std::time::Instant;

use super::probe_types::ProbeEvent;
use super::replica::Phase;
use super::state::PlanState;
use super::types::Input;
use crate::roster::ReplicaId;

/// Records the answer of a replica that serves and has missed nothing. Returns `false` for every
/// other input.
pub(super) fn record(state: &mut PlanState, input: &Input, now: Instant) -> bool {
    let routine = replica(state, input);
    let replica = routine.and_then(|id| state.replicas.get_mut(id));
    replica.map(|replica| replica.record_answer(now)).is_some()
}

/// Returns the replica whose answer this is, if nothing follows from it.
pub(super) fn replica(state: &PlanState, input: &Input) -> Option<ReplicaId> {
    let Input::Probe(id, ProbeEvent::Answered) = input else {
        return None;
    };
    let replica = state.replicas.get(*id)?;
    (replica.phase == Phase::Up && replica.misses() == 0).then_some(*id)
}
