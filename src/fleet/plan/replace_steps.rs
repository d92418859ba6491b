//! The steps of a replacement: each begins, and is complete once its new replica has lived long
//! enough.

use std::time::{Duration, Instant};

use super::replace_outcome::{handle_failures, succeed};
use super::replace_step::ReplaceStep;
use super::replacement;
use super::rolling_replace::RollingReplace;
use super::seat::SeatRecord;
use super::standby;
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
        if state.handover.allows_next_steps() {
            for step in rolling.current_mut() {
                rescue(state, step);
                start_if_needed(state, step, env);
            }
            while let Some(step) = rolling.next_step() {
                has_advanced = true;
                begin_step(state, step, env);
            }
        }
        if rolling.is_exhausted() {
            succeed(state, rolling);
        } else if !has_advanced {
            return false;
        }
    }
    true
}

/// Returns the time at which a current step is complete or tried again, if nothing happens before.
pub(super) fn deadline(state: &PlanState) -> Option<Instant> {
    let rolling = state.orders.rolling()?;
    let times = rolling.current().iter().flat_map(|step| {
        let completion = completion(state, step, rolling.monitor());
        completion.into_iter().chain(step.backoff.not_before())
    });
    // An attempt that is due waits for something other than time.
    times.filter(|at| *at > state.now).min()
}

/// Begins a step. A living holder does not wait for a successor of the present version. A dead one
/// is followed by it: the seat is to serve first.
fn begin_step(state: &mut PlanState, step: &mut ReplaceStep, env: &mut dyn Environment) {
    let seat = step.seat;
    let Some(record) = state.seats.get(seat) else {
        return;
    };
    let is_held = record.is_held();
    let starting = record.successor.and_then(|id| state.replicas.get(id));
    let is_wanted = starting.is_some_and(|replica| replica.version == step.version);
    if step.version.is_some() && !is_wanted && (is_held || step.is_back) {
        state.cancel_successor(seat, "another version is ordered");
    }
    if let Some(record) = state.seats.get_mut(seat) {
        record.backoff.allow_now();
        if step.is_back && !is_held {
            record.version.clone_from(&step.version);
        }
        if step.version.is_some() {
            step.holder = record.holder_id();
        }
    }
    start_if_needed(state, step, env);
}

/// Promotes a standby to a seat whose holder has died meanwhile, in place of a successor of another
/// version that has not answered.
fn rescue(state: &mut PlanState, step: &ReplaceStep) {
    let Some(record) = state.seats.get(step.seat) else {
        return;
    };
    let starting = record.successor.and_then(|id| state.replicas.get(id));
    let is_other = starting.is_some_and(|replica| replica.version != record.version);
    if !record.is_held() && is_other && standby::has_fit(state, step.seat) {
        state.cancel_successor(step.seat, "a standby takes the seat");
        standby::promote(state, step.seat);
    }
}

/// Starts a successor, unless there is one, the seat has a new holder or must wait. A seat without
/// a living holder gets a standby first. Between two attempts it gets its own version again.
fn start_if_needed(state: &mut PlanState, step: &mut ReplaceStep, env: &mut dyn Environment) {
    let Some(record) = state.seats.get(step.seat) else {
        return;
    };
    let (is_held, own) = (record.is_held(), record.version.clone());
    let waits = record.backoff.must_wait(state.now) || step.backoff.must_wait(state.now);
    if record.successor.is_some() || waits || is_taken(record, step) {
        return;
    }
    let holder = record.holder_id();
    if !is_held && (step.is_back || standby::promote(state, step.seat)) {
        return;
    }
    if step.version.is_some() {
        step.holder = holder;
    }
    let version = step.version.clone().or(own);
    replacement::start_successor(state, step.seat, version, env);
}

/// Returns `true` if a new holder has taken the seat of this step.
pub(super) fn has_taken(state: &PlanState, step: &ReplaceStep) -> bool {
    let record = state.seats.get(step.seat);
    record.is_none_or(|record| is_taken(record, step))
}

/// Returns `true` if a new holder has taken the seat, of the ordered version if there is one.
fn is_taken(record: &SeatRecord, step: &ReplaceStep) -> bool {
    let holder = record.holder.as_ref();
    let runs = holder.and_then(|holder| holder.version.as_ref());
    let is_ordered = step.wants(runs);
    match step.is_back {
        true => is_ordered && record.is_held(),
        false => is_ordered && record.holder_id() != step.holder,
    }
}

/// Returns the time from which the step counts as complete: its seat has a new holder, which has
/// been up for the time of `monitor` and answered its last heartbeat, and the engine no longer
/// holds the former one.
fn completion(state: &PlanState, step: &ReplaceStep, monitor: Duration) -> Option<Instant> {
    let Some(record) = state.seats.get(step.seat) else {
        return Some(state.now);
    };
    let holder = record.holder_id();
    let is_left = |id| holder != Some(id) && state.replicas.contains(id);
    if step.holder.is_some_and(is_left) || !is_taken(record, step) {
        return None;
    }
    if monitor.is_zero() {
        return Some(state.now);
    }
    let replica = holder.and_then(|id| state.replicas.get(id));
    let answers = replica.is_some_and(|replica| replica.misses() == 0);
    let since = record.steady_since.filter(|_| answers);
    since.map(|since| since + monitor)
}
