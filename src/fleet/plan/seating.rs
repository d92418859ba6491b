//! Transitions of a seat: a replica takes it, a backend moves within it, its holder recovers; it
//! begins to leave, and is forgotten.

use std::time::Instant;

use super::replica::Phase;
use super::seat::Holder;
use super::state::PlanState;
use super::types::Action;
use crate::fleet::engine::{Management, StopMode};
use crate::fleet::events::EventKind;
use crate::ring::Seat;
use crate::roster::{Health, ReplicaAddr, ReplicaId};

/// Makes a replica the holder of its seat, once it has answered for the first time or acknowledged
/// its promotion. `stands_in` is `true` for a replica that ignores the seat's number.
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
    let (name, version) = (replica.name.clone(), replica.version.clone());
    let joins_late = state.seats.joins_late(seat, state.policy.slow_start, now);
    let Some(record) = state.seats.get_mut(seat) else {
        return;
    };
    let down_since = record.down_since;
    let is_backend = record.backend.is_some();
    let drained = match &record.holder {
        None => record.begins_drained,
        // The order was about the server, which has only moved. A managed successor or another task
        // is another server, so it begins undrained.
        Some(former) => is_backend && former.drained,
    };
    let holder = Holder {
        id,
        name: name.clone(),
        addr,
        health: Health::Up,
        drained,
        version: version.clone(),
        stands_in,
    };
    let former = record.set_holder(holder, now);
    let is_first = record.record_first_answer(joins_late, now);
    state.effects.publish();
    if state.policy.keeper != Management::Managed {
        give_up_former_address(state, former.as_ref(), addr);
        return record_arrival(state, id, former.filter(|_| !is_first), down_since);
    }
    let origin = if was_standby { "from standby" } else { "" };
    let Some(former) = former else {
        return state.record(EventKind::Joined, seat, name, origin);
    };
    let former_phase = state.replicas.phase(former.id);
    let former_serves = matches!(former_phase, Some(Phase::Up | Phase::Suspect));
    // A managed holder that serves is followed only after it stood in, or by order.
    let mut reason = match (former_serves, former.stands_in) {
        (true, true) => "it stood in",
        (true, false) => "by order",
        (false, _) => origin,
    }
    .to_owned();
    if let Some(version) = version.filter(|version| Some(version) != former.version.as_ref()) {
        let comma = if reason.is_empty() { "" } else { ", " };
        reason += &format!("{comma}now {version}");
    }
    let mut event = state.event(EventKind::Replaced, seat, name.clone(), reason.clone());
    event.before = Some(former.name);
    event.replaced_after = down_since.map(|down| now - down);
    state.effects.push(Action::Record(event));
    if former_serves {
        state.record_past_holder(former.id, format!("replaced by {name}, {reason}"));
        state.drain(former.id);
    } else {
        // The former holder is down. If it still runs in silence, it is killed: the seat no longer
        // waits for its answer.
        state.remove(former.id, StopMode::Kill);
    }
}

/// Gives up the address of the `former` holder of a seat that is at `addr` now, also an address
/// that never answered. Requests under way go on there.
fn give_up_former_address(state: &mut PlanState, former: Option<&Holder>, addr: ReplicaAddr) {
    let Some(id) = former.map(|former| former.id) else {
        return;
    };
    match state.replicas.phase(id) {
        Some(Phase::Up | Phase::Suspect) => {
            state.record_past_holder(id, format!("moved to {addr}"));
            state.drain(id);
        }
        _ => state.remove(id, StopMode::Detach),
    }
}

/// Records that a fixed backend, or another task of the slot, answers at the address of `id`.
/// `former` is the holder that has answered there before.
fn record_arrival(
    state: &mut PlanState,
    id: ReplicaId,
    former: Option<Holder>,
    down_since: Option<Instant>,
) {
    let Some((seat, name, addr)) = state.replicas.get(id).and_then(|replica| {
        let (seat, addr) = (replica.seat?, replica.addr?);
        Some((seat, replica.name.clone(), addr))
    }) else {
        return;
    };
    let Some(former) = former else {
        return state.record(EventKind::Joined, seat, name, "");
    };
    if former.addr == addr {
        return state.record(EventKind::Up, seat, name, "");
    }
    let reason = format!("from {} to {addr}", former.addr);
    let mut event = state.event(EventKind::Moved, seat, name, reason);
    event.replaced_after = down_since.map(|down| state.now - down);
    state.effects.push(Action::Record(event));
}

/// Marks a holder up that was down: it answered before a successor did, and keeps its seat. For a
/// replica that was found at the start, this is its first answer.
pub(super) fn recover(state: &mut PlanState, id: ReplicaId) {
    let now = state.now;
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    let Some(seat) = replica.seat else { return };
    replica.phase = Phase::Up;
    let (name, started) = (replica.name.clone(), replica.started);
    state.set_health(id, Health::Up);
    let joins_late = state.seats.joins_late(seat, state.policy.slow_start, now);
    let is_first = state.seats.get_mut(seat).is_some_and(|record| {
        record.holder_answers(now);
        let is_first = record.record_first_answer(joins_late, now);
        if let Some(started) = started.filter(|_| is_first) {
            record.up_since = Some(started);
        }
        is_first
    });
    if !state.orders.is_replacing(seat) {
        state.cancel_successor(seat, &format!("{name} spoke first"));
    }
    let kind = match is_first {
        true => EventKind::Joined,
        false => EventKind::Up,
    };
    state.record(kind, seat, name, "");
}

/// Begins the removal of a seat that is off the ring already: cancels its successor and drains its
/// holder.
pub(super) fn begin_leaving(state: &mut PlanState, seat: Seat) {
    let Some(record) = state.seats.get_mut(seat) else {
        return;
    };
    record.leaving = true;
    // No start is due here any more, so `Plan::deadline` must not wait for one.
    record.backoff.allow_now();
    // `Status::complete` must not wait for its first answer.
    record.awaits_first_answer = false;
    let (holder, name) = (record.holder_id(), record.display_name().clone());
    state.cancel_successor(seat, "its seat is removed");
    state.record(EventKind::Leaving, seat, name, "");
    if let Some(id) = holder {
        state.drain(id);
    }
}

/// Removes the record of a seat in which no replica is left.
pub(super) fn forget(state: &mut PlanState, seat: Seat) {
    if let Some(record) = state.seats.remove(seat) {
        let name = record.display_name().clone();
        state.record(EventKind::Left, seat, name, "");
    }
}
