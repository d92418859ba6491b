//! The outcome of a replacement: it succeeds, fails, or returns to what the seats ran before.

use std::collections::VecDeque;

use super::former_versions::FormerVersions;
use super::rolling_replace::{ReplaceStep, RollingReplace};
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

/// Gives these seats their former versions, and returns the steps for those whose holders run
/// another one.
pub(super) fn steps_back(
    state: &mut PlanState,
    former: &FormerVersions,
    seats: impl Iterator<Item = Seat>,
) -> VecDeque<ReplaceStep> {
    let step = |seat| {
        let version = former.version(seat)?.clone();
        let record = state.seats.get_mut(seat)?;
        record.version = Some(version.clone());
        let runs = record.holder.as_ref()?.version.as_ref();
        (runs != Some(&version)).then(|| ReplaceStep {
            seat,
            holder: record.holder_id(),
            version: Some(version),
        })
    };
    seats.filter_map(step).collect()
}

/// Ends a replacement whose steps are all done.
pub(super) fn succeed(state: &mut PlanState, rolling: &mut RollingReplace) {
    let progress = rolling.progress();
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
