//! The last container of each seat that nobody fills, kept though it has ended: the next balancer counts the seats
//! that it finds, and one that waits between two tries to fill it would be lost with us.
//!
//! Pure: whoever asks removes what is let go. Surprising: an own server that stands in fills no seat here, for
//! its container does not tell which one it has.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::api::Id;
use crate::fleet::engine::VacantSeats;
use crate::ring::Seat;
use crate::roster::ReplicaId;

/// What is kept, and for how long.
#[derive(Debug, Default)]
pub(super) struct SeatMarkers(Mutex<MarkedSeats>);

#[derive(Debug, Default)]
struct MarkedSeats {
    vacant: VacantSeats,
    /// The newest container that was made for a seat since it is vacant.
    newest: BTreeMap<Seat, Id>,
    corpses: BTreeMap<Seat, Id>,
}

impl SeatMarkers {
    /// These seats are vacant, and no others. Returns those whose time is over.
    pub(super) fn set_vacant(&self, vacant: VacantSeats) -> Vec<Id> {
        let mut seats = self.lock();
        seats.newest.retain(|seat, _| vacant.contains_key(seat));
        let over = seats
            .corpses
            .extract_if(.., |seat, _| !vacant.contains_key(seat));
        let over = over.map(|(_, corpse)| corpse).collect();
        seats.vacant = vacant;
        over
    }

    /// A container was made for a seat. Returns the one that it is there instead of.
    pub(super) fn supersede(&self, seat: Seat, container: &Id) -> Option<Id> {
        let mut seats = self.lock();
        if seats.vacant.contains_key(&seat) {
            seats.newest.insert(seat, container.clone());
        }
        seats.corpses.remove(&seat)
    }

    /// Whether the container of this replica, which has ended, is to stay, be it the one that was made for
    /// `seat` or the last who held one; and the one that it stays instead of.
    pub(super) fn should_keep(
        &self,
        id: ReplicaId,
        seat: Option<Seat>,
        container: &Id,
    ) -> (bool, Option<Id>) {
        let mut seats = self.lock();
        let held = |seats: &MarkedSeats| {
            let mut vacant = seats.vacant.iter();
            let found = vacant.find(|(_, holder)| **holder == Some(id));
            found.map(|(seat, _)| *seat)
        };
        let Some(seat) = seat.or_else(|| held(&seats)) else {
            return (false, None);
        };
        let newest = seats.newest.get(&seat);
        let is_last = newest.is_none_or(|newest| newest == container);
        if !seats.vacant.contains_key(&seat) || !is_last {
            return (false, None);
        }
        (true, seats.corpses.insert(seat, container.clone()))
    }

    /// Whether this one is kept.
    pub(super) fn has(&self, container: &Id) -> bool {
        self.lock().corpses.values().any(|kept| kept == container)
    }

    fn lock(&self) -> MutexGuard<'_, MarkedSeats> {
        // Nothing panics while it is held, and every single change leaves it valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> Id {
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
    fn the_last_of_a_vacant_seat_stays_until_another_is_made() {
        let kept = SeatMarkers::default();
        let two = Some(Seat(2));
        assert_eq!(
            kept.should_keep(ReplicaId(1), two, &id(1)),
            (false, None),
            "it is filled"
        );
        assert_eq!(kept.set_vacant(vacant(&[(2, 1)])), []);
        assert_eq!(kept.should_keep(ReplicaId(1), two, &id(1)), (true, None));
        assert!(kept.has(&id(1)) && !kept.has(&id(2)));
        assert_eq!(kept.supersede(Seat(2), &id(2)), Some(id(1)));
        assert!(!kept.has(&id(1)));
        assert_eq!(kept.should_keep(ReplicaId(2), two, &id(2)), (true, None));
        assert_eq!(kept.supersede(Seat(2), &id(3)), Some(id(2)));
        // One that was slow to end comes too late.
        assert_eq!(kept.should_keep(ReplicaId(1), two, &id(1)), (false, None));
        assert_eq!(kept.should_keep(ReplicaId(3), two, &id(3)), (true, None));
        // The seat is filled, or is not wanted any more.
        assert_eq!(kept.set_vacant(vacant(&[(1, 0)])), [id(3)]);
        assert!(!kept.has(&id(3)));
    }

    #[test]
    fn a_standby_that_filled_a_seat_is_its_last_and_one_that_stood_in_is_not() {
        let kept = SeatMarkers::default();
        kept.set_vacant(vacant(&[(2, 1)]));
        assert_eq!(kept.supersede(Seat(2), &id(1)), None);
        assert_eq!(
            kept.should_keep(ReplicaId(1), Some(Seat(2)), &id(1)),
            (true, None)
        );
        // It stands in, and ends.
        assert_eq!(kept.set_vacant(vacant(&[(2, 5)])), []);
        assert_eq!(kept.should_keep(ReplicaId(5), None, &id(5)), (false, None));
        assert!(kept.has(&id(1)));
        // Another fills it, and ends.
        assert_eq!(kept.set_vacant(vacant(&[])), [id(1)]);
        assert_eq!(kept.set_vacant(vacant(&[(2, 6)])), []);
        assert_eq!(kept.should_keep(ReplicaId(6), None, &id(6)), (true, None));
        assert_eq!(kept.should_keep(ReplicaId(7), None, &id(7)), (false, None));
    }
}
