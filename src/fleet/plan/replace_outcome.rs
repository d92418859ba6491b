//! The outcome of a replacement: it succeeds, fails, or returns to what the seats ran before.

use std::collections::VecDeque;

use super::former_versions::FormerVersions;
use super::replace_step::ReplaceStep;
use super::rolling_replace::RollingReplace;
use super::seat::SeatRecord;
use super::standby;
use super::state::PlanState;
use super::types::{Action, OrderId};
use crate::fleet::rollout_event::{RolloutEvent, RolloutStage};
use crate::ring::Seat;

/// Handles failures that are too many: another version is taken back, and everything else ends.
pub(super) fn handle_failures(state: &mut PlanState, rolling: &mut RollingReplace, why: String) {
    if rolling.version().is_some() && !rolling.goes_back() {
        return turn_back(state, rolling, why, None);
    }
    withdraw(state, rolling, "the replacement has failed");
    rolling.fail(&why);
    record(state, rolling, RolloutStage::Failed, why, None);
}

/// Turns a replacement back: the seats that have begun return to what they ran before.
pub(super) fn turn_back(
    state: &mut PlanState,
    rolling: &mut RollingReplace,
    why: String,
    by: Option<OrderId>,
) {
    withdraw(state, rolling, "the replacement is taken back");
    let begun = rolling.turn_back(why.clone());
    let former = state.former.last().cloned().unwrap_or_default();
    let steps = steps_back(state, &former, begun.iter().map(|step| step.seat));
    rolling.go_back(steps);
    record(state, rolling, RolloutStage::TurnedBack, why, by);
}

/// Returns the steps for those of these seats that run, or are to run, another version than before.
pub(super) fn steps_back(
    state: &PlanState,
    former: &FormerVersions,
    seats: impl IntoIterator<Item = Seat>,
) -> VecDeque<ReplaceStep> {
    let step = |seat| {
        let (version, record) = (former.version(seat)?, state.seats.get(seat)?);
        let holder = record.holder.as_ref();
        let runs = holder.map_or(record.version.as_ref(), |holder| holder.version.as_ref());
        let is_other = runs != Some(version) || record.version.as_ref() != Some(version);
        is_other.then(|| ReplaceStep::back(seat, version.clone()))
    };
    seats.into_iter().filter_map(step).collect()
}

/// Ends a replacement whose steps are all done.
pub(super) fn succeed(state: &mut PlanState, rolling: &mut RollingReplace) {
    let progress = rolling.info().progress();
    if rolling.goes_back() {
        if let Some(former) = state.former.pop() {
            state.version = former.into_fleet_version();
        }
        record(state, rolling, RolloutStage::RolledBack, progress, None);
    } else if let Some(version) = rolling.version().cloned() {
        if rolling.is_fleet_wide() {
            state.version = Some(version);
        }
        record(state, rolling, RolloutStage::Completed, progress, None);
    }
    standby::remove_outdated(state);
    rolling.succeed(state.seats.listed());
}

/// Cancels the successors of the current steps. One of the version that a seat needs stays if the
/// seat is not served without it.
pub(super) fn withdraw(state: &mut PlanState, rolling: &RollingReplace, reason: &str) {
    for step in rolling.current() {
        let record = state.seats.get(step.seat);
        let is_held = record.is_some_and(SeatRecord::is_held);
        if is_held || step.version.is_some() {
            state.cancel_successor(step.seat, reason);
        }
    }
}

/// Records that a replacement ends where it is, for this reason.
pub(super) fn record_stop(state: &mut PlanState, rolling: &RollingReplace, why: &str) {
    let reason = format!("{why}, {}", rolling.info().progress());
    record(state, rolling, RolloutStage::Stopped, reason, None);
}

/// Records the stage of a replacement by another version.
pub(super) fn record(
    state: &mut PlanState,
    rolling: &RollingReplace,
    stage: RolloutStage,
    reason: String,
    by: Option<OrderId>,
) {
    let version = match rolling.version() {
        Some(version) => version.to_string(),
        None if rolling.goes_back() => "former versions".to_owned(),
        None => return,
    };
    let event = RolloutEvent {
        stage,
        version,
        reason,
        up: state.seats.up_count(),
        wanted: state.seats.wanted_count(),
    };
    state.effects.push(Action::Rollout(by, event));
}
