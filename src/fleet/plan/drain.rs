//! `drain` and `ready`: a replica that gets no new requests by order, and stays.
//!
//! A drained replica keeps its seat, its position on the ring and its line in the list, and is
//! probed as before. Only routing skips it. The order is about the replica and not about the seat,
//! so a successor serves.

use super::replica::Phase;
use super::state::PlanState;
use crate::fleet::events::EventKind;
use crate::orders::OrderError;
use crate::roster::ReplicaName;

/// Drains the replica of this name, or makes it ready again. Does nothing if it already is so.
///
/// # Errors
/// When the name is unknown, or its replica holds no seat or does not serve.
pub(super) fn set_drained(
    state: &mut PlanState,
    name: &ReplicaName,
    drained: bool,
) -> Result<(), OrderError> {
    let seat = state.seat_named(name)?;
    let record = state.seats.get_mut(seat);
    let holder = record.and_then(|record| record.holder.as_mut());
    let holder = holder.filter(|holder| holder.name == *name);
    let phase = holder
        .as_ref()
        .and_then(|holder| state.replicas.phase(holder.id));
    let (Some(holder), Some(Phase::Up | Phase::Suspect | Phase::Unresponsive)) = (holder, phase)
    else {
        return Err(OrderError::invalid(format!("{name} does not serve")));
    };
    if holder.drained == drained {
        return Ok(());
    }
    holder.drained = drained;
    if let Some(record) = state.seats.get_mut(seat).filter(|_| !drained) {
        record.joined_at = Some(state.now);
    }
    state.effects.publish();
    let kind = if drained {
        EventKind::Drained
    } else {
        EventKind::Ready
    };
    state.record(kind, seat, name.clone(), "");
    Ok(())
}
