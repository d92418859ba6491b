//! Changes of the fleet's owner: the start of a takeover, its end, and the release to another
//! process.

use super::replica::Phase;
use super::state::PlanState;
use super::types::{Action, Ownership};
use super::{orders, replace, standby};
use crate::fleet::engine::StopMode;

/// Changes the owner. While another process takes over, waiting orders and all to come are
/// refused. A replacement that is not complete by the time of the offer ends where it is.
pub(super) fn set(state: &mut PlanState, ownership: Ownership) {
    let before = state.handover.set(ownership);
    if before == Ownership::Acquiring {
        complete_takeover(state);
    }
    if !state.handover.is_owned() {
        orders::refuse_waiting(state);
    }
    if ownership == Ownership::Offering {
        replace::end_active(state, "another process takes over", None);
    }
}

/// Carries out the removals that were deferred until the takeover.
fn complete_takeover(state: &mut PlanState) {
    for removal in state.handover.take_deferred() {
        let action = Action::Remove(removal.id, removal.mode);
        state.effects.push(action);
    }
    for (id, reason) in state.replicas.take_ended() {
        match state.replicas.phase(id) {
            Some(Phase::Standby { .. }) => standby::drop_dead(state, id, &reason),
            _ => state.remove(id, StopMode::Kill),
        }
    }
}
