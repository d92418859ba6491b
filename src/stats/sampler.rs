//! Sampler: reads the counters, and keeps the snapshots of the last seconds.
//!
//! It takes a snapshot at every tick, so that a single reader without earlier data also gets the
//! rates of the last seconds. Each tick adds its point to the timeline. A tick costs some
//! microseconds for each seat and worker, on the caller's thread.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::counts::SeatCounts;
use super::history::{History, Rates, StatsSnapshot};
use super::registry::CounterRegistry;
use super::timeline::{Timeline, TimelinePoint};
use crate::metrics::DataPortCounters;
use crate::ring::Seat;

/// Reads counts; clones share the samples.
#[derive(Clone, Debug)]
pub struct Sampler {
    registry: CounterRegistry,
    port: Arc<DataPortCounters>,
    started: Instant,
    samples: Arc<Mutex<Samples>>,
}

/// Samples of the last seconds and minutes.
#[derive(Debug)]
struct Samples {
    history: History,
    timeline: Timeline,
}

/// Counts now and some seconds ago.
#[derive(Clone, Debug)]
pub struct WindowedStats {
    /// Time since the sampler was created.
    pub uptime: Duration,
    /// Time between the two snapshots.
    pub window: Duration,
    /// Number of threads that serve the data port.
    pub workers: usize,
    /// Current counts.
    pub now: StatsSnapshot,
    before: Arc<StatsSnapshot>,
}

impl Sampler {
    /// Returns a sampler that starts at `now`.
    #[must_use]
    pub fn new(registry: CounterRegistry, port: Arc<DataPortCounters>, now: Instant) -> Self {
        let first = StatsSnapshot::capture(&registry, &port, now);
        Self {
            registry,
            port,
            started: now,
            samples: Arc::new(Mutex::new(Samples {
                history: History::new(first),
                timeline: Timeline::default(),
            })),
        }
    }

    /// Takes a snapshot and adds its point to the timeline. The caller calls it every
    /// [`super::TICK`], the first time one tick after [`Self::new`], which took a snapshot too.
    pub fn tick(&self, now: Instant) {
        let stats = self.windowed(now);
        let point = TimelinePoint::from(&stats.total().1);
        let mut samples = self.samples();
        samples.timeline.push(now, point);
        samples.history.keep(stats.now);
    }

    /// Returns the points of the last two minutes, the oldest first; `None` for a missed tick.
    #[must_use]
    pub fn timeline(&self) -> Vec<Option<TimelinePoint>> {
        self.samples().timeline.points()
    }

    /// Reads all counters.
    #[must_use]
    pub fn read(&self, now: Instant) -> StatsSnapshot {
        StatsSnapshot::capture(&self.registry, &self.port, now)
    }

    /// Reads all counters, and compares them with those of some seconds ago.
    #[must_use]
    pub fn windowed(&self, now: Instant) -> WindowedStats {
        let before = self.samples().history.oldest();
        WindowedStats {
            uptime: now.saturating_duration_since(self.started),
            window: now.saturating_duration_since(before.at),
            workers: self.port.workers().len(),
            now: self.read(now),
            before,
        }
    }

    fn samples(&self) -> MutexGuard<'_, Samples> {
        // No code panics while the lock is held.
        self.samples.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WindowedStats {
    /// Returns the counts of `seat` since the start, and its recent rates.
    #[must_use]
    pub fn seat(&self, seat: Seat) -> (SeatCounts, Rates) {
        let now = self.now.seats.get(&seat).cloned().unwrap_or_default();
        let nothing = SeatCounts::default();
        let before = self.before.seats.get(&seat).unwrap_or(&nothing);
        let recent = Rates::between(before, &now, self.window);
        (now, recent)
    }

    /// Returns the same for all seats that ever existed.
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
    fn windowed_stats_cover_the_last_seconds() {
        let (registry, begin) = (CounterRegistry::default(), Instant::now());
        let second = Duration::from_secs(1);
        let sampler = Sampler::new(registry.clone(), Arc::new(DataPortCounters::new(2)), begin);
        let counters = Arc::new(ReplicaCounters::new(2));
        registry.register(Seat(1), &counters);
        for tick in 1..=8 {
            counters.worker(0).requests.add(10);
            sampler.tick(begin + second * tick);
        }
        counters.worker(1).requests.add(5);
        let stats = sampler.windowed(begin + second * 8 + second / 2);
        assert_eq!(
            (stats.uptime, stats.window),
            (second * 17 / 2, second * 9 / 2)
        );
        let (counts, recent) = stats.seat(Seat(1));
        assert_eq!((counts.requests, stats.workers), (85, 2));
        assert_eq!(recent.requests_per_s(), 10.0);
        assert_eq!(stats.total().0, counts);
        assert_eq!(stats.seat(Seat(2)).0, SeatCounts::default());
    }

    #[test]
    fn each_tick_adds_a_point_with_the_rates_of_that_moment() {
        let (registry, begin) = (CounterRegistry::default(), Instant::now());
        let second = Duration::from_secs(1);
        let sampler = Sampler::new(registry.clone(), Arc::new(DataPortCounters::new(2)), begin);
        assert_eq!(sampler.timeline(), []);
        for seat in [Seat(1), Seat(2)] {
            let counters = Arc::new(ReplicaCounters::new(2));
            registry.register(seat, &counters);
            counters.worker(1).requests.add(3);
            counters.worker(0).to_client.add(50);
            counters.worker(0).total.observe(Duration::from_millis(100));
        }
        sampler.tick(begin + second);
        sampler.tick(begin + second * 2);
        let rates = |(requests_per_s, to_client_per_s)| {
            let (p50, p99) = (Duration::from_micros(90_000), Duration::from_micros(99_800));
            Some(TimelinePoint {
                requests_per_s,
                to_client_per_s,
                p50: Some(p50),
                p99: Some(p99),
            })
        };
        assert_eq!(sampler.timeline(), [(6.0, 100.0), (3.0, 50.0)].map(rates));
        let (_, recent) = sampler.windowed(begin + second * 2).total();
        assert_eq!(Some(TimelinePoint::from(&recent)), rates((3.0, 50.0)));
        // All of it left the window.
        for tick in 3..=6 {
            sampler.tick(begin + second * tick);
        }
        let last = sampler.timeline().pop().flatten().unwrap();
        assert_eq!((last.requests_per_s, last.p50), (0.0, None));
    }

    #[test]
    fn a_young_sampler_covers_its_whole_uptime() {
        let (registry, begin) = (CounterRegistry::default(), Instant::now());
        let sampler = Sampler::new(registry.clone(), Arc::new(DataPortCounters::new(1)), begin);
        let counters = Arc::new(ReplicaCounters::new(1));
        registry.register(Seat(1), &counters);
        counters.worker(0).requests.add(6);
        let (_, recent) = sampler.windowed(begin + Duration::from_millis(500)).total();
        assert_eq!(recent.requests_per_s(), 12.0);
    }
}
