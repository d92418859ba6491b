//! The numbers themselves: what the cells held at some moment, summed over the workers.
//!
//! Cells are read one after the other while they go on changing, so sums that belong together may differ
//! by the few requests that came in between.

use crate::metrics::{
    DataPortCounters, FleetCounters, HistogramSnapshot, ReplicaCounters, Retry, SeatCounters,
};

/// What was counted about one seat, or about several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeatCounts {
    /// Requests for which its replica was chosen.
    pub requests: u64,
    /// Those of them whose home was at its bound.
    pub spilled: u64,
    /// Those of them whose home was slow.
    pub diverted: u64,
    /// Those of them whose home was not up, or had failed them.
    pub failed_over: u64,
    /// Those of them whose home was another, on a connection that the client has authenticated.
    pub private: u64,
    /// Replies by the class of their status, 1xx first.
    pub replies: [u64; 5],
    /// Bytes of requests as they came from clients.
    pub from_client: u64,
    /// Bytes of replies as they went to clients.
    pub to_client: u64,
    /// Replies that broke off.
    pub truncated: u64,
    /// Requests that went on from here, in the order of [`Retry::ALL`].
    pub retries: [u64; Retry::ALL.len()],
    /// Requests that another replica got, because the one here was not up, or had refused or lost them.
    pub saved: u64,
    /// Requests that are under way now.
    pub in_flight: u64,
    /// Those of them that wait for the head of a reply.
    pub awaiting: u64,
    /// From a request's head to the head of its reply.
    pub first_byte: HistogramSnapshot,
    /// From a request's head to its end.
    pub total: HistogramSnapshot,
    /// From a heartbeat to its answer.
    pub heartbeats: HistogramSnapshot,
    /// Heartbeats that came to nothing.
    pub missed: u64,
    /// Replicas that died there.
    pub deaths: u64,
    /// Successors that took the seat.
    pub replaced: u64,
    /// Replicas that could not be started for it.
    pub failed_starts: u64,
}

impl SeatCounts {
    /// Adds what the workers have counted about one replica.
    pub(super) fn add_cells(&mut self, cells: &ReplicaCounters) {
        for cell in cells.workers() {
            // Those that came otherwise first: more than all of them would be nonsense.
            self.spilled += cell.spilled.get();
            self.diverted += cell.diverted.get();
            self.failed_over += cell.failed_over.get();
            self.private += cell.private.get();
            self.requests += cell.requests.get();
            add_all(&mut self.replies, cell.replies.get());
            add_all(&mut self.retries, cell.retries());
            self.saved += cell.saved.get();
            self.from_client += cell.from_client.get();
            self.to_client += cell.to_client.get();
            self.truncated += cell.truncated.get();
            self.first_byte.add(&cell.first_byte.read());
            self.total.add(&cell.total.read());
        }
        self.in_flight += cells.in_flight();
        self.awaiting += cells.awaiting();
    }

    /// Adds what the fleet has counted about the seat.
    pub(super) fn add_fleet(&mut self, cells: &SeatCounters) {
        self.heartbeats.add(&cells.heartbeats.read());
        self.missed += cells.missed.get();
        self.deaths += cells.deaths.get();
        self.replaced += cells.replaced.get();
        self.failed_starts += cells.failed_starts.get();
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
        self.from_client += other.from_client;
        self.to_client += other.to_client;
        self.truncated += other.truncated;
        self.in_flight += other.in_flight;
        self.awaiting += other.awaiting;
        self.first_byte.add(&other.first_byte);
        self.total.add(&other.total);
        self.heartbeats.add(&other.heartbeats);
        self.missed += other.missed;
        self.deaths += other.deaths;
        self.replaced += other.replaced;
        self.failed_starts += other.failed_starts;
    }

    /// Requests that the ring alone sent here.
    #[must_use]
    pub fn home(&self) -> u64 {
        self.requests
            .saturating_sub(self.spilled + self.diverted + self.failed_over + self.private)
    }
}

/// What the workers counted that belongs to no replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Client connections that were accepted.
    pub accepted: u64,
    /// Client connections that are open now.
    pub open: u64,
    /// Client connections that may be open.
    pub limit: u64,
    /// Idle client connections that were closed for newcomers, at the limit.
    pub evicted: u64,
    /// Heads that were refused, by the class of the status, 1xx first.
    pub refused: [u64; 5],
    /// Replies of our own, refusals among them.
    pub own_replies: [u64; 5],
    /// Requests that were lost and not sent again, because the retry budget was spent.
    pub retries_denied: u64,
    /// Connections to replicas that were found in a pool.
    pub pool_hits: u64,
    /// Connections to replicas that had to be made.
    pub pool_misses: u64,
    /// Bytes that went through pipes.
    pub spliced: u64,
    /// Large pieces that were copied all the same.
    pub splice_fallbacks: u64,
    /// Lines of the access log that were written.
    pub log_written: u64,
    /// Lines of the access log that were lost, wherever.
    pub log_lost: u64,
}

impl PortCounts {
    /// What `port` holds now.
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
        for cell in port.workers() {
            counts.accepted += cell.accepted.get();
            counts.evicted += cell.evicted.get();
            add_all(&mut counts.refused, cell.refused.get());
            add_all(&mut counts.own_replies, cell.own_replies.get());
            counts.retries_denied += cell.retries_denied.get();
            counts.pool_hits += cell.pool_hits.get();
            counts.pool_misses += cell.pool_misses.get();
            counts.spliced += cell.spliced.get();
            counts.splice_fallbacks += cell.splice_fallbacks.get();
            counts.log_lost += cell.records_lost.get();
        }
        counts
    }
}

/// What the fleet counted about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetCountsSnapshot {
    /// From the order to start a replica to its first answer.
    pub spawns: HistogramSnapshot,
    /// From the verdict on a dead replica to the first answer of its successor.
    pub replacements: HistogramSnapshot,
    /// Whether the engine answered when it was last asked.
    pub engine_up: bool,
}

impl FleetCountsSnapshot {
    pub(super) fn read(cells: &FleetCounters) -> Self {
        Self {
            spawns: cells.spawns.read(),
            replacements: cells.replacements.read(),
            engine_up: cells.engine_is_up(),
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
    use std::time::Duration;

    #[test]
    fn cells_of_all_workers_are_summed() {
        let cells = ReplicaCounters::new(2);
        for (worker, requests) in [(0, 5), (1, 7)] {
            let cell = cells.worker(worker);
            cell.requests.add(requests);
            cell.spilled.add(1);
            cell.diverted.add(1);
            cell.failed_over.add(2);
            cell.private.add(1);
            cell.replies.count(200);
            cell.retried(Retry::Lost);
            cell.saved.add(1);
            cell.to_client.add(10);
            cell.begin();
            cell.first_byte.observe(Duration::from_millis(3));
        }
        let mut counts = SeatCounts::default();
        counts.add_cells(&cells);
        assert_eq!((counts.requests, counts.home()), (12, 2));
        assert_eq!(counts.replies, [0, 2, 0, 0, 0]);
        assert_eq!(counts.retries, [0, 0, 0, 2, 0]);
        assert_eq!(counts.saved, 2);
        assert_eq!((counts.to_client, counts.in_flight), (20, 2));
        assert_eq!(counts.first_byte.sum(), Duration::from_millis(6));
    }

    #[test]
    fn what_is_lost_of_the_access_log_is_summed_over_both_ends_of_its_queue() {
        let port = DataPortCounters::new(2);
        port.worker(1).records_lost.add(3);
        port.log().failed.add(4);
        port.log().written.add(5);
        let counts = PortCounts::read(&port);
        assert_eq!((counts.log_written, counts.log_lost), (5, 7));
    }
}
