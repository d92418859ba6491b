//! The steps of a replacement: each begins, and is complete once its new replica has lived long
//! enough.

use std::time::{Duration, Instant};

use super::replace_outcome::{handle_failures, succeed};
use super::replacement;
use super::rolling_replace::{ReplaceStep, RollingReplace};
use super::seat::SeatRecord;
use super::state::PlanState;
use super::types::Environment;

/// Advances a replacement as far as possible. Returns `true` if it is finished.
pub(super) fn advance(
    state: &mut PlanState,
    rolling: &mut RollingReplace,
    env: &mut dyn Environment,
) -> bool {
    while !rolling.is_finished() {
        if let Some(why) = rolling.fatal_failure().map(str::to_owned) {
            handle_failures(state, rolling, why);
            continue;
        }
        let monitor = rolling.monitor();
        let mut has_advanced = rolling.complete_steps(|step| {
            let completion = completion(state, step, monitor);
            completion.is_some_and(|at| at <= state.now)
        });
        for step in rolling.current_mut() {
            start_if_needed(state, step, env);
        }
        while let Some(step) = rolling.next_step() {
            has_advanced = true;
            begin_step(state, step, env);
        }
        if rolling.is_exhausted() {
            succeed(state, rolling);
        } else if !has_advanced {
            return false;
        }
    }
    true
}

/// Returns the time at which a current step is complete if nothing happens before.
pub(super) fn deadline(state: &PlanState) -> Option<Instant> {
    let rolling = state.orders.rolling()?;
    let steps = rolling.current().iter();
    let times = steps.filter_map(|step| completion(state, step, rolling.monitor()));
    times.min()
}

/// Begins a step. Another version does not wait for a successor of the present one.
fn begin_step(state: &mut PlanState, step: &mut ReplaceStep, env: &mut dyn Environment) {
    if step.version.is_some() {
        state.cancel_successor(step.seat, "another version is ordered");
    }
    if let Some(record) = state.seats.get_mut(step.seat) {
        record.backoff.allow_now();
        if step.version.is_some() {
            step.holder = record.holder_id();
        }
    }
    start_if_needed(state, step, env);
}

/// Starts a successor, unless there is one, the seat has a new holder or must wait.
fn start_if_needed(state: &mut PlanState, step: &mut ReplaceStep, env: &mut dyn Environment) {
    let Some(record) = state.seats.get(step.seat) else {
        return;
    };
    let waits = record.backoff.must_wait(state.now);
    if record.successor.is_some() || waits || is_taken(record, step) {
        return;
    }
    if step.version.is_some() {
        step.holder = record.holder_id();
    }
    let version = step.version.clone().or_else(|| record.version.clone());
    replacement::start_successor(state, step.seat, version, env);
}

/// Returns `true` if a new holder has taken the seat, of the ordered version if there is one.
fn is_taken(record: &SeatRecord, step: &ReplaceStep) -> bool {
    let holder = record.holder.as_ref();
    let runs = holder.and_then(|holder| holder.version.as_ref());
    let is_ordered = step.version.is_none() || step.version.as_ref() == runs;
    is_ordered && record.holder_id() != step.holder
}

/// Returns the time from which the step counts as complete: its seat has a new holder, which has
/// been up for the time of `monitor`, and the engine no longer holds the former one.
fn completion(state: &PlanState, step: &ReplaceStep, monitor: Duration) -> Option<Instant> {
    let Some(record) = state.seats.get(step.seat) else {
        return Some(state.now);
    };
    let is_left = step.holder.is_some_and(|id| state.replicas.contains(id));
    if is_left || !is_taken(record, step) {
        return None;
    }
    match monitor.is_zero() {
        true => Some(state.now),
        false => record.up_since.map(|up| up + monitor),
    }
}
