//! The recorder: where counts are read off the cells, with the readings of the last seconds beside.
//!
//! It keeps a reading each time it is told that a second has passed, whether anybody asks or not: so that
//! whoever asks, once and without a past, is told of the last seconds. That costs some microseconds for
//! each seat and worker, on the thread of whoever calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counts::SeatCounts;
use super::history::{History, Rates, StatsSnapshot};
use super::registry::CounterRegistry;
use crate::metrics::DataPortCounters;
use crate::ring::Seat;

/// Reads counts; clones share their past.
#[derive(Clone, Debug)]
pub struct Sampler {
    ledger: CounterRegistry,
    port: Arc<DataPortCounters>,
    begun: Instant,
    history: Arc<Mutex<History>>,
}

/// What there was to read, now and some seconds ago.
#[derive(Clone, Debug)]
pub struct WindowedStats {
    /// Since the recorder was made.
    pub uptime: Duration,
    /// Between the two readings.
    pub window: Duration,
    /// How many threads serve the data port.
    pub workers: usize,
    /// The counts as they stand.
    pub now: StatsSnapshot,
    before: Arc<StatsSnapshot>,
}

impl Sampler {
    /// A recorder that begins `now`.
    #[must_use]
    pub fn new(ledger: CounterRegistry, port: Arc<DataPortCounters>, now: Instant) -> Self {
        let first = StatsSnapshot::capture(&ledger, &port, now);
        Self {
            ledger,
            port,
            begun: now,
            history: Arc::new(Mutex::new(History::new(first))),
        }
    }

    /// To be called every [`super::TICK`].
    pub fn tick(&self, now: Instant) {
        let reading = self.read(now);
        self.history().keep(reading);
    }

    /// Reads everything there is now.
    #[must_use]
    pub fn read(&self, now: Instant) -> StatsSnapshot {
        StatsSnapshot::capture(&self.ledger, &self.port, now)
    }

    /// Reads everything, and compares it with the last seconds.
    #[must_use]
    pub fn windowed(&self, now: Instant) -> WindowedStats {
        let before = self.history().oldest();
        WindowedStats {
            uptime: now.saturating_duration_since(self.begun),
            window: now.saturating_duration_since(before.at),
            workers: self.port.workers().len(),
            now: self.read(now),
            before,
        }
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // Nothing panics while it is held.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WindowedStats {
    /// What was counted about `seat` since the start, and of late.
    #[must_use]
    pub fn seat(&self, seat: Seat) -> (SeatCounts, Rates) {
        let now = self.now.seats.get(&seat).cloned().unwrap_or_default();
        let nothing = SeatCounts::default();
        let before = self.before.seats.get(&seat).unwrap_or(&nothing);
        let recent = Rates::between(before, &now, self.window);
        (now, recent)
    }

    /// The same about all seats there ever were.
    #[must_use]
    pub fn total(&self) -> (SeatCounts, Rates) {
        let now = self.now.total();
        let recent = Rates::between(&self.before.total(), &now, self.window);
        (now, recent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ReplicaCounters;

    #[test]
    fn who_looks_is_told_of_the_last_seconds() {
        let (ledger, begin) = (CounterRegistry::default(), Instant::now());
        let second = Duration::from_secs(1);
        let recorder = Sampler::new(ledger.clone(), Arc::new(DataPortCounters::new(2)), begin);
        let cells = Arc::new(ReplicaCounters::new(2));
        ledger.register(Seat(1), &cells);
        for tick in 1..=8 {
            cells.worker(0).requests.add(10);
            recorder.tick(begin + second * tick);
        }
        cells.worker(1).requests.add(5);
        let look = recorder.windowed(begin + second * 8 + second / 2);
        assert_eq!(
            (look.uptime, look.window),
            (second * 17 / 2, second * 9 / 2)
        );
        let (counts, recent) = look.seat(Seat(1));
        assert_eq!((counts.requests, look.workers), (85, 2));
        assert_eq!(recent.requests_per_s(), 10.0);
        assert_eq!(look.total().0, counts);
        assert_eq!(look.seat(Seat(2)).0, SeatCounts::default());
    }

    #[test]
    fn a_young_recorder_tells_of_its_whole_life() {
        let (ledger, begin) = (CounterRegistry::default(), Instant::now());
        let recorder = Sampler::new(ledger.clone(), Arc::new(DataPortCounters::new(1)), begin);
        let cells = Arc::new(ReplicaCounters::new(1));
        ledger.register(Seat(1), &cells);
        cells.worker(0).requests.add(6);
        let (_, recent) = recorder
            .windowed(begin + Duration::from_millis(500))
            .total();
        assert_eq!(recent.requests_per_s(), 12.0);
    }
}
