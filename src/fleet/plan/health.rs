//! Verdicts about a replica, from heartbeats and from the evidence of the data path.
//!
//! A certain death (refused, ended) is final, unless the replicas are managed by others. A death by
//! silence is not: a replica that answers again before its successor keeps the seat. `silence`
//! measures how long a silence lasts. The data path can make a replica suspect, never dead.

use std::time::Instant;

use super::probe_failure::ProbeFailure;
use super::probe_types::{MissReason, ProbeEvent, Refusal};
use super::replica::{Phase, Replica};
use super::state::PlanState;
use super::types::{Action, Environment};
use super::{add, candidates, deaths, replacement, seating, standby};
use crate::fleet::engine::StopMode;
use crate::fleet::events::EventKind;
use crate::roster::{Evidence, EvidenceKind, Health, ReplicaId};

/// Handles the result of a heartbeat.
pub(super) fn on_probe(
    state: &mut PlanState,
    id: ReplicaId,
    event: ProbeEvent,
    env: &mut dyn Environment,
) {
    match event {
        ProbeEvent::Answered => on_answered(state, id),
        ProbeEvent::Seated { knows } => {
            if let Some(Phase::Promoting { .. }) = state.replicas.phase(id) {
                seating::take_seat(state, id, !knows);
            }
        }
        ProbeEvent::Missed { sent, why } => on_missed(state, id, sent, why, env),
        ProbeEvent::Broken => on_broken(state, id),
        ProbeEvent::Iterative => {
            if let Some(replica) = state.replicas.get_mut(id) {
                replica.iterative = true;
                // The workers close the connections that they keep to it.
                state.effects.publish();
            }
        }
        ProbeEvent::Refused(refusal) => on_refused(state, id, refusal, env),
        ProbeEvent::NotListening(refusal) => {
            report_failure(state, id, ProbeFailure::Refused(refusal));
        }
    }
}

fn on_answered(state: &mut PlanState, id: ReplicaId) {
    let in_group = state.orders.is_adding(id);
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    replica.record_answer(state.now);
    match replica.phase {
        Phase::Starting { .. } if in_group => replica.phase = Phase::Answered,
        Phase::Starting { .. } if replica.seat.is_none() => standby::park(state, id),
        Phase::Starting { .. } => seating::take_seat(state, id, false),
        Phase::Suspect => {
            replica.phase = Phase::Up;
            state.set_health(id, Health::Up);
            state.record_of(id, EventKind::Up, "");
        }
        Phase::Unresponsive => seating::recover(state, id),
        Phase::Candidate { .. } => candidates::on_answered(state, id),
        Phase::Answered
        | Phase::Standby { .. }
        | Phase::Promoting { .. }
        | Phase::Up
        | Phase::Draining { .. }
        | Phase::Removing { .. } => {}
    }
}

fn on_missed(
    state: &mut PlanState,
    id: ReplicaId,
    sent: Instant,
    why: MissReason,
    env: &mut dyn Environment,
) {
    let (now, limit) = (state.now, state.policy.misses);
    let replica = state.replicas.get_mut(id);
    let Some(replica) = replica.filter(|replica| replica.counts_misses()) else {
        return report_failure(state, id, ProbeFailure::Missed(why));
    };
    let was_skipped = replica.is_skipped(limit);
    let is_silent = why == MissReason::Silent;
    let has_served = env.last_answer(id).is_some_and(|at| at > sent);
    if has_served && is_silent {
        return replica.excuse_misses();
    }
    replica.failures.record(ProbeFailure::Missed(why));
    let is_dead = if is_silent {
        replica.record_silent_miss(sent, env.traffic(id), now, &state.policy)
    } else {
        replica.record_wrong_answer(was_skipped);
        true
    };
    if replica.misses() < limit {
        return;
    }
    let reason = describe_misses(why, replica.misses(), limit);
    if !is_dead {
        return suspect_for_silence(state, id, reason, env);
    }
    match replica.phase {
        Phase::Answered => return add::undo(state, id, reason),
        Phase::Standby { .. } => return standby::drop_dead(state, id, &reason),
        Phase::Draining { .. } => return deaths::abandon_drain(state, id, reason),
        _ => replica.phase = Phase::Unresponsive,
    }
    replica.failures.record_reported();
    let (seat, name, last_ok) = (replica.seat, replica.name.clone(), replica.last_ok());
    if is_silent {
        deaths::mark_dead(state, id, reason, env);
    } else {
        // A wrong heartbeat status does not mean that the data path failed, so the last answer of
        // the data path must not date this failure.
        deaths::mark_dead_since(state, id, reason, last_ok);
    }
    if let Some(seat) = seat.filter(|_| !was_skipped) {
        replacement::record_silence(state, seat, name);
    }
}

fn describe_misses(why: MissReason, misses: u32, limit: u32) -> String {
    match why {
        MissReason::Silent => format!("heartbeat missed {misses} times"),
        MissReason::Wrong(status) => format!("heartbeat failed {limit} times, last with {status}"),
        MissReason::Closed => format!("heartbeat failed {limit} times, last without an answer"),
        MissReason::Garbled => format!("heartbeat failed {limit} times, last with no HTTP"),
    }
}

/// Has routing skip a silent holder, which is still probed. A replica that is about to take or to
/// leave a seat only gets more time.
fn suspect_for_silence(
    state: &mut PlanState,
    id: ReplicaId,
    reason: String,
    env: &dyn Environment,
) {
    let (now, limit) = (state.now, state.policy.misses);
    let replica = state.replicas.get_mut(id);
    let Some((seat, name, last_ok)) = replica.and_then(|replica| {
        let is_news = replica.suspect_for_silence(limit);
        is_news.then(|| (replica.seat, replica.name.clone(), replica.last_ok()))
    }) else {
        return;
    };
    let last = last_ok.max(env.last_answer(id));
    state.set_health(id, Health::Suspect);
    let mut event = state.event(EventKind::Suspect, seat, name.clone(), reason);
    event.detected_within = last.map(|at| now.saturating_duration_since(at));
    state.effects.push(Action::Record(event));
    if let Some(seat) = seat {
        replacement::record_silence(state, seat, name);
    }
}

/// Handles the unexpected end of the held connection.
fn on_broken(state: &mut PlanState, id: ReplicaId) {
    match state.replicas.phase(id) {
        Some(Phase::Standby { .. }) => {}
        Some(Phase::Up | Phase::Suspect) => suspect(state, id, "its connection ended"),
        _ => return,
    }
    state.effects.push(Action::CheckAlive(id));
}

/// Handles a refused connection: the replica is dead for certain.
fn on_refused(state: &mut PlanState, id: ReplicaId, refusal: Refusal, env: &mut dyn Environment) {
    let phase = state.replicas.phase(id);
    let serves = matches!(phase, Some(Phase::Up | Phase::Suspect));
    let why = refusal.to_string();
    let failure = ProbeFailure::Refused(refusal);
    if let Some(replica) = state.replicas.get_mut(id).filter(|_| serves) {
        replica.failures.record(failure.clone());
        // The event of its death reports it.
        replica.failures.record_reported();
    }
    if state.is_shared(id) {
        // The old balancer may still reach it.
        return match serves {
            true => deaths::mark_unresponsive(state, id, why, env),
            false => report_failure(state, id, failure),
        };
    }
    match (phase, state.policy.keeper.is_managed()) {
        (Some(Phase::Answered), _) => {
            add::undo(state, id, why);
            await_exit(state, id);
        }
        (Some(Phase::Standby { .. } | Phase::Promoting { .. }), _) => {
            standby::drop_dead(state, id, &why);
        }
        (Some(Phase::Draining { .. }), _) => deaths::abandon_drain(state, id, why),
        (_, false) if serves => deaths::mark_unresponsive(state, id, why, env),
        (Some(Phase::Up | Phase::Suspect | Phase::Unresponsive), true) => {
            deaths::mark_dead(state, id, why, env);
            state.remove(id, StopMode::Kill);
            await_exit(state, id);
        }
        // A starting replica may refuse connections for as long as it has time.
        _ => report_failure(state, id, failure),
    }
}

/// Marks a replica that is being removed as one whose exit report is still to come.
fn await_exit(state: &mut PlanState, id: ReplicaId) {
    if let Some(replica) = state.replicas.get_mut(id) {
        replica.phase = Phase::Removing { exit_unknown: true };
    }
}

/// Keeps the failure of a heartbeat that has no consequence: its replica is starting, or down
/// already. The first failure and each change become events.
fn report_failure(state: &mut PlanState, id: ReplicaId, failure: ProbeFailure) {
    let (now, is_managed) = (state.now, state.policy.keeper.is_managed());
    let start_timeout = state.policy.start_timeout;
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    replica.failures.record(failure.clone());
    let started = match replica.phase {
        Phase::Starting { until } => until.checked_sub(start_timeout),
        Phase::Candidate { since } => Some(since),
        // A successor of a managed replica is on its way, and the end is an event.
        Phase::Unresponsive if !is_managed || replica.last_ok().is_none() => None,
        _ => return,
    };
    if replica.failures.take_news(now, started) {
        let reason = failure.describe(replica.addr, &state.policy.wording);
        state.record_of(id, EventKind::Failing, reason);
    }
}

/// Handles evidence of the data path, which is a reason to probe and never a verdict.
pub(super) fn on_evidence(state: &mut PlanState, evidence: Evidence) {
    let Evidence { id, kind } = evidence;
    let serves = matches!(state.replicas.phase(id), Some(Phase::Up | Phase::Suspect));
    if !serves || !state.policy.watched {
        return;
    }
    let refused = kind == EvidenceKind::Refused;
    if refused {
        suspect(state, id, "it refused a connection");
    }
    // A replica that no longer listens may still answer on a held connection.
    state.effects.push(Action::ProbeNow(id, refused));
}

fn suspect(state: &mut PlanState, id: ReplicaId, reason: &str) {
    let replica = state.replicas.get_mut(id);
    let is_up = |replica: &&mut Replica| replica.phase == Phase::Up;
    if let Some(replica) = replica.filter(is_up) {
        replica.phase = Phase::Suspect;
        state.set_health(id, Health::Suspect);
        state.record_of(id, EventKind::Suspect, reason);
    }
}
