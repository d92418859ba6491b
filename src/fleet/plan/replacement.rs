//! Successors: every wanted seat without a living holder gets one, unless it must wait.
//!
//! This file decides when a successor starts, never whether a replica is dead.

use super::standby;
use super::state::PlanState;
use super::types::Environment;
use crate::fleet::events::EventKind;
use crate::fleet::version::Version;
use crate::ring::Seat;
use crate::roster::ReplicaName;

/// Starts a successor for every seat that should have one by now.
pub(super) fn fill(state: &mut PlanState, env: &mut dyn Environment) {
    if !state.policy.keeper.is_managed() || state.handover.is_released() {
        return;
    }
    let allowed = allowed_for_silent(state);
    for (seat, is_empty) in seats_to_fill(state, allowed) {
        if !is_empty || !standby::promote(state, seat) {
            let record = state.seats.get(seat);
            let version = record.and_then(|record| record.version.clone());
            start_successor(state, seat, version, env);
        }
    }
}

/// Returns the seats that get a successor now, each with `true` if its holder is dead or missing.
/// At most `allowed` of them are silent.
fn seats_to_fill(state: &PlanState, mut allowed: usize) -> Vec<(Seat, bool)> {
    let mut seats = Vec::new();
    for record in state.seats.wanted() {
        let waits = record.backoff.must_wait(state.now);
        if record.is_filled() || record.successor.is_some() || waits {
            continue;
        }
        if state.is_left_to_old_balancer(record) {
            continue;
        }
        if state.is_silent(record) {
            if allowed == 0 {
                continue;
            }
            allowed -= 1;
        }
        seats.push((record.seat, !record.is_held()));
    }
    seats
}

/// Starts a successor of this version for `seat`, which has none.
pub(super) fn start_successor(
    state: &mut PlanState,
    seat: Seat,
    version: Option<Version>,
    env: &mut dyn Environment,
) {
    let Some(record) = state.seats.get(seat) else {
        return;
    };
    let name = if record.holder.is_none() && !state.is_name_in_use(&record.first_name) {
        record.first_name.clone()
    } else {
        state.free_name(env)
    };
    let id = state.start(Some(seat), name, version);
    if let Some(record) = state.seats.get_mut(seat) {
        record.successor = Some(id);
    }
}

/// Returns how many silent seats may get a successor now. Ends the hold when no seat is silent.
fn allowed_for_silent(state: &mut PlanState) -> usize {
    let silent = state.seats.iter().filter(|record| state.is_silent(record));
    let (all, filling) = silent.fold((0, 0), |(all, filling), record| {
        (all + 1, filling + usize::from(record.successor.is_some()))
    });
    if all == 0 {
        state.mass_silence.release();
    }
    state.mass_silence.allowed(state.now, filling)
}

/// Records that a seat fell silent. If many did so at once, the replacement of silent replicas is
/// held back.
pub(super) fn record_silence(state: &mut PlanState, seat: Seat, name: ReplicaName) {
    let (now, interval) = (state.now, state.policy.interval);
    let silent = state.mass_silence.record(now, interval);
    let wanted = state.seats.wanted_count();
    let should_hold = state.mass_silence.should_hold(silent, wanted);
    if !should_hold || !state.policy.keeper.is_managed() {
        return;
    }
    state.mass_silence.hold(now);
    let reason = format!("{silent} of {wanted} seats fell silent within {interval:?}");
    state.record(EventKind::Held, seat, name, reason);
    let silent = state.seats.iter().filter(|record| state.is_silent(record));
    for seat in silent.map(|record| record.seat).collect::<Vec<_>>() {
        if !state.orders.is_replacing(seat) {
            state.cancel_successor(seat, "replacing is held back");
        }
    }
}
