//! Descriptions for `show`: one for every replica, and one for every seat without a replica.
//!
//! The functions change nothing. The event loop adds the facts of the engine, the heartbeats and
//! the workers, which it finds by the id of the replica.

use std::time::Instant;

use super::backend::Backend;
use super::backend_change::BackendOrder;
use super::replica::{Phase, Replica};
use super::seat::SeatRecord;
use super::state::PlanState;
use crate::orders::{BackendAddr, ReplicaInfo, ReplicaState};
use crate::roster::ReplicaId;

/// Returns all descriptions, ordered by seat; the holder of a seat comes before its successor.
pub(super) fn describe(state: &PlanState, now: Instant) -> Vec<(Option<ReplicaId>, ReplicaInfo)> {
    let replicas = state.replicas.iter();
    let mut infos: Vec<_> = replicas
        .map(|(id, replica)| (Some(id), describe_replica(state, id, replica, now)))
        .collect();
    let empty = state.seats.wanted().filter(|seat| is_empty(state, seat));
    infos.extend(empty.map(|record| (None, describe_empty(state, record, now))));
    infos.sort_by_key(|(id, info)| (info.seat.is_none(), info.seat, *id));
    infos
}

fn describe_replica(
    state: &PlanState,
    id: ReplicaId,
    replica: &Replica,
    now: Instant,
) -> ReplicaInfo {
    let record = replica.seat.and_then(|seat| state.seats.get(seat));
    let held = record.filter(|record| record.holder_id() == Some(id));
    let drained = held.is_some_and(|record| record.holder.as_ref().is_some_and(|h| h.drained));
    let up_since = match replica.phase {
        Phase::Standby { since } => Some(since),
        _ => held.and_then(|record| record.up_since),
    };
    ReplicaInfo {
        name: replica.name.clone(),
        seat: replica.seat,
        state: match state.is_skipped(id) {
            true if !drained => ReplicaState::Silent,
            _ => state_of(replica.phase, drained, state.policy.keeper.is_managed()),
        },
        addr: replica.addr,
        backend: typed_addr(state, replica),
        engine_id: replica.task.as_ref().map(|task| format!("task:{task}")),
        up_for: up_since.map(|at| now.saturating_duration_since(at)),
        deaths: record.map_or(0, |record| record.deaths),
        heartbeat: None,
        in_flight: 0,
        weight: replica.seat.map(|seat| state.ring.weights().of(seat)),
        version: replica.version.as_ref().map(ToString::to_string),
        in_rep_list: held.is_some_and(SeatRecord::is_held),
        reason: reason(state, id, replica, now),
        past: record.map_or_else(Vec::new, |record| record.past.past_replicas(now)),
    }
}

/// Returns the reason for the state of a replica: that it is drained if its state is another word,
/// its own failure, and for a successor the failure that came before it.
fn reason(state: &PlanState, id: ReplicaId, replica: &Replica, now: Instant) -> Option<String> {
    let record = replica.seat.and_then(|seat| state.seats.get(seat));
    let holder = record.and_then(|record| record.holder.as_ref());
    let is_down = replica.phase == Phase::Unresponsive;
    let is_drained = holder.is_some_and(|holder| holder.id == id && holder.drained);
    let drained = (is_down && is_drained).then(|| "drained".to_owned());
    let own = describe_silence(state, replica, now).or_else(|| describe_failure(state, replica));
    let successor_of = record.filter(|record| record.successor == Some(id));
    let before = successor_of.and_then(|record| record.failure.clone());
    join_reasons(drained.into_iter().chain(own).chain(before))
}

/// Returns the reasons in one phrase, if there are any.
fn join_reasons(reasons: impl Iterator<Item = String>) -> Option<String> {
    let reasons: Vec<String> = reasons.collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Returns the typed address that this replica serves or is tried for.
fn typed_addr(state: &PlanState, replica: &Replica) -> Option<BackendAddr> {
    let order = state.orders.backend().and_then(BackendOrder::new_address);
    let of_order = order.filter(|new| {
        let is_found = replica.addr.is_some_and(|addr| new.backend.has(addr));
        replica.is_candidate() && replica.seat == Some(new.seat) && is_found
    });
    let record = replica.seat.and_then(|seat| state.seats.get(seat));
    let of_seat = || record.and_then(|record| record.backend.as_ref());
    let backend = of_order.map(|new| &new.backend).or_else(of_seat)?;
    Some(backend.addr.clone())
}

fn state_of(phase: Phase, drained: bool, is_managed: bool) -> ReplicaState {
    match phase {
        Phase::Starting { .. } => ReplicaState::Starting,
        Phase::Answered => ReplicaState::Answered,
        Phase::Standby { .. } => ReplicaState::Standby,
        Phase::Promoting { .. } => ReplicaState::Promoting,
        Phase::Up | Phase::Suspect if drained => ReplicaState::Drained,
        Phase::Up => ReplicaState::Up,
        Phase::Suspect => ReplicaState::Suspect,
        Phase::Candidate { .. } => ReplicaState::Down,
        Phase::Unresponsive if is_managed => ReplicaState::Silent,
        Phase::Unresponsive => ReplicaState::Down,
        Phase::Draining { .. } => ReplicaState::Leaving,
        Phase::Removing { .. } => ReplicaState::Removing,
    }
}

/// Returns the length and the limit of the silence of a replica that routing skips.
fn describe_silence(state: &PlanState, replica: &Replica, now: Instant) -> Option<String> {
    let silence = replica.skipped_silence(state.policy.misses)?;
    let time = silence.lasted(now).as_secs_f64();
    let limit = state.policy.replace_after;
    Some(format!("silent for {time:.1} s, dead after {limit:?}"))
}

/// Returns the last failure of the heartbeats since the last healthy answer, and that of the
/// lookups of a fixed backend.
fn describe_failure(state: &PlanState, replica: &Replica) -> Option<String> {
    let failure = replica.failures.last()?;
    let failure = failure.describe(replica.addr, &state.policy.wording);
    let record = replica.seat.and_then(|seat| state.seats.get(seat));
    let backend = record.and_then(|record| record.backend.as_ref());
    Some(match backend.and_then(Backend::lookup_failure) {
        Some(lookup) => format!("{failure}; {lookup}"),
        None => failure,
    })
}

/// Returns `true` if a seat has neither a living holder nor a successor nor a candidate.
fn is_empty(state: &PlanState, record: &SeatRecord) -> bool {
    let mut replicas = state.replicas.iter();
    let (holder, successor) = (record.holder_id(), record.successor);
    !replicas.any(|(id, replica)| {
        let is_of_seat = Some(id) == holder || Some(id) == successor || replica.is_candidate();
        is_of_seat && replica.seat == Some(record.seat) && !replica.is_removing()
    })
}

/// Describes a seat that waits for the start of a replica.
fn describe_empty(state: &PlanState, record: &SeatRecord, now: Instant) -> ReplicaInfo {
    let wait = record.backoff.not_before().map(|at| {
        let wait = at.saturating_duration_since(now);
        format!("the next start is in {:.1} s", wait.as_secs_f64())
    });
    let backend = record.backend.as_ref();
    let lookup = backend.and_then(Backend::lookup_failure);
    let reasons = wait.into_iter().chain(record.failure.clone()).chain(lookup);
    ReplicaInfo {
        name: record.display_name().clone(),
        seat: Some(record.seat),
        state: match backend {
            Some(_) => ReplicaState::Down,
            None => ReplicaState::Waiting,
        },
        addr: None,
        backend: backend.map(|backend| backend.addr.clone()),
        engine_id: None,
        up_for: None,
        deaths: record.deaths,
        heartbeat: None,
        in_flight: 0,
        weight: Some(state.ring.weights().of(record.seat)),
        version: record.version.as_ref().map(ToString::to_string),
        in_rep_list: false,
        reason: join_reasons(reasons),
        past: record.past.past_replicas(now),
    }
}
