//! Registry of the counters of each seat, over all replicas that ever held it. The fleet registers
//! each new replica; any thread may read.
//!
//! Its lock is never taken on the data path: workers hold their counters directly. A worker may
//! count long after the replica left the roster, so a replica's counters are kept while a worker
//! holds them. Then their sums are added to the seat's retired counts, and no count is lost.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::counts::{FleetCountsSnapshot, SeatCounts};
use crate::metrics::{FleetCounters, ReplicaCounters, SeatCounters};
use crate::ring::Seat;

/// Counters of all seats; clones share them.
#[derive(Clone, Debug, Default)]
pub struct CounterRegistry {
    seats: Arc<Mutex<BTreeMap<Seat, SeatHistory>>>,
    fleet: Arc<FleetCounters>,
}

/// Counters of one seat.
#[derive(Debug, Default)]
struct SeatHistory {
    /// Sums of the replicas whose counters no worker holds any more.
    retired: SeatCounts,
    /// Counters of the other replicas.
    live: Vec<Arc<ReplicaCounters>>,
    fleet: Arc<SeatCounters>,
}

impl CounterRegistry {
    /// Registers the replica that counts in `counters` for `seat`.
    pub fn register(&self, seat: Seat, counters: &Arc<ReplicaCounters>) {
        let mut seats = self.lock();
        let history = seats.entry(seat).or_default();
        // Fold here too: otherwise the counters of a seat that dies repeatedly pile up while they
        // are not read.
        history.fold_retired();
        history.live.push(Arc::clone(counters));
    }

    /// Returns the fleet's counters about `seat`.
    #[must_use]
    pub fn seat(&self, seat: Seat) -> Arc<SeatCounters> {
        Arc::clone(&self.lock().entry(seat).or_default().fleet)
    }

    /// Returns the fleet's counters about itself.
    #[must_use]
    pub fn fleet(&self) -> &Arc<FleetCounters> {
        &self.fleet
    }

    /// Returns the counts of each seat that ever existed.
    #[must_use]
    pub fn seats(&self) -> BTreeMap<Seat, SeatCounts> {
        let copy = |(seat, history): (&Seat, &mut SeatHistory)| (*seat, history.copy());
        let seats: Vec<(Seat, SeatHistory)> = self.lock().iter_mut().map(copy).collect();
        // Counters are many and far apart in memory; the fleet must not wait while they are read.
        let read = |(seat, history): (Seat, SeatHistory)| (seat, history.read());
        seats.into_iter().map(read).collect()
    }

    /// Returns the number of requests that other replicas served for `seat`.
    #[must_use]
    pub fn saved(&self, seat: Seat) -> u64 {
        let seats = self.lock();
        let Some(history) = seats.get(&seat) else {
            return 0;
        };
        let workers = history.live.iter().flat_map(|counters| counters.workers());
        history.retired.saved + workers.map(|worker| worker.saved.get()).sum::<u64>()
    }

    /// Returns the fleet's counts about itself.
    #[must_use]
    pub fn fleet_counts(&self) -> FleetCountsSnapshot {
        FleetCountsSnapshot::read(&self.fleet)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Seat, SeatHistory>> {
        // No code panics while the lock is held.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SeatHistory {
    /// Adds the sums of replicas whose counters only the registry holds to the retired counts.
    fn fold_retired(&mut self) {
        for counters in mem::take(&mut self.live) {
            // Unlike a check of the reference count, `try_unwrap` also makes all writes visible.
            match Arc::try_unwrap(counters) {
                Ok(counters) => self.retired.add_replica(&counters),
                Err(counters) => self.live.push(counters),
            }
        }
    }

    /// Returns a copy that can be read without the lock. While it exists, none of its counters is
    /// retired.
    fn copy(&mut self) -> Self {
        self.fold_retired();
        Self {
            retired: self.retired.clone(),
            live: self.live.clone(),
            fleet: Arc::clone(&self.fleet),
        }
    }

    fn read(self) -> SeatCounts {
        let mut counts = self.retired;
        for counters in &self.live {
            counts.add_replica(counters);
        }
        counts.add_fleet(&self.fleet);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(requests: u64) -> Arc<ReplicaCounters> {
        let counters = Arc::new(ReplicaCounters::new(1));
        counters.worker(0).requests.add(requests);
        counters
    }

    fn requests(registry: &CounterRegistry, seat: u32) -> u64 {
        registry.seats()[&Seat(seat)].requests
    }

    #[test]
    fn a_seat_counts_on_from_one_replica_to_the_next() {
        let registry = CounterRegistry::default();
        let (first, second) = (served(5), served(7));
        registry.register(Seat(1), &first);
        registry.register(Seat(2), &served(1));
        registry.register(Seat(1), &second);
        assert_eq!((requests(&registry, 1), requests(&registry, 2)), (12, 1));
        // A request may outlive its replica's membership in the roster.
        first.worker(0).requests.add(1);
        first.worker(0).saved.add(2);
        second.worker(0).saved.add(1);
        assert_eq!(requests(&registry, 1), 13);
        assert_eq!((registry.saved(Seat(1)), registry.saved(Seat(9))), (3, 0));
        drop(first);
        assert_eq!(requests(&registry, 1), 13);
        second.worker(0).requests.add(1);
        drop(second);
        assert_eq!(requests(&registry, 1), 14);
        assert_eq!(requests(&registry, 1), 14, "counted once");
        assert_eq!(registry.saved(Seat(1)), 3, "the retired counts");
    }

    #[test]
    fn counters_that_no_worker_holds_are_retired() {
        let registry = CounterRegistry::default();
        for _ in 0..100 {
            registry.register(Seat(1), &served(1));
        }
        let kept = registry.lock()[&Seat(1)].live.len();
        assert_eq!((kept, requests(&registry, 1)), (1, 100));
    }

    #[test]
    fn the_fleet_counts_about_seats_that_never_had_a_replica() {
        let registry = CounterRegistry::default();
        registry.seat(Seat(3)).failed_starts.add(2);
        registry.seat(Seat(3)).failed_starts.add(1);
        assert_eq!(registry.seats()[&Seat(3)].failed_starts, 3);
    }
}
