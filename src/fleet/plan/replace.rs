//! `replace`: new replicas for one seat, for some or for all, by the same or by another version.
//!
//! The new replica starts before the old one leaves, so the seat serves throughout: it is a
//! successor like any other, and takes the seat when it answers. If the old replica dies in
//! between, its successor is starting already; a standby of the seat's version takes the seat
//! first. A seat whose holder has changed since the order was given counts as replaced, unless
//! another version was ordered.
//!
//! The version of a seat follows the replica that takes it. So before a new version has answered,
//! a dead holder gets a successor of the old one. If too many replicas of the new version fail, the
//! seats return to what they ran before.

use std::collections::VecDeque;

use super::former_versions::FormerVersions;
use super::order_book::ActiveOrder;
use super::replace_outcome::{record, steps_back, turn_back, withdraw};
use super::replace_step::ReplaceStep;
use super::replace_steps::has_taken;
use super::rolling_replace::RollingReplace;
use super::seat::SeatRecord;
use super::state::PlanState;
use super::types::{Action, OrderId};
use crate::fleet::rollout_event::RolloutStage;
use crate::fleet::version::Version;
use crate::orders::{OrderError, ReplacePace, ReplaceRequest, ReplaceTarget};
use crate::ring::Seat;

/// Checks a `replace` and lists its steps. Another version is prepared first.
///
/// # Errors
/// No seat has the name, or the fleet has fewer seats than the order replaces.
pub(super) fn begin(
    state: &mut PlanState,
    order_id: OrderId,
    request: ReplaceRequest,
) -> Result<ActiveOrder, OrderError> {
    let seats = target_seats(state, &request.target)?;
    if let Some(version) = request.version.clone() {
        state.effects.push(Action::Prepare(order_id, version));
        return Ok(ActiveOrder::Prepare {
            order_id,
            request,
            seats,
        });
    }
    let steps = seats.into_iter().map(|seat| {
        let holder = state.seats.get(seat).and_then(SeatRecord::holder_id);
        ReplaceStep::new(seat, holder, None)
    });
    let rolling = RollingReplace::by_same(order_id, request.pace, steps.collect());
    Ok(ActiveOrder::Replace(rolling))
}

/// Begins the replacement that waits for this version, or refuses it. A version that nothing waits
/// for has no effect.
pub(super) fn prepared(
    state: &mut PlanState,
    prepared_for: OrderId,
    version: Result<Version, String>,
) {
    let (request, seats) = match state.orders.take_active() {
        Some(ActiveOrder::Prepare {
            order_id,
            request,
            seats,
        }) if order_id == prepared_for => (request, seats),
        other => return state.orders.set_active(other),
    };
    match version {
        Ok(version) => {
            let rolling = begin_rollout(state, prepared_for, &request, seats, version);
            state.orders.set_active(Some(ActiveOrder::Replace(rolling)));
        }
        Err(why) => {
            let refusal = OrderError::unavailable(why);
            state.effects.answer(prepared_for, Err(refusal));
        }
    }
}

fn begin_rollout(
    state: &mut PlanState,
    order_id: OrderId,
    request: &ReplaceRequest,
    seats: Vec<Seat>,
    version: Version,
) -> RollingReplace {
    let version_of = |seat: &Seat| {
        let record = state.seats.get(*seat)?;
        Some((*seat, record.version.clone()?))
    };
    let present = seats.iter().filter_map(version_of);
    let is_fleet_wide = request.target == ReplaceTarget::All;
    let former = FormerVersions::new(state.version.clone(), is_fleet_wide, present);
    state.former.push(former);
    let steps = seats
        .into_iter()
        .map(|seat| ReplaceStep::new(seat, None, Some(version.clone())));
    let steps: VecDeque<_> = steps.collect();
    let total = steps.len();
    let rolling = RollingReplace::by_version(order_id, request.pace, version, is_fleet_wide, steps);
    let parallel = request.pace.parallel;
    let monitor = humantime::format_duration(request.pace.monitor);
    let pace = format!("{total} to replace, {parallel} at a time, each monitored for {monitor}");
    record(state, &rolling, RolloutStage::Begun, pace, Some(order_id));
    rolling
}

/// Returns the seats of a target.
///
/// # Errors
/// No seat has the name, or the fleet has fewer seats than the order replaces.
fn target_seats(state: &PlanState, target: &ReplaceTarget) -> Result<Vec<Seat>, OrderError> {
    let mut seats: Vec<Seat> = state.seats.wanted().map(|record| record.seat).collect();
    match target {
        ReplaceTarget::All => {}
        ReplaceTarget::One(name) => {
            let named = state.seat_named(name)?;
            seats.retain(|seat| *seat == named);
        }
        ReplaceTarget::Lowest(n) => {
            let wanted = seats.len();
            if *n > wanted {
                return Err(OrderError::invalid(format!(
                    "cannot replace {n} replicas: there are only {wanted}"
                )));
            }
            seats.sort_unstable();
            seats.truncate(*n);
        }
    }
    Ok(seats)
}

/// Begins the return to the versions from before the last replacement.
///
/// # Errors
/// The plan knows no replacement by another version.
pub(super) fn begin_back(
    state: &mut PlanState,
    order_id: OrderId,
) -> Result<ActiveOrder, OrderError> {
    let former = state.former.last().cloned().ok_or_else(|| {
        OrderError::invalid("there is no replacement by another version to take back")
    })?;
    let steps = steps_back(state, &former, state.seats.wanted_seats());
    let rolling = RollingReplace::back(order_id, ReplacePace::ONE_BY_ONE, steps);
    let reason = "by order".to_owned();
    record(
        state,
        &rolling,
        RolloutStage::TurnedBack,
        reason,
        Some(order_id),
    );
    Ok(ActiveOrder::Replace(rolling))
}

/// Stops the replacement that is under way: no further seat begins.
///
/// # Errors
/// No replacement is under way.
pub(super) fn stop(state: &mut PlanState, by: OrderId) -> Result<(), OrderError> {
    refuse_waiting(state);
    match end_active(state, "stopped by order", Some(by)) {
        true => Ok(()),
        false => Err(OrderError::invalid("no replacement is under way")),
    }
}

/// Ends the replacement that is under way where it is, for the reason `why`. Returns `false` if
/// there is none.
pub(super) fn end_active(state: &mut PlanState, why: &str, by: Option<OrderId>) -> bool {
    match state.orders.take_active() {
        Some(ActiveOrder::Prepare { order_id, .. }) => {
            let refusal = OrderError::unavailable(format!("{why}; nothing was replaced"));
            state.effects.answer(order_id, Err(refusal));
            true
        }
        Some(ActiveOrder::Replace(mut rolling)) => {
            withdraw(state, &rolling, "the replacement was stopped");
            rolling.complete_steps(|step| has_taken(state, step));
            rolling.fail(why);
            let progress = rolling.info().progress();
            let reason = match by {
                Some(_) => progress,
                None => format!("{why}, {progress}"),
            };
            record(state, &rolling, RolloutStage::Stopped, reason, by);
            state.orders.set_active(Some(ActiveOrder::Replace(rolling)));
            true
        }
        other => {
            state.orders.set_active(other);
            false
        }
    }
}

/// Refuses the replacements that wait: an operator who stops one does not want the next.
fn refuse_waiting(state: &mut PlanState) {
    for order_id in state.orders.take_replacements() {
        let refusal = OrderError::unavailable("stopped by order; nothing was replaced");
        state.effects.answer(order_id, Err(refusal));
    }
}

/// Turns back the replacement that is under way, if there is one; its order waits for that. Returns
/// `false` if the order must wait for its turn.
///
/// # Errors
/// The replacement under way has changed no version.
pub(super) fn turn_back_active(
    state: &mut PlanState,
    order_id: OrderId,
) -> Result<bool, OrderError> {
    match state.orders.take_active() {
        Some(ActiveOrder::Replace(mut rolling)) if rolling.goes_back() => {
            rolling.join_back(order_id);
            state.orders.set_active(Some(ActiveOrder::Replace(rolling)));
            Ok(true)
        }
        Some(ActiveOrder::Replace(mut rolling)) if rolling.version().is_some() => {
            rolling.join_back(order_id);
            refuse_waiting(state);
            let reason = "taken back by order".to_owned();
            turn_back(state, &mut rolling, reason, Some(order_id));
            state.orders.set_active(Some(ActiveOrder::Replace(rolling)));
            Ok(true)
        }
        other => {
            let refusal = match other {
                Some(ActiveOrder::Prepare { .. }) => {
                    Some("no version has changed yet; 'replace stop' ends the replacement")
                }
                Some(ActiveOrder::Replace(_)) => {
                    Some("the replacement under way changes no version; 'replace stop' ends it")
                }
                _ => None,
            };
            state.orders.set_active(other);
            refusal.map_or(Ok(false), |sentence| Err(OrderError::invalid(sentence)))
        }
    }
}
