//! Reports of the engine (a replica started, failed to start, ended or was removed), and expired
//! deadlines.
//!
//! A report may arrive late, so it is read by the present phase of its replica. A report about a
//! replica that the plan no longer knows has no effect.

use std::time::Duration;

use super::replica::Phase;
use super::standby::{self, PROMOTION_TIMEOUT};
use super::state::PlanState;
use super::types::{Action, Environment, OrderId};
use super::{add, candidates, deaths, service, service_order};
use crate::fleet::engine::{EngineEvent, ExitReport, StopMode};
use crate::fleet::events::{EventKind, Millis};
use crate::orders::OrderError;
use crate::roster::{Health, ReplicaAddr, ReplicaId};

/// Has the engine adopt or start the first replicas. Fixed backends run already.
pub(super) fn begin(state: &mut PlanState) {
    for (id, replica) in state.replicas.iter() {
        if !state.policy.keeper.is_managed() {
            if let Some(addr) = replica.addr
                && state.policy.watched
            {
                state.effects.push(Action::StartProbing(id, addr));
            }
            continue;
        }
        let action = Action::Start(id, replica.seat, replica.name.clone());
        state.effects.push(action);
    }
}

/// Handles a report of the engine.
pub(super) fn on_engine_event(
    state: &mut PlanState,
    event: EngineEvent,
    env: &mut dyn Environment,
) {
    match event {
        EngineEvent::Started { id, addr } => on_started(state, id, addr),
        EngineEvent::Failed { id, why } => {
            if let Some(Phase::Starting { .. }) = state.replicas.phase(id) {
                start_failed(state, id, why);
            }
        }
        EngineEvent::NameRefused { id, why } => {
            if let Some(Phase::Starting { .. }) = state.replicas.phase(id) {
                on_name_refused(state, id, &why, env);
            }
        }
        EngineEvent::Service(snapshot) => service::on_snapshot(state, snapshot),
        EngineEvent::Changed { id, result } => {
            service_order::changed(state, OrderId(id.0), result);
        }
        EngineEvent::Resolved { addr, result } => candidates::on_resolved(state, &addr, &result),
        EngineEvent::Ended { id, how } => on_ended(state, id, &how, env),
        EngineEvent::Removed { id } => {
            let leave = state.shutdown.is_some_and(|shutdown| shutdown.leave);
            if !leave {
                state.set_health(id, Health::Down);
            }
            state.replicas.remove(id);
        }
    }
}

fn on_started(state: &mut PlanState, id: ReplicaId, addr: ReplicaAddr) {
    let Some(replica) = state.replicas.get_mut(id) else {
        return;
    };
    match replica.phase {
        Phase::Starting { .. } => replica.addr = Some(addr),
        Phase::Unresponsive | Phase::Standby { .. } if state.policy.watched => {}
        _ => return,
    }
    state.effects.push(Action::StartProbing(id, addr));
}

/// Handles a name that the engine cannot use. An `/add` that asked for the name is refused. Any
/// other seat gets another name.
fn on_name_refused(state: &mut PlanState, id: ReplicaId, why: &str, env: &mut dyn Environment) {
    let Some(replica) = state.replicas.get(id) else {
        return;
    };
    let sentence = format!("the name {} {why}", replica.name);
    let Some(seat) = replica.seat else {
        return standby::start_failed(state, id, &sentence);
    };
    if state.orders.is_adding(id) {
        return add::refuse(state, id, OrderError::invalid(sentence));
    }
    let name = state.free_name(env);
    if let Some(record) = state.seats.get_mut(seat) {
        record.first_name = name;
    }
    start_failed(state, id, sentence);
}

/// Gives up a replica that did not start.
fn start_failed(state: &mut PlanState, id: ReplicaId, why: String) {
    if state.orders.is_adding(id) {
        return add::undo(state, id, why);
    }
    let Some(replica) = state.replicas.get(id) else {
        return;
    };
    let Some(seat) = replica.seat else {
        return standby::start_failed(state, id, &why);
    };
    let (name, now) = (replica.name.clone(), state.now);
    let version = replica.version.clone();
    if let Some(record) = state.seats.get_mut(seat) {
        record.successor = None;
        // A seat whose holder still serves does not wait for a successor, nor does one of which
        // another version has failed.
        if !record.is_filled() && version == record.version {
            record.backoff.record_failure(now);
            record.failure = Some(format!("{name} did not start: {why}"));
        }
    }
    state.record(EventKind::Failed, seat, name.clone(), why.clone());
    state.remove(id, StopMode::Kill);
    if let Some(rolling) = state.orders.rolling_mut() {
        let sentence = format!("could not start {name}: {why}");
        rolling.record_failed_start(seat, version.as_ref(), sentence, now);
    }
}

fn on_ended(state: &mut PlanState, id: ReplicaId, exit: &ExitReport, env: &mut dyn Environment) {
    if state.is_shared(id) {
        return deaths::shared_ended(state, id, exit, env);
    }
    let reason = exit.to_string();
    match state.replicas.phase(id) {
        Some(Phase::Starting { until }) => {
            let started = until.checked_sub(state.policy.start_timeout);
            let age = started.map(|at| state.now.saturating_duration_since(at));
            start_failed(
                state,
                id,
                describe_early_exit(exit, age.unwrap_or_default()),
            );
        }
        Some(Phase::Answered) => add::undo(state, id, reason),
        Some(Phase::Standby { .. } | Phase::Promoting { .. }) => {
            standby::drop_dead(state, id, &reason);
        }
        Some(Phase::Up | Phase::Suspect | Phase::Unresponsive) => {
            deaths::mark_dead(state, id, reason, env);
            state.remove(id, StopMode::Kill);
        }
        Some(Phase::Draining { .. }) => {
            state.set_health(id, Health::Down);
            state.remove(id, StopMode::Kill);
        }
        Some(Phase::Removing { exit_unknown: true }) => {
            state.orders.record_exit(id, exit);
            state.record_of(id, EventKind::Ended, reason);
        }
        Some(Phase::Removing {
            exit_unknown: false,
        }) => state.set_health(id, Health::Down),
        // The engines of fixed backends and of services report no end.
        Some(Phase::Candidate { .. }) | None => {}
    }
    state.seats.record_exit(id, exit);
}

/// Describes the end of a replica that was ordered `age` ago and has not answered.
fn describe_early_exit(exit: &ExitReport, age: Duration) -> String {
    let early = ExitReport {
        reason: format!("{}, within {} of its start", exit.reason, Millis(age)),
        last_lines: exit.last_lines.clone(),
    };
    early.to_string()
}

/// Removes a draining replica that has no request in flight any more.
pub(super) fn on_drained(state: &mut PlanState, id: ReplicaId) {
    if let Some(Phase::Draining { .. }) = state.replicas.phase(id) {
        state.remove(id, StopMode::Graceful);
    }
}

/// Gives up the starts, promotions and drains whose time is over.
pub(super) fn expire(state: &mut PlanState) {
    let now = state.now;
    let due = state.replicas.iter();
    let due = due.filter(|(_, replica)| replica.deadline().is_some_and(|until| until <= now));
    let due: Vec<_> = due.map(|(id, replica)| (id, replica.phase)).collect();
    for (id, phase) in due {
        match phase {
            Phase::Draining { .. } => state.remove(id, StopMode::Graceful),
            Phase::Promoting { .. } => {
                let reason = describe_lateness(state, id, PROMOTION_TIMEOUT);
                standby::drop_dead(state, id, &reason);
            }
            _ => {
                let reason = describe_lateness(state, id, state.policy.start_timeout);
                start_failed(state, id, reason);
            }
        }
    }
}

/// Returns the reason for which a replica is given up after `limit`, with its last failed
/// heartbeat.
fn describe_lateness(state: &PlanState, id: ReplicaId, limit: Duration) -> String {
    let replica = state.replicas.get(id);
    let Some((replica, failure)) = replica.and_then(|r| Some((r, r.failures.last()?))) else {
        return format!("it did not answer within {limit:?}");
    };
    let what = failure.describe(replica.addr, &state.policy.wording);
    let health = match failure.is_answer() {
        true => " with 2xx or 3xx",
        false => "",
    };
    format!("it did not answer within {limit:?}{health}: {what}")
}
