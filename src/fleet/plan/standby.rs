//! Standbys: warm replicas without a seat, so that an empty seat is filled within milliseconds.
//!
//! A heartbeat carries the number of the seat to a standby, and the standby takes the seat by its
//! answer. So its own answers are right from the first one. A custom server may ignore the number.
//! It then only stands in until a replica that was started for the seat follows it. Otherwise it
//! would never learn its seat, and the next balancer could not tell the seat from its container.

use std::time::Duration;

use super::replica::{Phase, Replica};
use super::state::PlanState;
use super::types::{Action, Environment, Ownership};
use crate::fleet::engine::StopMode;
use crate::fleet::events::EventKind;
use crate::ring::Seat;
use crate::roster::{ReplicaAddr, ReplicaId};

/// Time in which a standby must take the seat that it is promoted to.
pub(super) const PROMOTION_TIMEOUT: Duration = Duration::from_millis(250);

/// Starts the standbys that are missing, unless the back-off or the handover forbids it.
pub(super) fn fill(state: &mut PlanState, env: &mut dyn Environment) {
    let waits = state.standby_backoff.must_wait(state.now);
    let ownership = state.handover.ownership();
    let is_lent = matches!(ownership, Ownership::Offering | Ownership::Released);
    let is_closed = state.orders.is_closed();
    if !state.policy.keeper.is_managed() || is_closed || waits || is_lent {
        return;
    }
    let replicas = state.replicas.values();
    let present = replicas.filter(|replica| replica.seat.is_none() && !replica.is_removing());
    for _ in present.count()..state.policy.standbys {
        let name = state.free_name(env);
        let version = state.version.clone();
        state.start(None, name, version);
    }
}

/// Removes the standbys that run another version than new ones would.
pub(super) fn remove_outdated(state: &mut PlanState) {
    let is_outdated =
        |replica: &Replica| replica.seat.is_none() && replica.version != state.version;
    let replicas = state.replicas.iter();
    let outdated = replicas.filter(|(_, replica)| is_outdated(replica));
    for id in outdated.map(|(id, _)| id).collect::<Vec<_>>() {
        state.remove(id, StopMode::Graceful);
    }
}

/// Makes a replica that was started without a seat a standby. Its first answer has arrived.
pub(super) fn park(state: &mut PlanState, id: ReplicaId) {
    let since = state.now;
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    replica.phase = Phase::Standby { since };
    let name = replica.name.clone();
    state.record(EventKind::Standby, None, name, "");
}

/// Promotes a standby of the right version to the empty `seat`. Returns `false` if there is no fit
/// one.
pub(super) fn promote(state: &mut PlanState, seat: Seat) -> bool {
    let until = state.now + PROMOTION_TIMEOUT;
    if !state.handover.is_owned() {
        return false;
    }
    let Some((id, addr)) = fittest(state, seat) else {
        return false;
    };
    if let Some(record) = state.seats.get_mut(seat) {
        record.successor = Some(id);
    }
    if let Some(replica) = state.replicas.get_mut(id) {
        if let Phase::Standby { since } = replica.phase {
            state.standby_backoff.reset_after(state.now - since);
        }
        replica.seat = Some(seat);
        replica.phase = Phase::Promoting { until };
    }
    state.effects.push(Action::AssignSeat(id, addr, seat));
    true
}

/// Returns `true` if a standby can be promoted to `seat`.
pub(super) fn has_fit(state: &PlanState, seat: Seat) -> bool {
    state.handover.is_owned() && fittest(state, seat).is_some()
}

/// Returns the standby of the version of `seat` with the fewest missed heartbeats, and of these the
/// oldest.
fn fittest(state: &PlanState, seat: Seat) -> Option<(ReplicaId, ReplicaAddr)> {
    let (limit, version) = (state.policy.misses, &state.seats.get(seat)?.version);
    let is_fit = |replica: &Replica| {
        replica.is_warm() && replica.misses() < limit && replica.version == *version
    };
    let fit = state.replicas.iter().filter(|(_, replica)| is_fit(replica));
    let fittest = fit.min_by_key(|(id, replica)| (replica.misses(), *id));
    fittest.and_then(|(id, replica)| Some((id, replica.addr?)))
}

/// Gives up a dead standby, whether it was being promoted or not. A shared standby is left as it
/// is.
pub(super) fn drop_dead(state: &mut PlanState, id: ReplicaId, why: &str) {
    if state.is_shared(id) {
        return;
    }
    let now = state.now;
    let Some(replica) = state.replicas.get(id) else {
        return;
    };
    let (seat, name) = (replica.seat, replica.name.clone());
    let warm_for = match replica.phase {
        Phase::Standby { since } => Some(now - since),
        _ => None,
    };
    state.standby_backoff.record_death(now, warm_for);
    if let Some(record) = seat.and_then(|seat| state.seats.get_mut(seat)) {
        record.successor = None;
    }
    state.record(EventKind::Down, None, name, why);
    state.remove(id, StopMode::Kill);
}

/// Gives up a standby that did not start.
pub(super) fn start_failed(state: &mut PlanState, id: ReplicaId, why: &str) {
    let Some(replica) = state.replicas.get(id) else {
        return;
    };
    let name = replica.name.clone();
    state.standby_backoff.record_failure(state.now);
    state.record(EventKind::Failed, None, name, why);
    state.remove(id, StopMode::Kill);
}
