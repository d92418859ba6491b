//! The ledger: which cells belong to which seat, over all the replicas that ever sat there. The fleet enters
//! each new replica; whoever wants to know reads.
//!
//! It has a lock, which the data path never takes: workers know their cells and nothing of this. The
//! surprise: a replica's cells are kept for as long as anyone else holds them, since a worker may count on
//! long after the replica left the roster; then their sums go to the seat's past, and no count is lost.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counts::{FleetCountsSnapshot, SeatCounts};
use crate::metrics::{FleetCounters, ReplicaCounters, SeatCounters};
use crate::ring::Seat;

/// All pages; clones share them.
#[derive(Clone, Debug, Default)]
pub struct CounterRegistry {
    pages: Arc<Mutex<BTreeMap<Seat, SeatHistory>>>,
    fleet: Arc<FleetCounters>,
}

/// What belongs to one seat.
#[derive(Debug, Default)]
struct SeatHistory {
    /// The sums of those whose cells nobody holds any more.
    past: SeatCounts,
    /// The cells of the others.
    lives: Vec<Arc<ReplicaCounters>>,
    fleet: Arc<SeatCounters>,
}

impl CounterRegistry {
    /// Enters the replica that counts in `cells` for `seat`.
    pub fn register(&self, seat: Seat, cells: &Arc<ReplicaCounters>) {
        let mut pages = self.lock();
        let page = pages.entry(seat).or_default();
        // Here too, or those of a seat that dies again and again would pile up unread.
        page.fold_retired();
        page.lives.push(Arc::clone(cells));
    }

    /// What the fleet is to count in about `seat`.
    #[must_use]
    pub fn seat(&self, seat: Seat) -> Arc<SeatCounters> {
        Arc::clone(&self.lock().entry(seat).or_default().fleet)
    }

    /// What the fleet is to count in about itself.
    #[must_use]
    pub fn fleet(&self) -> &Arc<FleetCounters> {
        &self.fleet
    }

    /// What was counted about each seat there ever was.
    #[must_use]
    pub fn seats(&self) -> BTreeMap<Seat, SeatCounts> {
        let copy = |(seat, page): (&Seat, &mut SeatHistory)| (*seat, page.copy());
        let pages: Vec<(Seat, SeatHistory)> = self.lock().iter_mut().map(copy).collect();
        // Cells are far apart and many; the fleet must not wait while they are read.
        let read = |(seat, page): (Seat, SeatHistory)| (seat, page.read());
        pages.into_iter().map(read).collect()
    }

    /// How many requests others got than whoever was to have them in `seat`.
    #[must_use]
    pub fn saved(&self, seat: Seat) -> u64 {
        let pages = self.lock();
        let Some(page) = pages.get(&seat) else {
            return 0;
        };
        let cells = page.lives.iter().flat_map(|cells| cells.workers());
        page.past.saved + cells.map(|cell| cell.saved.get()).sum::<u64>()
    }

    /// What the fleet counted about itself.
    #[must_use]
    pub fn fleet_counts(&self) -> FleetCountsSnapshot {
        FleetCountsSnapshot::read(&self.fleet)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Seat, SeatHistory>> {
        // Nothing panics while it is held.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeatHistory {
    /// Moves the sums of those to the past whose cells only we hold.
    fn fold_retired(&mut self) {
        for cells in mem::take(&mut self.lives) {
            // Unwrapping, unlike a look at the count, also makes all visible that was written.
            match Arc::try_unwrap(cells) {
                Ok(cells) => self.past.add_cells(&cells),
                Err(cells) => self.lives.push(cells),
            }
        }
    }

    /// A page that can be read on its own: as long as it is there, none of its cells goes to the past.
    fn copy(&mut self) -> Self {
        self.fold_retired();
        Self {
            past: self.past.clone(),
            lives: self.lives.clone(),
            fleet: Arc::clone(&self.fleet),
        }
    }

    fn read(self) -> SeatCounts {
        let mut counts = self.past;
        for cells in &self.lives {
            counts.add_cells(cells);
        }
        counts.add_fleet(&self.fleet);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(requests: u64) -> Arc<ReplicaCounters> {
        let cells = Arc::new(ReplicaCounters::new(1));
        cells.worker(0).requests.add(requests);
        cells
    }

    fn requests(ledger: &CounterRegistry, seat: u32) -> u64 {
        ledger.seats()[&Seat(seat)].requests
    }

    #[test]
    fn a_seat_counts_on_from_one_replica_to_the_next() {
        let ledger = CounterRegistry::default();
        let (first, second) = (served(5), served(7));
        ledger.register(Seat(1), &first);
        ledger.register(Seat(2), &served(1));
        ledger.register(Seat(1), &second);
        assert_eq!((requests(&ledger, 1), requests(&ledger, 2)), (12, 1));
        // A request that outlives its replica's place in the roster.
        first.worker(0).requests.add(1);
        first.worker(0).saved.add(2);
        second.worker(0).saved.add(1);
        assert_eq!(requests(&ledger, 1), 13);
        assert_eq!((ledger.saved(Seat(1)), ledger.saved(Seat(9))), (3, 0));
        drop(first);
        assert_eq!(requests(&ledger, 1), 13);
        second.worker(0).requests.add(1);
        drop(second);
        assert_eq!(requests(&ledger, 1), 14);
        assert_eq!(requests(&ledger, 1), 14, "counted once");
        assert_eq!(ledger.saved(Seat(1)), 3, "the past counts");
    }

    #[test]
    fn cells_that_nobody_else_holds_are_let_go() {
        let ledger = CounterRegistry::default();
        for _ in 0..100 {
            ledger.register(Seat(1), &served(1));
        }
        let kept = ledger.lock()[&Seat(1)].lives.len();
        assert_eq!((kept, requests(&ledger, 1)), (1, 100));
    }

    #[test]
    fn the_fleet_counts_about_seats_that_nobody_sat_in() {
        let ledger = CounterRegistry::default();
        ledger.seat(Seat(3)).failed_starts.add(2);
        ledger.seat(Seat(3)).failed_starts.add(1);
        assert_eq!(ledger.seats()[&Seat(3)].failed_starts, 3);
    }
}
