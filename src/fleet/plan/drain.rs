//! `drain` and `ready`: a replica that gets no new requests by order, and stays.
//!
//! It keeps its seat, its place on the ring and in the list, and is watched as before; only routing passes
//! it over. Surprising: that is said of the replica and not of the seat, so a successor serves.

use super::{Phase, Plan};
use crate::fleet::events::EventKind;
use crate::orders::OrderError;
use crate::roster::ReplicaName;

impl Plan {
    /// Takes the replica of this name off duty, or puts it on duty again; it may be so already.
    pub(super) fn set_drained(
        &mut self,
        name: &ReplicaName,
        drained: bool,
    ) -> Result<(), OrderError> {
        let seat = self.seat_named(name)?;
        let holder = self.place_mut(seat).and_then(|p| p.holder.clone());
        let holder = holder.filter(|holder| holder.name == *name);
        let phase = holder.as_ref().and_then(|holder| self.phase(holder.id));
        let (Some(holder), Some(Phase::Up | Phase::Suspect | Phase::Unresponsive)) =
            (holder, phase)
        else {
            return Err(OrderError::invalid(format!("{name} does not serve")));
        };
        if holder.drained == drained {
            return Ok(());
        }
        let place = self.place_mut(seat);
        if let Some(holder) = place.and_then(|place| place.holder.as_mut()) {
            holder.drained = drained;
        }
        self.changed = true;
        let kind = if drained {
            EventKind::Drained
        } else {
            EventKind::Ready
        };
        self.record(kind, seat, name.clone(), "", |_| {});
        Ok(())
    }
}
