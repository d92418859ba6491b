//! The last container of each vacant seat, kept after it has ended as a marker of the seat.
//!
//! The next balancer counts seats by their containers. Without a marker, a seat that is waiting out
//! its back-off would be forgotten if this process died. Nothing is removed here: the caller
//! removes the containers that are released. A promoted custom server marks no seat, because its
//! container does not tell which seat it has.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::container_id::ContainerId;
use crate::fleet::engine::interface::VacantSeats;
use crate::ring::Seat;
use crate::roster::ReplicaId;

/// The kept containers and the vacant seats.
#[derive(Debug, Default)]
pub(super) struct SeatMarkers(Mutex<MarkedSeats>);

#[derive(Debug, Default)]
struct MarkedSeats {
    /// The vacant seats, each with the last replica that answered in it.
    vacant: VacantSeats,
    /// The newest container that was created for a seat since it is vacant.
    newest: BTreeMap<Seat, ContainerId>,
    /// The kept container of each marked seat.
    markers: BTreeMap<Seat, ContainerId>,
}

impl SeatMarkers {
    /// Replaces the list of vacant seats. Returns the markers of seats that are vacant no more.
    pub(super) fn set_vacant(&self, vacant: VacantSeats) -> Vec<ContainerId> {
        let mut seats = self.lock();
        seats.newest.retain(|seat, _| vacant.contains_key(seat));
        let released = seats
            .markers
            .extract_if(.., |seat, _| !vacant.contains_key(seat));
        let released = released.map(|(_, marker)| marker).collect();
        seats.vacant = vacant;
        released
    }

    /// Records a container that was created for a seat, and which marks the seat from now on.
    /// Returns the marker that is no longer needed.
    pub(super) fn record_created(
        &self,
        seat: Seat,
        container: &ContainerId,
    ) -> Option<ContainerId> {
        let mut seats = self.lock();
        if seats.vacant.contains_key(&seat) {
            seats.newest.insert(seat, container.clone());
        }
        seats.markers.remove(&seat)
    }

    /// Makes the ended container of a replica a marker if it is the last of a vacant seat: the seat
    /// that it was created for, or the seat that the replica held.
    ///
    /// Returns whether the container is kept, and another container that was the marker until now
    /// and can be removed. Called once for each container.
    pub(super) fn keep_if_last(
        &self,
        id: ReplicaId,
        seat: Option<Seat>,
        container: &ContainerId,
    ) -> (bool, Option<ContainerId>) {
        let mut seats = self.lock();
        let held = |seats: &MarkedSeats| {
            let mut vacant = seats.vacant.iter();
            let found = vacant.find(|(_, holder)| **holder == Some(id));
            found.map(|(seat, _)| *seat)
        };
        let Some(seat) = seat.or_else(|| held(&seats)) else {
            return (false, None);
        };
        // Without a newer container since the seat is vacant, this one is the last.
        let newest = seats.newest.get(&seat);
        let is_last = newest.is_none_or(|newest| newest == container);
        if !seats.vacant.contains_key(&seat) || !is_last {
            return (false, None);
        }
        (true, seats.markers.insert(seat, container.clone()))
    }

    /// Returns `true` if this container is a marker.
    pub(super) fn has(&self, container: &ContainerId) -> bool {
        self.lock()
            .markers
            .values()
            .any(|marker| marker == container)
    }

    fn lock(&self) -> MutexGuard<'_, MarkedSeats> {
        // No code panics while the lock is held, and every single change leaves it valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> ContainerId {
        format!("{number:064x}").parse().unwrap()
    }

    fn vacant(seats: &[(u32, u64)]) -> VacantSeats {
        let seats = seats.iter();
        let seats = seats.map(|(seat, holder)| {
            let holder = (*holder > 0).then_some(ReplicaId(*holder));
            (Seat(*seat), holder)
        });
        seats.collect()
    }

    #[test]
    fn the_last_container_of_a_vacant_seat_stays_until_another_is_created() {
        let markers = SeatMarkers::default();
        let two = Some(Seat(2));
        assert_eq!(
            markers.keep_if_last(ReplicaId(1), two, &id(1)),
            (false, None),
            "the seat is filled"
        );
        assert_eq!(markers.set_vacant(vacant(&[(2, 1)])), []);
        assert_eq!(
            markers.keep_if_last(ReplicaId(1), two, &id(1)),
            (true, None)
        );
        assert!(markers.has(&id(1)) && !markers.has(&id(2)));
        assert_eq!(markers.record_created(Seat(2), &id(2)), Some(id(1)));
        assert!(!markers.has(&id(1)));
        assert_eq!(
            markers.keep_if_last(ReplicaId(2), two, &id(2)),
            (true, None)
        );
        assert_eq!(markers.record_created(Seat(2), &id(3)), Some(id(2)));
        // A container that was slow to end is not the last.
        assert_eq!(
            markers.keep_if_last(ReplicaId(1), two, &id(1)),
            (false, None)
        );
        assert_eq!(
            markers.keep_if_last(ReplicaId(3), two, &id(3)),
            (true, None)
        );
        // The seat is filled, or is not wanted any more.
        assert_eq!(markers.set_vacant(vacant(&[(1, 0)])), [id(3)]);
        assert!(!markers.has(&id(3)));
    }

    #[test]
    fn a_standby_that_filled_a_seat_marks_it_and_one_that_stood_in_does_not() {
        let markers = SeatMarkers::default();
        markers.set_vacant(vacant(&[(2, 1)]));
        assert_eq!(markers.record_created(Seat(2), &id(1)), None);
        assert_eq!(
            markers.keep_if_last(ReplicaId(1), Some(Seat(2)), &id(1)),
            (true, None)
        );
        // A standby stands in for the seat and ends.
        assert_eq!(markers.set_vacant(vacant(&[(2, 5)])), []);
        assert_eq!(
            markers.keep_if_last(ReplicaId(5), None, &id(5)),
            (false, None)
        );
        assert!(markers.has(&id(1)));
        // Another standby fills the seat and ends.
        assert_eq!(markers.set_vacant(vacant(&[])), [id(1)]);
        assert_eq!(markers.set_vacant(vacant(&[(2, 6)])), []);
        assert_eq!(
            markers.keep_if_last(ReplicaId(6), None, &id(6)),
            (true, None)
        );
        assert_eq!(
            markers.keep_if_last(ReplicaId(7), None, &id(7)),
            (false, None)
        );
    }
}
