//! `add NAME HOST:PORT`, `set NAME HOST:PORT`, `weight NAME W` and `rm` of fixed backends.
//!
//! A new address must answer before anything changes. Then the new list of backends is saved, and
//! only then the change takes effect. So an order that fails changes nothing, and the next process
//! knows all changes that took effect.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::backend::Backend;
use super::backend_change::{BackendOrder, Change, NewAddress, Stage};
use super::order_book::ActiveOrder;
use super::seat::SeatRecord;
use super::state::PlanState;
use super::types::{Action, Environment, OrderId};
use super::{add, candidates, ring_settings, rm, seating};
use crate::orders::{BackendAddr, BackendChange, BackendSeat, ChangeRequest, OrderError};
use crate::ring::{Ring, Seat, Weight};
use crate::roster::{Health, ReplicaName};

/// Checks an `add` and begins to try its address.
///
/// # Errors
/// The name is taken, or the limit or the ring has no room for one more.
pub(super) fn begin_add(
    state: &PlanState,
    order_id: OrderId,
    change: BackendChange,
) -> Result<ActiveOrder, OrderError> {
    let BackendChange { name, addr } = change;
    if state.is_name_taken(&name) {
        return Err(OrderError::invalid(format!("the name {name} is taken")));
    }
    let (seats, ring) = add::next_seats(state, 1)?;
    let seat = seats[0];
    let backend = known_backend(state, addr);
    Ok(trying(state, order_id, seat, name, backend, Some(ring)))
}

/// Checks a `set` and begins to try its address.
///
/// # Errors
/// The name is unknown, or its backend is being removed.
pub(super) fn begin_set(
    state: &PlanState,
    order_id: OrderId,
    change: BackendChange,
) -> Result<ActiveOrder, OrderError> {
    let BackendChange { name, addr } = change;
    let seat = state.seat_named(&name)?;
    let backend = known_backend(state, addr);
    Ok(trying(state, order_id, seat, name, backend, None))
}

/// Checks an `rm`, of which every seat is named.
///
/// # Errors
/// A name is unknown, or not every backend is named.
pub(super) fn begin_rm(
    state: &PlanState,
    order_id: OrderId,
    change: &ChangeRequest,
) -> Result<ActiveOrder, OrderError> {
    if change.names.len() < change.n {
        return Err(OrderError::unnamed_backend());
    }
    let seats = rm::named_seats(state, &change.names)?;
    let order = BackendOrder::new(order_id, Change::Rm(seats));
    Ok(ActiveOrder::Backend(order))
}

/// Checks a `weight`.
///
/// # Errors
/// As [`ring_settings::reweighted`].
pub(super) fn begin_weight(
    state: &PlanState,
    order_id: OrderId,
    name: &ReplicaName,
    weight: Weight,
) -> Result<ActiveOrder, OrderError> {
    let (seat, ring) = ring_settings::reweighted(state, name, weight)?;
    let order = BackendOrder::new(order_id, Change::Weight { seat, ring });
    Ok(ActiveOrder::Backend(order))
}

/// Returns a backend with what the lookups of this address have found already: only news are
/// reported.
fn known_backend(state: &PlanState, addr: BackendAddr) -> Backend {
    let mut backends = state
        .seats
        .iter()
        .filter_map(|record| record.backend.as_ref());
    let same = backends.find(|backend| backend.addr == addr).cloned();
    same.unwrap_or_else(|| Backend::new(addr))
}

fn trying(
    state: &PlanState,
    order_id: OrderId,
    seat: Seat,
    name: ReplicaName,
    backend: Backend,
    ring: Option<Arc<dyn Ring>>,
) -> ActiveOrder {
    let until = state.now + state.policy.start_timeout;
    let new = NewAddress {
        seat,
        name,
        backend,
        ring,
        answered: None,
        until,
    };
    ActiveOrder::Backend(BackendOrder::new(order_id, Change::Address(Box::new(new))))
}

/// Records that the list of this order was saved, or why it could not be.
pub(super) fn saved(state: &mut PlanState, order_id: OrderId, result: Result<(), String>) {
    let order = state.orders.backend_mut();
    if let Some(order) = order.filter(|order| order.order_id == order_id) {
        order.stage = Stage::Done(result.map_err(|why| {
            let sentence = format!("the backends cannot be saved: {why}; nothing has changed");
            OrderError::unavailable(sentence)
        }));
    }
}

/// Carries an order on. Returns `true` if it is to be completed.
pub(super) fn advance(state: &mut PlanState, order: &mut BackendOrder) -> bool {
    if let Stage::Trying = order.stage {
        let reached = match &order.change {
            Change::Address(new) => is_reached(state, new),
            Change::Rm(_) | Change::Weight { .. } => Ok(true),
        };
        order.stage = match reached {
            Ok(false) => return false,
            Ok(true) => {
                let list = list_after(state, &order.change);
                state.effects.push(Action::Save(order.order_id, list));
                Stage::Saving
            }
            Err(refusal) => Stage::Done(Err(refusal)),
        };
    }
    matches!(order.stage, Stage::Done(_))
}

/// Returns the list of the backends after a change.
fn list_after(state: &PlanState, change: &Change) -> Vec<BackendSeat> {
    let mut list = state.backend_seats();
    match change {
        Change::Rm(seats) => list.retain(|backend| !seats.contains(&backend.seat)),
        Change::Weight { seat, ring } => {
            let weighted = list.iter_mut().filter(|backend| backend.seat == *seat);
            weighted.for_each(|backend| backend.weight = ring.weights().of(*seat));
        }
        Change::Address(new) => {
            let addr = new.backend.addr.clone();
            match list.iter_mut().find(|backend| backend.seat == new.seat) {
                Some(backend) => backend.addr = addr,
                None => list.push(BackendSeat {
                    seat: new.seat,
                    name: new.name.clone(),
                    addr,
                    weight: Weight::ONE,
                }),
            }
        }
    }
    list
}

/// Completes an order: its change takes effect, or is refused. Returns the order that completes it,
/// if it is not complete yet.
pub(super) fn complete(
    state: &mut PlanState,
    order: BackendOrder,
    env: &dyn Environment,
) -> Option<ActiveOrder> {
    let Stage::Done(result) = order.stage else {
        return None;
    };
    if let Err(refusal) = result {
        state.effects.answer(order.order_id, Err(refusal));
        return None;
    }
    match order.change {
        Change::Rm(seats) => match rm::remove_seats(state, order.order_id, seats) {
            Ok(active) => return Some(active),
            Err(refusal) => state.effects.answer(order.order_id, Err(refusal)),
        },
        Change::Weight { seat, ring } => {
            ring_settings::switch_weight(state, seat, ring);
            state.answer_with_list(order.order_id);
        }
        Change::Address(new) => {
            take_effect(state, *new, env);
            state.answer_with_list(order.order_id);
        }
    }
    None
}

/// Returns `true` if the new address answers.
///
/// # Errors
/// Its name does not resolve, or its time is over.
fn is_reached(state: &PlanState, new: &NewAddress) -> Result<bool, OrderError> {
    let record = state.seats.get(new.seat);
    let holder = record.and_then(|record| record.holder.as_ref());
    // The backend may be there already, under another name of its host.
    let serves =
        holder.is_some_and(|holder| holder.health == Health::Up && new.backend.has(holder.addr));
    let counts_as_up = !state.policy.watched && !new.backend.addresses_besides(None).is_empty();
    if serves || counts_as_up || new.answered.is_some() {
        return Ok(true);
    }
    let (name, addr) = (&new.name, &new.backend.addr);
    if let Some(failure) = new.backend.lookup_failure() {
        return Err(OrderError::unavailable(format!("{name}: {failure}")));
    }
    if state.now < new.until {
        return Ok(false);
    }
    let limit = state.policy.start_timeout;
    let mut replicas = state.replicas.values();
    let tried = replicas.find(|replica| {
        let is_of_order = replica.addr.is_some_and(|addr| new.backend.has(addr));
        replica.is_candidate() && replica.seat == Some(new.seat) && is_of_order
    });
    let failure = tried.and_then(|replica| {
        let failure = replica.failures.last()?;
        Some(format!(
            ": {}",
            failure.describe(replica.addr, &state.policy.wording)
        ))
    });
    let failure = failure.unwrap_or_default();
    Err(OrderError::unavailable(format!(
        "{name} did not answer at {addr} within {limit:?}{failure}"
    )))
}

/// Gives the backend its seat, or its other address.
fn take_effect(state: &mut PlanState, new: NewAddress, env: &dyn Environment) {
    if let Some(ring) = new.ring {
        state.ring = ring;
        state.effects.publish();
        state.seats.push(SeatRecord::new(new.seat, new.name, None));
    }
    if let Some(record) = state.seats.get_mut(new.seat) {
        record.backend = Some(new.backend);
    }
    match new.answered.filter(|id| state.is_probed(*id)) {
        Some(id) => seating::take_seat(state, id, false),
        None => candidates::follow(state, env),
    }
}

/// Returns the addresses of the fixed backends. `true`: a seat with this address has no holder that
/// is up.
pub(super) fn addresses(state: &PlanState) -> BTreeMap<BackendAddr, bool> {
    let mut addresses = BTreeMap::new();
    for record in state.seats.wanted() {
        let holder = record.holder.as_ref();
        let is_up = holder.is_some_and(|holder| holder.health == Health::Up);
        if let Some(backend) = &record.backend {
            *addresses.entry(backend.addr.clone()).or_default() |= !is_up;
        }
    }
    let new = state.orders.backend().and_then(BackendOrder::new_address);
    addresses.extend(new.map(|new| (new.backend.addr.clone(), true)));
    addresses
}
