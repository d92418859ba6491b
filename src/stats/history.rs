//! Snapshots of the last seconds, and the changes between them: rates, shares and recent times.
//!
//! Pure: the owner of a history reads the counters and passes the time. It is bounded: one snapshot
//! for each of the last [`SNAPSHOTS_KEPT`] ticks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::counts::{FleetCountsSnapshot, PortCounts, SeatCounts};
use super::registry::CounterRegistry;
use crate::metrics::{DataPortCounters, HistogramSnapshot};
use crate::ring::Seat;

/// Interval between two snapshots.
pub const TICK: Duration = Duration::from_secs(1);

/// Number of snapshots kept; rates and times cover as many ticks.
pub const SNAPSHOTS_KEPT: usize = 5;

/// All counts at one moment.
#[derive(Clone, Debug)]
pub struct StatsSnapshot {
    /// Time of the snapshot.
    pub at: Instant,
    /// Counts of each seat that ever existed.
    pub seats: BTreeMap<Seat, SeatCounts>,
    /// Counts of the data port.
    pub port: PortCounts,
    /// Counts of the fleet.
    pub fleet: FleetCountsSnapshot,
}

impl StatsSnapshot {
    /// Reads all counters. Takes some microseconds for each seat and worker.
    #[must_use]
    pub fn capture(registry: &CounterRegistry, port: &DataPortCounters, at: Instant) -> Self {
        Self {
            at,
            seats: registry.seats(),
            port: PortCounts::read(port),
            fleet: registry.fleet_counts(),
        }
    }

    /// Returns the sum of the counts of all seats.
    #[must_use]
    pub fn total(&self) -> SeatCounts {
        let mut total = SeatCounts::default();
        self.seats.values().for_each(|counts| total.add(counts));
        total
    }
}

/// Last snapshots, the oldest first; never empty.
#[derive(Debug)]
pub struct History(VecDeque<Arc<StatsSnapshot>>);

impl History {
    /// Returns a history that starts with `first`.
    #[must_use]
    pub fn new(first: StatsSnapshot) -> Self {
        Self(VecDeque::from([Arc::new(first)]))
    }

    /// Appends a snapshot, and drops the oldest at the limit.
    pub fn keep(&mut self, snapshot: StatsSnapshot) {
        if self.0.len() == SNAPSHOTS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Arc::new(snapshot));
    }

    /// Returns the oldest snapshot.
    #[must_use]
    pub fn oldest(&self) -> Arc<StatsSnapshot> {
        Arc::clone(&self.0[0])
    }
}

/// Increase of the counts of one seat, or of all, within a time window.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    window: Duration,
    requests: u64,
    home: u64,
    /// Time from a request's head to the head of its reply.
    pub first_byte: HistogramSnapshot,
    /// Time from a request's head to its end.
    pub total: HistogramSnapshot,
    /// Time from a heartbeat to its answer.
    pub heartbeats: HistogramSnapshot,
    from_client: u64,
    to_client: u64,
}

impl Rates {
    /// Returns the increase between `before` and `now`, which are `window` apart.
    #[must_use]
    pub fn between(before: &SeatCounts, now: &SeatCounts, window: Duration) -> Self {
        let gained = |count: fn(&SeatCounts) -> u64| count(now).saturating_sub(count(before));
        Self {
            window,
            requests: gained(|counts| counts.requests),
            home: gained(SeatCounts::home),
            first_byte: now.first_byte.since(&before.first_byte),
            total: now.total.since(&before.total),
            heartbeats: now.heartbeats.since(&before.heartbeats),
            from_client: gained(|counts| counts.from_client),
            to_client: gained(|counts| counts.to_client),
        }
    }

    /// Returns the requests per second.
    #[must_use]
    pub fn requests_per_s(&self) -> f64 {
        self.per_second(self.requests)
    }

    /// Returns the bytes of requests per second.
    #[must_use]
    pub fn from_client_per_s(&self) -> f64 {
        self.per_second(self.from_client)
    }

    /// Returns the bytes of replies per second.
    #[must_use]
    pub fn to_client_per_s(&self) -> f64 {
        self.per_second(self.to_client)
    }

    /// Returns the share of the requests that the ring alone routed here, from 0 to 1; `None`
    /// without requests.
    #[must_use]
    pub fn home_share(&self) -> Option<f64> {
        ratio(self.home, self.requests)
    }

    /// Returns the share in the requests of `all`, from 0 to 1; `None` without requests.
    #[must_use]
    pub fn share_of(&self, all: &Self) -> Option<f64> {
        ratio(self.requests, all.requests)
    }

    fn per_second(&self, count: u64) -> f64 {
        let seconds = self.window.as_secs_f64();
        // Without elapsed time there is no rate.
        if seconds > 0.0 {
            count as f64 / seconds
        } else {
            0.0
        }
    }
}

fn ratio(some: u64, all: u64) -> Option<f64> {
    // Both were read one after the other, and may differ by a few requests.
    (all > 0).then(|| (some as f64 / all as f64).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ReplicaCounters;

    fn counts(requests: u64, spilled: u64) -> SeatCounts {
        SeatCounts {
            requests,
            spilled,
            to_client: 10 * requests,
            ..SeatCounts::default()
        }
    }

    #[test]
    fn rates_are_those_of_the_window() {
        let window = Duration::from_secs(4);
        let recent = Rates::between(&counts(100, 50), &counts(500, 150), window);
        assert_eq!(recent.requests_per_s(), 100.0);
        assert_eq!(recent.to_client_per_s(), 1000.0);
        assert_eq!(recent.home_share(), Some(0.75));
        let all = Rates::between(&counts(0, 0), &counts(1600, 0), window);
        assert_eq!(recent.share_of(&all), Some(0.25));
    }

    #[test]
    fn no_share_without_requests_and_no_rate_without_time() {
        let nothing = Rates::between(&counts(9, 0), &counts(9, 0), TICK);
        assert_eq!(nothing.home_share(), None);
        assert_eq!(nothing.share_of(&nothing), None);
        assert_eq!(nothing.first_byte.quantile(0.5), None);
        let at_once = Rates::between(&counts(0, 0), &counts(9, 0), Duration::ZERO);
        assert_eq!(at_once.requests_per_s(), 0.0);
    }

    #[test]
    fn a_history_keeps_the_last_seconds() {
        let (registry, port, begin) = (
            CounterRegistry::default(),
            DataPortCounters::new(1),
            Instant::now(),
        );
        let counters = Arc::new(ReplicaCounters::new(1));
        registry.register(Seat(1), &counters);
        let mut history = History::new(StatsSnapshot::capture(&registry, &port, begin));
        assert_eq!(history.oldest().at, begin);
        for tick in 1..=7 {
            counters.worker(0).requests.add(1);
            history.keep(StatsSnapshot::capture(
                &registry,
                &port,
                begin + TICK * tick,
            ));
        }
        let oldest = history.oldest();
        assert_eq!(oldest.at, begin + TICK * 3);
        assert_eq!(oldest.total().requests, 3);
        assert_eq!(history.0.len(), SNAPSHOTS_KEPT);
    }
}
