//! Counters that the data path writes and other threads read. Each worker has its own counters, so
//! that no two threads write the same cache line.
//!
//! Every counter has a single writer (its worker), which adds with a plain load and store. Readers
//! sum over the workers. Nothing here locks or decides anything, and nothing but the counters of
//! whole connections and of queues is allocated after construction.

mod connections;
mod counter;
mod data_port;
mod fleet;
mod histogram;
mod queue;
mod retry;

pub use connections::{ConnectionCounters, ConnectionEnd, DURATION_SCALE};
pub use counter::{Counter, StatusClasses};
pub use data_port::{AccessLogCounters, DataPortCounters, WorkerPortCounters};
pub use fleet::{FleetCounters, SeatCounters};
pub use histogram::{BOUNDS_MICROS, Histogram, HistogramSnapshot};
pub use queue::{QueueCounters, QueueEnd};
pub use retry::Retry;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Counters of one replica, by worker.
#[derive(Debug)]
pub struct ReplicaCounters {
    epoch: Instant,
    by_worker: Box<[WorkerCounters]>,
    /// `true` if the replica serves one connection at a time. The fleet sets it.
    iterative: AtomicBool,
}

/// Counters of one worker about one replica. Aligned to two cache lines, because processors fetch
/// lines in pairs. The first pair holds what every request changes, in this order.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub struct WorkerCounters {
    /// Requests for which the replica was chosen; it only grows.
    pub requests: Counter,
    awaiting: AtomicU64,
    in_flight: AtomicU64,
    answered_micros: AtomicU64,
    /// Requests of these whose home is another replica that was at its bound.
    pub spilled: Counter,
    /// Requests of these whose home is another replica that was slow.
    pub diverted: Counter,
    /// Requests of these whose home is another replica that was not up, or had failed them.
    pub failed_over: Counter,
    /// Replies by status class, interim replies included.
    pub replies: StatusClasses,
    /// Bytes of requests as received from clients.
    pub from_client: Counter,
    /// Bytes of replies as sent to clients.
    pub to_client: Counter,
    /// Replies that broke off after a part of them was sent to the client.
    pub truncated: Counter,
    /// `true` while the worker avoids the replica because it is slow.
    pub slow: AtomicBool,
    /// `true` while the worker avoids the replica because it answers with server errors.
    pub ejected: AtomicBool,
    /// `true` if the replica was at its bound when the worker last merged the loads.
    pub full: AtomicBool,
    /// Times that the worker began to avoid the replica for its errors.
    pub ejections: Counter,
    retries: [Counter; Retry::ALL.len()],
    /// Requests that another replica served, because this one was not up, had refused or lost them,
    /// or gave a status of `--retry-on`.
    pub saved: Counter,
    slow_requests: AtomicU64,
    /// Requests whose home is another replica, on a connection that the client has authenticated.
    pub private: Counter,
    /// Time from a request's head to the head of its reply.
    pub first_byte: Histogram,
    /// Time from a request's head to its end here, whichever side ended it. Tunnels are not
    /// included.
    pub total: Histogram,
    /// Allocated by the worker when connections are balanced as a whole.
    connections: OnceLock<Box<ConnectionCounters>>,
    /// Allocated by the worker when there is a limit of requests in flight.
    queue: OnceLock<Box<QueueCounters>>,
}

impl ReplicaCounters {
    /// Returns counters at zero for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            epoch: Instant::now(),
            by_worker: (0..workers).map(|_| WorkerCounters::default()).collect(),
            iterative: AtomicBool::new(false),
        }
    }

    /// Records that the replica serves one connection at a time.
    pub fn set_iterative(&self) {
        self.iterative.store(true, Ordering::Relaxed);
    }

    /// Returns `true` if the replica serves one connection at a time, so that an idle one blocks
    /// all others.
    #[must_use]
    pub fn is_iterative(&self) -> bool {
        self.iterative.load(Ordering::Relaxed)
    }

    /// Returns the number of requests, over all workers, that wait here after another replica was
    /// silent on them.
    #[must_use]
    pub fn slow_requests(&self) -> u64 {
        let slow = |counters: &WorkerCounters| counters.slow_requests.load(Ordering::Relaxed);
        self.by_worker.iter().map(slow).sum()
    }

    /// Returns the bytes of replies over all workers.
    #[must_use]
    pub fn replied(&self) -> u64 {
        self.by_worker
            .iter()
            .map(|counters| counters.to_client.get())
            .sum()
    }

    /// Returns all counters, by worker.
    #[must_use]
    pub fn workers(&self) -> &[WorkerCounters] {
        &self.by_worker
    }

    /// Returns the counters of worker number `worker`, counted from 0.
    #[must_use]
    pub fn worker(&self, worker: usize) -> &WorkerCounters {
        &self.by_worker[worker]
    }

    /// Returns the exchanges in progress over all workers. Acquire pairs with the workers' release:
    /// a reader that sees 0 also sees everything that those exchanges wrote.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        self.by_worker
            .iter()
            .map(|counters| counters.in_flight.load(Ordering::Acquire))
            .sum()
    }

    /// Returns the requests over all workers.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.by_worker
            .iter()
            .map(|counters| counters.requests.get())
            .sum()
    }

    /// Returns the number of requests, over all workers, that wait for a reply head.
    #[must_use]
    pub fn awaiting(&self) -> u64 {
        let waiting = |counters: &WorkerCounters| counters.awaiting.load(Ordering::Relaxed);
        self.by_worker.iter().map(waiting).sum()
    }

    /// Returns `true` if a worker avoids the replica because it is slow.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        let mut counters = self.by_worker.iter();
        counters.any(|counters| counters.slow.load(Ordering::Relaxed))
    }

    /// Returns `true` if a worker avoids the replica because it answers with server errors.
    #[must_use]
    pub fn is_ejected(&self) -> bool {
        let mut counters = self.by_worker.iter();
        counters.any(|counters| counters.ejected.load(Ordering::Relaxed))
    }

    /// Returns `true` if the replica was at its bound for a worker's last merge of the loads.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let mut counters = self.by_worker.iter();
        counters.any(|counters| counters.full.load(Ordering::Relaxed))
    }

    /// Records that worker `worker` had a reply from the replica at `now`.
    pub fn answered(&self, worker: usize, now: Instant) {
        let micros = now.saturating_duration_since(self.epoch).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX).max(1);
        self.by_worker[worker]
            .answered_micros
            .store(micros, Ordering::Relaxed);
    }

    /// Returns the time of the data path's last reply from the replica; `None` before the first.
    #[must_use]
    pub fn last_answer(&self) -> Option<Instant> {
        let newest = self
            .by_worker
            .iter()
            .map(|counters| counters.answered_micros.load(Ordering::Relaxed))
            .max()?;
        (newest > 0).then(|| self.epoch + Duration::from_micros(newest))
    }
}

impl WorkerCounters {
    /// Returns the counters of whole connections, which the worker allocates with the first call.
    pub fn connections(&self) -> &ConnectionCounters {
        self.connections.get_or_init(Box::default)
    }

    /// Returns the counters of whole connections, if the worker has any.
    #[must_use]
    pub fn connections_if_any(&self) -> Option<&ConnectionCounters> {
        self.connections.get().map(|counters| &**counters)
    }

    /// Returns the counters of the queue, which the worker allocates with the first call.
    pub fn queue(&self) -> &QueueCounters {
        self.queue.get_or_init(Box::default)
    }

    /// Returns the counters of the queue, if the worker has any.
    #[must_use]
    pub fn queue_if_any(&self) -> Option<&QueueCounters> {
        self.queue.get().map(|counters| &**counters)
    }

    /// Counts a request that left this replica for this reason.
    pub fn retried(&self, reason: Retry) {
        self.retries[reason as usize].add(1);
    }

    /// Returns the number of requests that left this replica, in the order of [`Retry::ALL`].
    #[must_use]
    pub fn retries(&self) -> [u64; Retry::ALL.len()] {
        self.retries.each_ref().map(Counter::get)
    }

    /// Counts the start of an exchange with the replica. The caller must pair it with
    /// [`Self::end`].
    pub fn begin(&self) {
        self.in_flight.store(
            self.in_flight.load(Ordering::Relaxed) + 1,
            Ordering::Release,
        );
    }

    /// Counts a request that starts to wait for its reply head. Pairs with [`Self::end_waiting`].
    pub fn begin_waiting(&self) {
        let waiting = self.awaiting.load(Ordering::Relaxed);
        self.awaiting.store(waiting + 1, Ordering::Relaxed);
    }

    /// Counts the end of a request's wait.
    pub fn end_waiting(&self) {
        let waiting = self.awaiting.load(Ordering::Relaxed);
        self.awaiting.store(waiting - 1, Ordering::Relaxed);
    }

    /// Counts a request that waits here after another replica was silent on it. Pairs with
    /// [`Self::end_slow`].
    pub fn begin_slow(&self) {
        let slow = self.slow_requests.load(Ordering::Relaxed);
        self.slow_requests.store(slow + 1, Ordering::Relaxed);
    }

    /// Counts the end of such a request's wait.
    pub fn end_slow(&self) {
        let slow = self.slow_requests.load(Ordering::Relaxed);
        self.slow_requests.store(slow - 1, Ordering::Relaxed);
    }

    /// Counts the end of an exchange.
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
        let counters = ReplicaCounters::new(2);
        counters.worker(0).begin();
        counters.worker(1).begin();
        counters.worker(1).begin();
        counters.worker(0).end();
        assert_eq!(counters.in_flight(), 2);
    }

    #[test]
    fn statuses_and_reasons_are_counted_separately() {
        let replica = ReplicaCounters::new(1);
        let counters = replica.worker(0);
        for status in [100, 200, 299, 304, 404, 599, 999] {
            counters.replies.count(status);
        }
        assert_eq!(counters.replies.get(), [1, 2, 1, 1, 2]);
        for reason in Retry::ALL.into_iter().chain([Retry::Lost]) {
            counters.retried(reason);
        }
        assert_eq!(counters.retries(), [1, 1, 1, 2, 1, 1]);
    }

    #[test]
    fn last_answer_is_the_newest_of_all_workers() {
        let counters = ReplicaCounters::new(2);
        assert_eq!(counters.last_answer(), None);
        let later = counters.epoch + Duration::from_millis(5);
        counters.answered(1, later);
        counters.answered(0, counters.epoch + Duration::from_millis(2));
        assert_eq!(counters.last_answer(), Some(later));
    }
}
