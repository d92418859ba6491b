//! Sums of the counters over the workers, at one moment.
//!
//! Counters are read one after the other while they change, so related sums may differ by the few
//! requests that arrived in between.

use super::connection_counts::{self, ConnectionCounts};
use super::queue_counts::{self, QueueCounts};
use crate::metrics::{
    Counter, DataPortCounters, FleetCounters, HistogramSnapshot, ReplicaCounters, Retry,
    SeatCounters,
};

/// Counts about one seat, or about several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeatCounts {
    /// Requests for which its replica was chosen.
    pub requests: u64,
    /// Requests of these whose home was at its bound.
    pub spilled: u64,
    /// Requests of these whose home was slow, ejected or in slow start.
    pub diverted: u64,
    /// Requests of these whose home was not up, or had failed them.
    pub failed_over: u64,
    /// Requests of these whose home was another, on a connection that the client has authenticated.
    pub private: u64,
    /// Replies by status class, 1xx first.
    pub replies: [u64; 5],
    /// Bytes of requests as received from clients.
    pub from_client: u64,
    /// Bytes of replies as sent to clients.
    pub to_client: u64,
    /// Replies that broke off.
    pub truncated: u64,
    /// Requests that left for another connection or replica, in the order of [`Retry::ALL`].
    pub retries: [u64; Retry::ALL.len()],
    /// Requests that another replica served, because the one here was not up, or had refused or
    /// lost them.
    pub saved: u64,
    /// Times that a worker ejected the replica for its errors.
    pub ejections: u64,
    /// Requests in progress.
    pub in_flight: u64,
    /// Requests in progress that wait for a reply head.
    pub awaiting: u64,
    /// Time from a request's head to the head of its reply.
    pub first_byte: HistogramSnapshot,
    /// Time from a request's head to its end.
    pub total: HistogramSnapshot,
    /// Whole connections; `None` if requests are balanced.
    pub connections: Option<Box<ConnectionCounts>>,
    /// The queue; `None` without a limit of requests in flight.
    pub queue: Option<Box<QueueCounts>>,
    /// Time from a heartbeat to its answer.
    pub heartbeats: HistogramSnapshot,
    /// Heartbeats that failed.
    pub missed: u64,
    /// Replicas of the seat that died.
    pub deaths: u64,
    /// Successors that took the seat.
    pub replaced: u64,
    /// Replicas that could not be started for it.
    pub failed_starts: u64,
}

impl SeatCounts {
    /// Adds the workers' counts about one replica.
    pub(super) fn add_replica(&mut self, counters: &ReplicaCounters) {
        for worker in counters.workers() {
            // The subsets first: they must not exceed the total, which keeps growing.
            self.spilled += worker.spilled.get();
            self.diverted += worker.diverted.get();
            self.failed_over += worker.failed_over.get();
            self.private += worker.private.get();
            self.requests += worker.requests.get();
            add_all(&mut self.replies, worker.replies.get());
            add_all(&mut self.retries, worker.retries());
            self.saved += worker.saved.get();
            self.ejections += worker.ejections.get();
            self.from_client += worker.from_client.get();
            self.to_client += worker.to_client.get();
            self.truncated += worker.truncated.get();
            self.first_byte.add(&worker.first_byte.read());
            self.total.add(&worker.total.read());
            let connections = worker.connections_if_any().map(ConnectionCounts::read);
            connection_counts::add(&mut self.connections, connections.as_ref());
            let queue = worker.queue_if_any().map(QueueCounts::read);
            queue_counts::add(&mut self.queue, queue.as_ref());
        }
        self.in_flight += counters.in_flight();
        self.awaiting += counters.awaiting();
    }

    /// Adds the fleet's counts about the seat.
    pub(super) fn add_fleet(&mut self, counters: &SeatCounters) {
        self.heartbeats.add(&counters.heartbeats.read());
        self.missed += counters.missed.get();
        self.deaths += counters.deaths.get();
        self.replaced += counters.replaced.get();
        self.failed_starts += counters.failed_starts.get();
    }

    /// Adds the counts of another seat.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.spilled += other.spilled;
        self.diverted += other.diverted;
        self.failed_over += other.failed_over;
        self.private += other.private;
        add_all(&mut self.replies, other.replies);
        add_all(&mut self.retries, other.retries);
        self.saved += other.saved;
        self.ejections += other.ejections;
        self.from_client += other.from_client;
        self.to_client += other.to_client;
        self.truncated += other.truncated;
        self.in_flight += other.in_flight;
        self.awaiting += other.awaiting;
        self.first_byte.add(&other.first_byte);
        self.total.add(&other.total);
        connection_counts::add(&mut self.connections, other.connections.as_deref());
        queue_counts::add(&mut self.queue, other.queue.as_deref());
        self.heartbeats.add(&other.heartbeats);
        self.missed += other.missed;
        self.deaths += other.deaths;
        self.replaced += other.replaced;
        self.failed_starts += other.failed_starts;
    }

    /// Returns the number of requests that the ring alone routed here.
    #[must_use]
    pub fn home(&self) -> u64 {
        self.requests
            .saturating_sub(self.spilled + self.diverted + self.failed_over + self.private)
    }
}

/// Counts of the workers that belong to no replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Client connections that were accepted.
    pub accepted: u64,
    /// Open client connections.
    pub open: u64,
    /// Maximum number of open client connections.
    pub limit: u64,
    /// Idle client connections that were closed for new clients, at the limit.
    pub evicted: u64,
    /// Client connections that were reset because no replica could be reached.
    pub unserved: u64,
    /// Connections of proxies that were closed for want of a right PROXY header.
    pub proxy_headers_refused: u64,
    /// Connections from networks that are not served.
    pub clients_denied: u64,
    /// Connections above the limit of their client.
    pub clients_over_connections: u64,
    /// Requests above the rate of their client.
    pub clients_over_rate: u64,
    /// Connections that were closed for want of a right ClientHello.
    pub client_hellos_refused: u64,
    /// Request heads that were refused, by status class, 1xx first.
    pub refused: [u64; 5],
    /// Locally generated replies other than these refusals.
    pub own_replies: [u64; 5],
    /// Requests that were lost and not resent, because the retry budget was exhausted.
    pub retries_denied: u64,
    /// Connections to replicas that came from a pool.
    pub pool_hits: u64,
    /// Connections to replicas that were opened.
    pub pool_misses: u64,
    /// Bytes that were transferred through pipes.
    pub spliced: u64,
    /// Large pieces that were copied instead.
    pub splice_fallbacks: u64,
    /// Access-log lines that were written.
    pub log_written: u64,
    /// Access-log lines that were lost, before or in the writer.
    pub log_lost: u64,
}

impl PortCounts {
    /// Returns all replies that were generated locally, refusals included, by status class.
    #[must_use]
    pub fn local_replies(&self) -> [u64; 5] {
        let mut all = self.own_replies;
        add_all(&mut all, self.refused);
        all
    }

    /// Returns the current counts of `port`.
    #[must_use]
    pub fn read(port: &DataPortCounters) -> Self {
        let log = port.log();
        let mut counts = Self {
            open: port.open(),
            limit: port.limit(),
            log_written: log.written.get(),
            log_lost: log.failed.get(),
            ..Self::default()
        };
        for worker in port.workers() {
            counts.accepted += worker.accepted.get();
            counts.evicted += worker.evicted.get();
            counts.unserved += worker.unserved.get();
            counts.proxy_headers_refused += worker.proxy_headers_refused.get();
            counts.clients_denied += worker.clients_denied.get();
            counts.clients_over_connections += worker.clients_over_connections.get();
            counts.clients_over_rate += worker.clients_over_rate.get();
            counts.client_hellos_refused += worker.client_hellos_refused.get();
            add_all(&mut counts.refused, worker.refused.get());
            add_all(&mut counts.own_replies, worker.own_replies.get());
            counts.retries_denied += worker.retries_denied.get();
            counts.pool_hits += worker.pool_hits.get();
            counts.pool_misses += worker.pool_misses.get();
            counts.spliced += worker.spliced.get();
            counts.splice_fallbacks += worker.splice_fallbacks.get();
            counts.log_lost += worker.records_lost.get();
        }
        counts
    }
}

/// Counts of the fleet about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetCountsSnapshot {
    /// Time from the order to start a replica to its first answer.
    pub spawns: HistogramSnapshot,
    /// Time from the verdict on a dead replica to the first answer of its successor.
    pub replacements: HistogramSnapshot,
    /// Rollouts by the stage that they reached.
    pub rollouts: [u64; 6],
    /// `true` if the engine answered its last call.
    pub engine_up: bool,
}

impl FleetCountsSnapshot {
    pub(super) fn read(counters: &FleetCounters) -> Self {
        Self {
            spawns: counters.spawns.read(),
            replacements: counters.replacements.read(),
            rollouts: counters.rollouts.each_ref().map(Counter::get),
            engine_up: counters.engine_is_up(),
        }
    }
}

fn add_all<const N: usize>(sums: &mut [u64; N], more: [u64; N]) {
    for (sum, more) in sums.iter_mut().zip(more) {
        *sum += more;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::ConnectionEnd;
    use std::time::Duration;

    #[test]
    fn counters_of_all_workers_are_summed() {
        let counters = ReplicaCounters::new(2);
        for (worker, requests) in [(0, 5), (1, 7)] {
            let counters = counters.worker(worker);
            counters.requests.add(requests);
            counters.spilled.add(1);
            counters.diverted.add(1);
            counters.failed_over.add(2);
            counters.private.add(1);
            counters.replies.count(200);
            counters.retried(Retry::Lost);
            counters.saved.add(1);
            counters.to_client.add(10);
            counters.begin();
            let connections = counters.connections();
            connections.ended(ConnectionEnd::ClientReset, Duration::from_secs(1));
            counters.first_byte.observe(Duration::from_millis(3));
        }
        let mut counts = SeatCounts::default();
        counts.add_replica(&counters);
        assert_eq!((counts.requests, counts.home()), (12, 2));
        assert_eq!(counts.replies, [0, 2, 0, 0, 0]);
        assert_eq!(counts.retries, [0, 0, 0, 2, 0, 0]);
        assert_eq!(counts.saved, 2);
        assert_eq!((counts.to_client, counts.in_flight), (20, 2));
        assert_eq!(counts.first_byte.sum(), Duration::from_millis(6));
        let mut both = counts.clone();
        both.add(&counts);
        both.add(&SeatCounts::default());
        assert_eq!(both.connections.unwrap().ends, [0, 4, 0, 0]);
        assert_eq!(SeatCounts::default().connections, None);
    }

    #[test]
    fn access_log_losses_are_summed_over_both_ends_of_its_queue() {
        let port = DataPortCounters::new(2);
        port.worker(1).records_lost.add(3);
        port.log().failed.add(4);
        port.log().written.add(5);
        let counts = PortCounts::read(&port);
        assert_eq!((counts.log_written, counts.log_lost), (5, 7));
    }
}
