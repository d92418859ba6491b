//! Counters that the data path writes and others read: one cell per worker, so that no two threads
//! ever write the same cache line.
//!
//! Every cell has a single writer (its worker), which adds with a plain load and store; readers sum
//! over the workers. Nothing here locks, allocates after its making or decides anything.

mod data_port;
mod fleet;
mod histogram;

pub use data_port::{AccessLogCounters, DataPortCounters, WorkerPortCounters};
pub use fleet::{FleetCounters, SeatCounters};
pub use histogram::{BOUNDS_MICROS, Histogram, HistogramSnapshot};

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The cells of one replica: one per worker.
#[derive(Debug)]
pub struct ReplicaCounters {
    epoch: Instant,
    by_worker: Box<[WorkerCounters]>,
    /// Whether the replica serves one connection at a time. The fleet sets it.
    iterative: AtomicBool,
}

/// One worker's counts about one replica. Aligned to two cache lines, because processors fetch lines in
/// pairs; the first pair holds what every request changes, in this order.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct WorkerCounters {
    /// Requests for which the replica was chosen; it only grows.
    pub requests: Counter,
    awaiting: AtomicU64,
    in_flight: AtomicU64,
    answered_micros: AtomicU64,
    /// Those of them whose home is another replica that was at its bound.
    pub spilled: Counter,
    /// Those of them whose home is another replica that was slow.
    pub diverted: Counter,
    /// Those of them whose home is another replica that was not up, or had failed them.
    pub failed_over: Counter,
    /// Replies by the class of their status, interim ones too.
    pub replies: StatusClasses,
    /// Bytes of requests as they came from clients.
    pub from_client: Counter,
    /// Bytes of replies as they went to clients.
    pub to_client: Counter,
    /// Replies that broke off after a part of them had gone to the client.
    pub truncated: Counter,
    /// Whether the worker goes around the replica because it is slow.
    pub slow: AtomicBool,
    retries: [Counter; Retry::ALL.len()],
    /// Requests that another replica got, because this one was not up, or had refused or lost them.
    pub saved: Counter,
    slow_requests: AtomicU64,
    /// Requests whose home is another replica, on a connection that the client has authenticated.
    pub private: Counter,
    /// From a request's head to the head of its reply.
    pub first_byte: Histogram,
    /// From a request's head to its end here, whoever ended it; tunnels are not among them.
    pub total: Histogram,
}

/// Why a request left a replica it had been given to, for another connection or another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// A fresh connection was refused, or there was no way to it.
    Refused,
    /// A fresh connection was not made in time.
    ConnectTimeout,
    /// A kept connection was found closed.
    Stale,
    /// A connection ended before the reply.
    Lost,
    /// The replica was declared suspect or dead while its reply was waited for.
    Doubted,
}

impl Retry {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 5] = [
        Self::Refused,
        Self::ConnectTimeout,
        Self::Stale,
        Self::Lost,
        Self::Doubted,
    ];

    /// The word for it in metrics and statistics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::ConnectTimeout => "connect_timeout",
            Self::Stale => "stale",
            Self::Lost => "lost",
            Self::Doubted => "doubted",
        }
    }
}

/// Counts by the class of a status: 1xx to 5xx.
#[derive(Debug, Default)]
pub struct StatusClasses([Counter; 5]);

impl StatusClasses {
    /// Counts one with this status.
    pub fn count(&self, status: u16) {
        let class = usize::from(status / 100).clamp(1, 5);
        self.0[class - 1].add(1);
    }

    /// How many there were of each class, 1xx first.
    #[must_use]
    pub fn get(&self) -> [u64; 5] {
        self.0.each_ref().map(Counter::get)
    }
}

/// A number with a single writer and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`. Only the cell's own worker may call it.
    pub fn add(&self, n: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(n),
            Ordering::Relaxed,
        );
    }

    /// The count so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl ReplicaCounters {
    /// Cells at zero for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            epoch: Instant::now(),
            by_worker: (0..workers).map(|_| WorkerCounters::default()).collect(),
            iterative: AtomicBool::new(false),
        }
    }

    /// Notes that the replica serves one connection at a time.
    pub fn set_iterative(&self) {
        self.iterative.store(true, Ordering::Relaxed);
    }

    /// Whether the replica serves one connection at a time, so that an idle one blocks all others.
    #[must_use]
    pub fn is_iterative(&self) -> bool {
        self.iterative.load(Ordering::Relaxed)
    }

    /// Requests over all workers that wait here although another replica fell silent with them before.
    #[must_use]
    pub fn slow_requests(&self) -> u64 {
        let slow = |cell: &WorkerCounters| cell.slow_requests.load(Ordering::Relaxed);
        self.by_worker.iter().map(slow).sum()
    }

    /// Bytes of replies over all workers.
    #[must_use]
    pub fn replied(&self) -> u64 {
        self.by_worker.iter().map(|cell| cell.to_client.get()).sum()
    }

    /// All cells, by worker.
    #[must_use]
    pub fn workers(&self) -> &[WorkerCounters] {
        &self.by_worker
    }

    /// The cell of worker number `worker`, counted from 0.
    #[must_use]
    pub fn worker(&self, worker: usize) -> &WorkerCounters {
        &self.by_worker[worker]
    }

    /// Exchanges under way over all workers. Acquire pairs with the workers' release: whoever reads 0
    /// also sees all that those exchanges wrote.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.by_worker
            .iter()
            .map(|cell| cell.in_flight.load(Ordering::Acquire))
            .sum()
    }

    /// Requests over all workers.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.by_worker.iter().map(|cell| cell.requests.get()).sum()
    }

    /// Requests over all workers that wait for the head of a reply.
    #[must_use]
    pub fn awaiting(&self) -> u64 {
        let waiting = |cell: &WorkerCounters| cell.awaiting.load(Ordering::Relaxed);
        self.by_worker.iter().map(waiting).sum()
    }

    /// Whether some worker goes around the replica because it is slow.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        let mut cells = self.by_worker.iter();
        cells.any(|cell| cell.slow.load(Ordering::Relaxed))
    }

    /// Notes that worker `worker` had an answer from the replica at `now`.
    pub fn answered(&self, worker: usize, now: Instant) {
        let micros = now.saturating_duration_since(self.epoch).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX).max(1);
        self.by_worker[worker]
            .answered_micros
            .store(micros, Ordering::Relaxed);
    }

    /// When the data path last had an answer from the replica; `None` if it never had one.
    #[must_use]
    pub fn last_answer(&self) -> Option<Instant> {
        let newest = self
            .by_worker
            .iter()
            .map(|cell| cell.answered_micros.load(Ordering::Relaxed))
            .max()?;
        (newest > 0).then(|| self.epoch + Duration::from_micros(newest))
    }
}

impl WorkerCounters {
    /// Counts a request that goes on from here for this reason.
    pub fn retried(&self, why: Retry) {
        self.retries[why as usize].add(1);
    }

    /// How many requests have gone on from here, in the order of [`Retry::ALL`].
    #[must_use]
    pub fn retries(&self) -> [u64; Retry::ALL.len()] {
        self.retries.each_ref().map(Counter::get)
    }

    /// One more exchange with the replica. The caller must pair it with [`Self::leave`].
    pub fn begin(&self) {
        self.in_flight.store(
            self.in_flight.load(Ordering::Relaxed) + 1,
            Ordering::Release,
        );
    }

    /// One more request that waits for the head of its reply; paired with [`Self::end_waiting`].
    pub fn begin_waiting(&self) {
        let waiting = self.awaiting.load(Ordering::Relaxed);
        self.awaiting.store(waiting + 1, Ordering::Relaxed);
    }

    /// One request less that waits.
    pub fn end_waiting(&self) {
        let waiting = self.awaiting.load(Ordering::Relaxed);
        self.awaiting.store(waiting - 1, Ordering::Relaxed);
    }

    /// One more request that waits although another replica fell silent with it; paired with
    /// [`Self::end_slow`].
    pub fn begin_slow(&self) {
        let slow = self.slow_requests.load(Ordering::Relaxed);
        self.slow_requests.store(slow + 1, Ordering::Relaxed);
    }

    /// One such request less.
    pub fn end_slow(&self) {
        let slow = self.slow_requests.load(Ordering::Relaxed);
        self.slow_requests.store(slow - 1, Ordering::Relaxed);
    }

    /// One exchange less.
    pub fn end(&self) {
        self.in_flight.store(
            self.in_flight.load(Ordering::Relaxed) - 1,
            Ordering::Release,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_flight_sums_over_workers() {
        let cells = ReplicaCounters::new(2);
        cells.worker(0).begin();
        cells.worker(1).begin();
        cells.worker(1).begin();
        cells.worker(0).end();
        assert_eq!(cells.in_flight(), 2);
    }

    #[test]
    fn statuses_and_reasons_are_told_apart() {
        let cells = ReplicaCounters::new(1);
        let cell = cells.worker(0);
        for status in [100, 200, 299, 304, 404, 599, 999] {
            cell.replies.count(status);
        }
        assert_eq!(cell.replies.get(), [1, 2, 1, 1, 2]);
        for why in Retry::ALL.into_iter().chain([Retry::Lost]) {
            cell.retried(why);
        }
        assert_eq!(cell.retries(), [1, 1, 1, 2, 1]);
    }

    #[test]
    fn last_answer_is_the_newest_of_all_workers() {
        let cells = ReplicaCounters::new(2);
        assert_eq!(cells.last_answer(), None);
        let later = cells.epoch + Duration::from_millis(5);
        cells.answered(1, later);
        cells.answered(0, cells.epoch + Duration::from_millis(2));
        assert_eq!(cells.last_answer(), Some(later));
    }
}
