//! What a worker counts that belongs to no replica: its clients, its own replies, its means.

use super::{Counter, StatusClasses};

/// The cells of the data port: one per worker, and one of the access log.
#[derive(Debug)]
pub struct DataPortCounters {
    by_worker: Box<[WorkerPortCounters]>,
    log: AccessLogCounters,
    limit: u64,
}

/// What the writer of the access log counts.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct AccessLogCounters {
    /// Lines that were written.
    pub written: Counter,
    /// Lines that could not be written: the disk is full, or nobody reads.
    pub failed: Counter,
}

/// One worker's counts. Aligned as [`super::WorkerCell`] is.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerPortCounters {
    /// Client connections that were accepted.
    pub accepted: Counter,
    /// Those of them that have ended.
    pub closed: Counter,
    /// Those of them that were idle at the limit of connections and were closed for newcomers.
    pub evicted: Counter,
    /// Heads that were refused, by the class of the status.
    pub refused: StatusClasses,
    /// Replies of our own, refusals among them.
    pub own_replies: StatusClasses,
    /// Requests that were lost and not sent again, because the retry budget was spent.
    pub retries_denied: Counter,
    /// Connections to replicas that were found in a pool.
    pub pool_hits: Counter,
    /// Connections to replicas that had to be made.
    pub pool_misses: Counter,
    /// Bytes that went through pipes.
    pub spliced: Counter,
    /// Pieces that were copied although they were large: no pipe was to be had, or the sockets take none.
    pub splice_fallbacks: Counter,
    /// Lines of the access log that were lost before they reached its writer, which did not keep up.
    pub records_lost: Counter,
}

impl DataPortCounters {
    /// Cells at zero for `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self {
            by_worker: (0..workers)
                .map(|_| WorkerPortCounters::default())
                .collect(),
            log: AccessLogCounters::default(),
            limit: 0,
        }
    }

    /// The same, for at most so many client connections.
    #[must_use]
    pub fn limited_to(self, connections: usize) -> Self {
        let limit = u64::try_from(connections).unwrap_or(u64::MAX);
        Self { limit, ..self }
    }

    /// The cell of worker number `worker`, counted from 0.
    #[must_use]
    pub fn worker(&self, worker: usize) -> &WorkerPortCounters {
        &self.by_worker[worker]
    }

    /// All cells, by worker.
    #[must_use]
    pub fn workers(&self) -> &[WorkerPortCounters] {
        &self.by_worker
    }

    /// The cell of the access log's writer.
    #[must_use]
    pub fn log(&self) -> &AccessLogCounters {
        &self.log
    }

    /// The most client connections that may be open, over all workers.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Client connections that are open, over all workers.
    #[must_use]
    pub fn open(&self) -> u64 {
        // Closed first: one that is accepted in between must not make it negative.
        let closed: u64 = self.by_worker.iter().map(|cell| cell.closed.get()).sum();
        let accepted: u64 = self.by_worker.iter().map(|cell| cell.accepted.get()).sum();
        accepted.saturating_sub(closed)
    }
}
