//! Seats and their replicas: a seat is taken, recovered, or removed.

use super::replica::Phase;
use super::seat::Holder;
use super::state::PlanState;
use super::types::Action;
use crate::fleet::engine::StopMode;
use crate::fleet::events::EventKind;
use crate::ring::Seat;
use crate::roster::{Health, ReplicaId};

/// Gives a wanted seat to the replica that was started for it or promoted to it. `stands_in`: the
/// replica does not know its seat.
pub(super) fn take_seat(state: &mut PlanState, id: ReplicaId, stands_in: bool) {
    let now = state.now;
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    let (Some(seat), Some(addr)) = (replica.seat, replica.addr) else {
        return;
    };
    let was_standby = matches!(replica.phase, Phase::Promoting { .. });
    replica.phase = Phase::Up;
    let name = replica.name.clone();
    let Some(record) = state.seats.get_mut(seat) else {
        return;
    };
    let down_since = record.down_since;
    let holder = Holder {
        id,
        name: name.clone(),
        addr,
        health: Health::Up,
        drained: record.holder.is_none() && record.begins_drained,
        stands_in,
    };
    let former = record.take(holder, now);
    state.seats.record_first_answer(seat);
    state.effects.publish_if(true);
    let origin = if was_standby { "from standby" } else { "" };
    let Some(former) = former else {
        return state.record(EventKind::Joined, seat, name, origin);
    };
    let former_phase = state.replicas.phase(former.id);
    let former_serves = matches!(former_phase, Some(Phase::Up | Phase::Suspect));
    let reason = match (former_serves, former.stands_in) {
        (true, true) => "it stood in",
        (true, false) => "by order",
        (false, _) => origin,
    };
    let mut event = state.event(EventKind::Replaced, seat, name.clone(), reason);
    event.before = Some(former.name);
    event.replaced_after = down_since.map(|down| now - down);
    state.effects.push(Action::Record(event));
    if former_serves {
        state.record_death(former.id, format!("replaced by {name}, {reason}"));
        state.drain(former.id);
    } else {
        // The former holder is silent, and its answer is no longer needed.
        state.remove(former.id, StopMode::Kill);
    }
}

/// Keeps the seat for a holder that was down and answers before its successor does.
pub(super) fn recover(state: &mut PlanState, id: ReplicaId) {
    let now = state.now;
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    let Some(seat) = replica.seat else { return };
    replica.phase = Phase::Up;
    let name = replica.name.clone();
    state.set_health(id, Health::Up);
    if let Some(record) = state.seats.get_mut(seat) {
        record.holder_answers(now);
    }
    if !state.orders.is_replacing(seat) {
        state.cancel_successor(seat, &format!("{name} spoke first"));
    }
    let kind = match state.seats.record_first_answer(seat) {
        true => EventKind::Joined,
        false => EventKind::Up,
    };
    state.record(kind, seat, name, "");
}

/// Takes a seat off the ring, cancels its successor and drains its holder.
pub(super) fn leave_ring(state: &mut PlanState, seat: Seat) {
    let Some(record) = state.seats.get_mut(seat) else {
        return;
    };
    record.leaving = true;
    record.backoff.allow_now();
    let (holder, name) = (record.holder_id(), record.display_name().clone());
    state.seats.record_first_answer(seat);
    state.cancel_successor(seat, "its seat is removed");
    state.record(EventKind::Leaving, seat, name, "");
    if let Some(id) = holder {
        state.drain(id);
    }
}

/// Forgets a seat whose replicas have ended.
pub(super) fn forget(state: &mut PlanState, seat: Seat) {
    if let Some(record) = state.seats.remove(seat) {
        let name = record.display_name().clone();
        state.record(EventKind::Left, seat, name, "");
    }
}
